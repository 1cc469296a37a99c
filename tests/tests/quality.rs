//! Quality that changes while a stream plays: against the naive model, against fresh sessions, and by the governor on a slow machine.

use std::sync::atomic::Ordering::SeqCst;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, Pump, Receipt, Session, SessionOptions, Start,
    config::{ModelConfig, Positions},
    session::{Change, Condition, Pace, Quality, QualityChange, Snapshot, Way},
};
use causeway_tests::{
    clock::Turned,
    naive::{Naive, Settings},
    stream::{one, open, script, seeded},
    tiny::{model_bytes, tiny_config},
};

const WINDOW: usize = 8;

fn config(chunk: usize) -> ModelConfig {
    let mut config = tiny_config();
    (config.dit.chunk, config.history.window) = (chunk, WINDOW);
    config.schedule.steps.insert(1, vec![1000.0]);
    config
}

fn options(chunk: usize) -> SessionOptions {
    SessionOptions { start: Start::Empty, route: Some(3), most_route: WINDOW - chunk, queue: chunk, ..seeded(5) }
}

/// Quality before chunk `n`.
fn changed(n: usize) -> QualityChange {
    match n % 13 {
        4 => QualityChange { steps: Some(1), ..QualityChange::default() },
        5 => QualityChange { route: Some(0), ..QualityChange::default() },
        6 => QualityChange { steps: Some(4), route: Some(1), window: None },
        8 => QualityChange { window: Some(4), ..QualityChange::default() },
        9 => QualityChange { steps: Some(2), route: Some(2), window: Some(WINDOW) },
        11 => QualityChange { steps: Some(4), route: Some(3), window: Some(6) },
        12 => QualityChange { window: Some(WINDOW), ..QualityChange::default() },
        _ => QualityChange::default(),
    }
}

/// The next chunk's frames, of a session that its frames are taken from.
fn chunk(session: &mut Session, frames: usize) -> Vec<(Receipt, Vec<u8>)> {
    let mut all = Vec::new();
    while all.len() < frames {
        if session.pump(Budget::Frame).unwrap() == Pump::Frame {
            let frame = session.frame().unwrap();
            all.push((Receipt { began: 0, ready: 0, present: 0, ..frame.receipt }, frame.pixels.to_vec()));
            session.release();
        }
    }
    all
}

/// Steps, route and window change from chunk to chunk, and cuts are made: latents are those of a model that remembers everything.
#[test]
fn changes_are_those_of_the_definition() {
    for frames in [1, 3] {
        let config = config(frames);
        let bytes = model_bytes(&config, DType::F32, 11);
        let model = open(&bytes);
        let mut session = Session::new(&model, &one(), options(frames)).unwrap();
        let settings = Settings { window: WINDOW, sink: 0, route: 3, positions: Positions::Compact };
        let mut naive = Naive::new(&model, settings, 5);
        let mut worst = 0f64;
        for n in 0..30 {
            let (action, _) = script((n * frames) as u64);
            session.set_action(&action).unwrap();
            session.set_quality(changed(n)).unwrap();
            if n % 7 == 6 {
                session.queue(Change { way: Way::Cut, ..Change::to(Condition::Event(0)) }).unwrap();
                naive.cut();
            }
            let Quality { steps, route, window } = session.quality();
            naive.settings = Settings { route, window, ..naive.settings };
            let id = session.stream().latents;
            let (receipt, _) = chunk(&mut session, frames).pop().unwrap();
            assert_eq!(receipt.quality, Quality { steps, route, window });
            let mut found = vec![0f32; session.plan().buffer(id).len];
            session.backend().read(id, bytemuck::cast_slice_mut(&mut found)).unwrap();
            let expected = naive.chunk(&config.schedule.sigmas(steps).unwrap(), &action, 0);
            let scale = expected.iter().fold(0f64, |most, x| most.max(x.abs()));
            let error = expected.iter().zip(&found).fold(0f64, |most, (a, b)| most.max((a - f64::from(*b)).abs()));
            worst = worst.max(error / scale);
        }
        println!("chunks of {frames}: {worst:.1e} of the scale");
        assert!(worst < 2e-4, "chunks of {frames}: {worst:.1e}");
    }
}

/// What a session plays after a change is what a fresh one plays that is restored there and told the same, whatever that was created with; and
/// what one plays that has that quality from the beginning.
#[test]
fn a_changed_stream_is_that_of_a_fresh_session() {
    let bytes = model_bytes(&config(1), DType::F32, 11);
    let model = open(&bytes);
    let mut session = Session::new(&model, &one(), options(1)).unwrap();
    for n in 0..26 {
        let snapshot: Snapshot = session.snapshot().unwrap();
        session.set_quality(changed(n)).unwrap();
        let expected = chunk(&mut session, 1);
        let other = SessionOptions { steps: Some(1), route: Some(0), ..options(1) };
        let mut fresh = Session::new(&model, &one(), other).unwrap();
        fresh.restore(&snapshot).unwrap();
        fresh.set_quality(changed(n)).unwrap();
        assert_eq!(chunk(&mut fresh, 1), expected, "{n}");
    }
    for (steps, route, window) in [(4, 3, WINDOW), (1, 2, WINDOW), (2, 0, WINDOW), (2, 3, 5), (4, 0, 4)] {
        let of = |options: SessionOptions| Session::new(&model, &one(), options).unwrap();
        let own = SessionOptions { steps: Some(steps), route: Some(route), window: Some(window), ..options(1) };
        let mut plain = of(SessionOptions { most_route: 0, ..own });
        let mut told = of(options(1));
        told.set_quality(QualityChange { steps: Some(steps), route: Some(route), window: Some(window) }).unwrap();
        for _ in 0..15 {
            assert_eq!(chunk(&mut told, 1)[0].1, chunk(&mut plain, 1)[0].1, "{steps} {route} {window}");
        }
    }
}

