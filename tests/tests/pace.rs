//! The pace of a world: chunks begin on time, and pictures are shown one after the other.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use causeway_runtime::{
    Budget, Pump, Receipt, Session, SessionOptions, Start,
    session::{Output, Pace, Progress, Shared, SharedError},
};
use causeway_tests::{
    clock::Turned,
    stream::{one, open, seeded},
    tiny::{model_bytes, tiny_config},
};

/// Receipts of `count` frames of a host that pumps every `tick` microseconds, and is away for a second before frame `away`.
fn played(session: &mut Session, clock: &Turned, tick: u64, count: usize, away: usize) -> Vec<Receipt> {
    let mut all: Vec<Receipt> = Vec::new();
    while all.len() < count {
        if all.len() == away && clock.0.load(SeqCst) < all.last().map_or(0, |last| last.ready) + 1_000_000 {
            clock.0.fetch_add(1_000_000, SeqCst);
        }
        if session.pump(Budget::Nodes(30)).unwrap() == Pump::Frame {
            all.push(session.frame().unwrap().receipt);
            session.release();
        }
        clock.0.fetch_add(tick, SeqCst);
    }
    all
}

/// Chunks of three frames in a world of 20 pictures per second.
#[test]
fn chunks_wait_for_their_time_and_pictures_follow_each_other() {
    let mut config = tiny_config();
    (config.dit.chunk, config.history.window) = (3, 7);
    let bytes = model_bytes(&config, causeway_ops::quant::DType::F32, 1);
    let model = open(&bytes);
    let of = |pace, clock: &Turned, output| {
        let options = SessionOptions {
            start: Start::Empty,
            queue: 3,
            pace,
            output,
            clock: Some(Box::new(clock.clone())),
            ..seeded(3)
        };
        Session::new(&model, &one(), options).unwrap()
    };
    for output in [Output::Pictures, Output::Latents] {
        let clock = Turned::default();
        let mut session = of(Pace::World, &clock, output);
        let mut all = Vec::new();
        // A host of 60 frames per second.
        while all.len() < 60 {
            match session.pump(Budget::Nodes(200)).unwrap() {
                Pump::Frame => {
                    let mut bytes = vec![0; session.frame_bytes()];
                    all.push(session.swap_frame(&mut bytes).unwrap());
                }
                Pump::Early(_) | Pump::Pending => _ = clock.0.fetch_add(16_667, SeqCst),
                Pump::Full => unreachable!(),
            }
        }
        for (n, receipt) in all.iter().enumerate() {
            let (chunk, picture) = (n / 3, n % 3);
            assert_eq!((receipt.chunk, receipt.picture, receipt.pictures), (chunk as u64, picture as u32, 3));
            // Never before its time, and by a tick of the host's at most behind it.
            let due = 150_000 * chunk as u64;
            assert!((due..due + 16_667 + 50_000).contains(&receipt.began), "{n}: {receipt:?}");
            assert!(receipt.present >= receipt.ready, "{receipt:?}");
        }
        // Once it runs, pictures are a period apart, but for what melts away.
        for pair in all[6..].windows(2) {
            let gap = pair[1].present - pair[0].present;
            assert!((45_000..=55_000).contains(&gap), "{gap}: {pair:?}");
        }
    }
    // Without a pace it runs as fast as it is pumped.
    let clock = Turned::default();
    let mut session = of(Pace::Off, &clock, Output::Pictures);
    let all = played(&mut session, &clock, 1, 30, usize::MAX);
    assert!(all.iter().all(|receipt| receipt.present == receipt.ready && receipt.ready < 20_000), "{all:?}");
    // A host that was away does not see the world run to catch up.
    let clock = Turned::default();
    let mut session = of(Pace::World, &clock, Output::Pictures);
    let all = played(&mut session, &clock, 500, 60, 30);
    let [before, after] = [29, 59].map(|n| all[n].began);
    assert!(after - before >= 1_000_000 + 9 * 150_000 - 150_000, "{before} {after}");
    // A restart begins the world's time anew.
    session.restart(1).unwrap();
    assert!(!matches!(session.pump(Budget::Nodes(1)).unwrap(), Pump::Early(_)));
}

/// A worker of a world at its pace makes so many pictures per second, and none is given before its time.
#[test]
fn held_frames_come_when_they_should_be_shown() {
    let mut config = tiny_config();
    config.fps = 100.0;
    let bytes = model_bytes(&config, causeway_ops::quant::DType::F32, 1);
    let options = SessionOptions { pace: Pace::World, ..seeded(3) };
    let session = Session::new(&open(&bytes), &one(), options).unwrap();
    let shared = Arc::new(Shared::new(session, 4).unwrap().holding());
    shared.start_worker().unwrap();
    let (start, mut shown) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs(2) {
        if let Some(receipt) = shared.take(|_, _| Ok::<_, SharedError>(())).unwrap() {
            shown.push(receipt);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    shared.close();
    println!("{} pictures in two seconds", shown.len());
    // Other processes may take the processor away, which makes fewer; more there are never.
    assert!((60..=202).contains(&shown.len()), "{}", shown.len());
    // Without a worker the host is told how long there is nothing to do.
    let clock = Turned::default();
    let options = SessionOptions { pace: Pace::World, clock: Some(Box::new(clock.clone())), ..seeded(3) };
    let session = Session::new(&open(&bytes), &one(), options).unwrap();
    let shared = Shared::new(session, 4).unwrap().holding();
    let take = || shared.take(|_, _| Ok::<_, SharedError>(())).unwrap();
    while shared.pump(Budget::Frame).unwrap() != Progress::Frame {}
    assert!(take().is_some());
    while shared.pump(Budget::Nodes(7)).unwrap() == Progress::Pending {}
    assert_eq!(shared.pump(Budget::Frame), Ok(Progress::Early(10_000)));
    clock.0.fetch_add(10_000, SeqCst);
    while shared.pump(Budget::Frame).unwrap() != Progress::Frame {}
    assert!(take().is_some(), "it is time");
}