/// What cannot be is refused in a sentence, and the next chunk is as if nothing had been asked.
#[test]
fn what_cannot_be_changes_nothing() {
    let bytes = model_bytes(&config(1), DType::F32, 11);
    let model = open(&bytes);
    let mut plain = Session::new(&model, &one(), options(1)).unwrap();
    let mut session = Session::new(&model, &one(), options(1)).unwrap();
    let none = QualityChange::default();
    for change in [
        QualityChange { steps: Some(3), ..none },
        QualityChange { steps: Some(0), window: Some(4), ..none },
        QualityChange { route: Some(WINDOW), ..none },
        QualityChange { steps: Some(1), window: Some(1), ..none },
        QualityChange { window: Some(usize::MAX), ..none },
    ] {
        let error = session.set_quality(change).unwrap_err();
        assert!(error.to_string().contains("cannot be"), "{error}");
        assert_eq!(chunk(&mut session, 1), chunk(&mut plain, 1));
    }
    let fixed = Session::new(&model, &one(), SessionOptions { most_route: 0, ..options(1) });
    let error = fixed.unwrap().set_quality(QualityChange { route: Some(1), ..none }).unwrap_err();
    assert_eq!(error.to_string(), "route cannot be 1 in this session: it was created without `most_route`");
    for (options, says) in [
        (
            SessionOptions { most_route: WINDOW, ..options(1) },
            "most_route is 8, but at most 7 frames of history are seen",
        ),
        (
            SessionOptions { route: Some(0), most_route: 3, ..options(1) },
            "most_route is 3; a stream that begins with all of its history needs 7",
        ),
    ] {
        assert_eq!(Session::new(&model, &one(), options).err().unwrap().to_string(), says);
    }
}

/// Plays `chunks` chunks on a machine whose nodes take `node` microseconds each; returns when each began, and what it was made with.
fn on(session: &mut Session, clock: &Turned, node: u64, chunks: usize) -> Vec<(u64, Quality)> {
    let mut all = Vec::new();
    while all.len() < chunks {
        match session.pump(Budget::Nodes(1)).unwrap() {
            Pump::Early(micros) => _ = clock.0.fetch_add(micros, SeqCst),
            outcome => {
                clock.0.fetch_add(node, SeqCst);
                if outcome == Pump::Frame {
                    let receipt = session.frame().unwrap().receipt;
                    all.push((receipt.began, receipt.quality));
                    session.release();
                }
            }
        }
    }
    all
}

/// On a machine that becomes three times slower the governor holds the world's pace by fewer steps, and gives them back when it is cool again.
#[test]
fn the_governor_holds_the_pace() {
    let bytes = model_bytes(&config(1), DType::F32, 11);
    let model = open(&bytes);
    let clock = Turned::default();
    let governed =
        SessionOptions { pace: Pace::World, governor: true, clock: Some(Box::new(clock.clone())), ..options(1) };
    let mut session = Session::new(&model, &one(), governed).unwrap();
    // Of the 50 milliseconds of a picture four steps take half.
    on(&mut session, &clock, 0, 1);
    let nodes = session.stats().nodes;
    on(&mut session, &clock, 0, 1);
    let node = 25_000 / (session.stats().nodes - nodes);
    let paced = |found: &[(u64, Quality)]| found.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 50_001);
    let cool = on(&mut session, &clock, node, 40);
    assert!(paced(&cool[2..]) && cool.iter().all(|(_, quality)| quality.steps == 4), "{cool:?}");
    let hot = on(&mut session, &clock, 3 * node, 60);
    let late = hot.iter().position(|(_, quality)| quality.steps < 4).unwrap();
    assert!(late <= 4, "{late}");
    assert!(paced(&hot[12..]), "{hot:?}");
    let cool = on(&mut session, &clock, node, 60);
    assert_eq!(cool[59].1, Quality { steps: 4, route: 3, window: WINDOW }, "{cool:?}");
    assert!(paced(&cool[4..]), "{cool:?}");
    // What was taken away goes to no session that would never give it back, and a pause is not slowness.
    on(&mut session, &clock, 3 * node, 10);
    assert!(session.quality().steps < 4);
    let mut plain = Session::new(&model, &one(), options(1)).unwrap();
    plain.restore(&session.snapshot().unwrap()).unwrap();
    assert_eq!(plain.quality().steps, 4);
    session.restart(1).unwrap();
    for _ in 0..6 {
        let frames = on(&mut session, &clock, node, 1);
        assert_eq!(frames[0].1.steps, 4);
        for _ in 0..5 {
            _ = session.pump(Budget::Nodes(1)).unwrap();
            clock.0.fetch_add(node, SeqCst);
        }
        clock.0.fetch_add(60_000_000, SeqCst);
    }
    // Without it the world is slow.
    let slow = SessionOptions { pace: Pace::World, clock: Some(Box::new(clock.clone())), ..options(1) };
    let mut session = Session::new(&model, &one(), slow).unwrap();
    assert!(!paced(&on(&mut session, &clock, 3 * node, 20)[2..]));
}
