//! Saved games: what they bring back, on what, and which are refused. Damaged ones by the thousand are in fuzz.rs, prompt-driven streams in
//! cli/tests/prompts.rs.

use std::path::Path;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, Device, Kv, Model, Pump, Session, SessionError, SessionOptions, Start,
    config::{GroupConfig, ModelConfig},
    session::{Change, Condition, EventTime, Saved, Way},
};
use causeway_tests::{
    machine,
    snapshots::{SUMMED, resealed_game},
    stream::{next_frame, one, open, psnr, script, seeded},
    tiny::{model_bytes, tiny_config},
};

/// Plays `frames` frames, each told by `tell`.
fn play_by(session: &mut Session, frames: u64, tell: impl Fn(&mut Session, u64)) -> Vec<u8> {
    let mut last = Vec::new();
    for frame in session.position()..session.position() + frames {
        tell(session, frame);
        last = next_frame(session, Budget::Frame);
        // Given before it is committed.
        while session.position() == frame {
            assert_eq!(session.pump(Budget::Nodes(1)), Ok(Pump::Pending));
        }
    }
    last
}

/// Plays `frames` frames under the script.
fn play(session: &mut Session, frames: u64) -> Vec<u8> {
    play_by(session, frames, |session, frame| {
        let (action, event) = script(frame);
        session.set_action(&action).unwrap();
        if let Some(event) = event {
            session.queue_event(event, EventTime::NextChunk).unwrap();
        }
    })
}

/// Plays `frames` frames of the demo world: a few steps ahead, turns, rests.
fn walk(session: &mut Session, frames: u64) -> Vec<u8> {
    play_by(session, frames, |session, frame| {
        let mut action = vec![0.0; session.actions().len()];
        if frame / 5 % 4 < 3 {
            action[[0, 3, 0][(frame / 5 % 4) as usize]] = 1.0;
        }
        session.set_action(&action).unwrap();
    })
}

fn config() -> ModelConfig {
    let mut config = tiny_config();
    (config.history.window, config.history.sink) = (6, 1);
    config
}

fn create(model: &Model<'_>, device: &Device, kv: Kv) -> Session {
    Session::new(model, device, SessionOptions { kv, ..seeded(3) }).unwrap()
}

/// The place, the conditions and the queue are those of the stream, and its next frame is nearly the same one: by another number of threads,
/// another type of ring, another backend, another plan. The demo world, since random weights make another picture of the least difference.
#[test]
fn a_game_goes_on_elsewhere() {
    let model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors")).unwrap();
    let gpu = machine::gpu(Device::gpu(""));
    for frames in [6, 40, 120] {
        let mut exact = create(&model, &Device::cpu(2), Kv::F32);
        walk(&mut exact, frames);
        exact.queue_event(2, EventTime::Frame(100_000)).unwrap();
        let saved = exact.save().unwrap();
        assert!(saved.as_bytes().len() < exact.snapshot().unwrap().as_bytes().len() / 4);
        let (tickets, position, event) = (exact.tickets(), exact.position(), exact.event());
        let expected = walk(&mut exact, 1);
        let plain = SessionOptions::default;
        let room = exact.ring().max_history();
        let cases = [
            (&one(), Kv::F32, plain()),
            (&Device::cpu(2), Kv::F16, plain()),
            (&one(), Kv::Q8, plain()),
            // Another plan: other nodes, in another order, and more state.
            (&one(), Kv::F16, SessionOptions { most_route: room, recache: true, ..plain() }),
        ];
        for (device, kv, options) in cases.into_iter().chain(gpu.as_ref().map(|gpu| (gpu, Kv::F32, plain()))) {
            let mut other = Session::new(&model, device, SessionOptions { kv, seed: 3, ..options }).unwrap();
            other.load(&saved).unwrap();
            assert_eq!((other.tickets(), other.position(), other.event()), (tickets, position, event));
            let likeness = psnr(&walk(&mut other, 1), &expected);
            println!("{frames} frames, {kv}: {likeness:.1} dB, {} bytes", saved.as_bytes().len());
            assert!(likeness >= 30.0, "{frames} frames, {kv}: {likeness} dB");
            assert!(other.withdraw(tickets.1), "the queue was not kept");
        }
    }
}

/// Layers that keep other frames have them again.
#[test]
fn groups_of_layers_are_brought_back() {
    let mut config = config();
    config.history.groups = vec![GroupConfig { layers: vec![1], window: 4, sink: 0, every: 3, route: 0 }];
    let bytes = model_bytes(&config, DType::F32, 1);
    let model = open(&bytes);
    // As long as nothing has left the window all that there was is brought back.
    let mut exact = create(&model, &one(), Kv::F32);
    play(&mut exact, 5);
    let mut other = create(&model, &one(), Kv::F32);
    other.load(&exact.save().unwrap()).unwrap();
    let likeness = psnr(&play(&mut exact, 1), &play(&mut other, 1));
    assert!(likeness >= 45.0, "{likeness} dB");
    play(&mut exact, 30);
    other.load(&exact.save().unwrap()).unwrap();
    play(&mut other, 10);
    // A window that shows other frames cannot be brought back where only some layers have it.
    let options = SessionOptions { window: Some(5), ..seeded(3) };
    let mut narrow = Session::new(&model, &one(), options).unwrap();
    let error = narrow.load(&exact.save().unwrap());
    assert_eq!(error, Err(SessionError::Saved("its layers keep other frames")));
}

/// A cut that waits for its chunk, in the queue or in flight, is in the game.
#[test]
fn a_cut_goes_with_the_game() {
    let bytes = model_bytes(&config(), DType::F32, 1);
    let model = open(&bytes);
    let mut first = create(&model, &one(), Kv::F32);
    play(&mut first, 12);
    let next = |game: &Saved| {
        let mut other = create(&model, &one(), Kv::F32);
        other.load(game).unwrap();
        next_frame(&mut other, Budget::Frame)
    };
    let plain = next(&first.save().unwrap());
    first.queue(Change { way: Way::Cut, ..Change::to(Condition::Event(first.event())) }).unwrap();
    let waiting = next(&first.save().unwrap());
    assert!(waiting != plain);
    // In the midst of the chunk that follows it.
    assert_eq!(first.pump(Budget::Nodes(30)), Ok(Pump::Pending));
    assert!(next(&first.save().unwrap()) == waiting);
}

/// A session with another window takes the newest frames that it has room for.
#[test]
fn another_window_takes_what_it_shows() {
    let bytes = model_bytes(&config(), DType::F32, 1);
    let model = open(&bytes);
    let mut wide = create(&model, &one(), Kv::F32);
    play(&mut wide, 20);
    let saved = wide.save().unwrap();
    for window in [3, 4, 9] {
        let options = SessionOptions { window: Some(window), sink: Some(0), ..seeded(3) };
        let mut other = Session::new(&model, &one(), options).unwrap();
        other.load(&saved).unwrap();
        assert_eq!(other.position(), wide.position());
        play(&mut other, 2 * window as u64);
    }
}

/// While frames are brought back a stream is sliced, saved exactly and restored as at any other time; a game that is saved then is the same.
#[test]
fn loading_is_a_place_like_any_other() {
    let bytes = model_bytes(&config(), DType::F32, 1);
    let model = open(&bytes);
    let mut first = create(&model, &one(), Kv::F32);
    play(&mut first, 12);
    // In the midst of a chunk, which is not in the game.
    _ = first.pump(Budget::Nodes(30)).unwrap();
    let saved = first.save().unwrap();
    let mut whole = create(&model, &one(), Kv::F32);
    whole.load(&saved).unwrap();
    let expected: Vec<_> = (0..5).map(|_| play(&mut whole, 1)).collect();
    for nodes in [1, 7, 40] {
        let mut session = create(&model, &one(), Kv::F32);
        session.load(&saved).unwrap();
        for _ in 0..5 {
            assert_eq!(session.pump(Budget::Nodes(nodes)), Ok(Pump::Pending));
            let snapshot = session.snapshot().unwrap();
            let again = session.save().unwrap();
            let differs = again.as_bytes().iter().zip(saved.as_bytes()).skip(SUMMED).position(|(a, b)| a != b);
            assert_eq!((differs, again.as_bytes().len()), (None, saved.as_bytes().len()));
            session = create(&model, &one(), Kv::F32);
            session.restore(&snapshot).unwrap();
            // Nothing of a frame that is brought back can be dropped.
            session.abort_chunk();
        }
        let found: Vec<_> = (0..5).map(|_| play(&mut session, 1)).collect();
        assert!(found == expected, "{nodes}");
    }
}

/// A recache that counts the ring anew, a cut, a restart: the game has the frames that the stream sees, and no others.
#[test]
fn games_follow_the_ring() {
    let mut config = config();
    config.history.sink = 2;
    let bytes = model_bytes(&config, DType::F32, 1);
    let model = open(&bytes);
    let options = || SessionOptions { recache: true, start: Start::Empty, ..seeded(3) };
    let mut session = Session::new(&model, &one(), options()).unwrap();
    let sizes = |session: &mut Session, frames| {
        play(session, frames);
        session.save_bytes()
    };
    let empty = session.save_bytes();
    let one_frame = sizes(&mut session, 1) - empty;
    assert_eq!(sizes(&mut session, 3) - empty, 4 * one_frame);
    // A sink of two, and the newest six, of which a recache could make a new window.
    assert_eq!(sizes(&mut session, 20) - empty, 8 * one_frame);
    for way in [Way::Recache, Way::Reset] {
        let sink = causeway_runtime::session::Sink::Refreshed;
        session.queue(Change { way, sink, ..Change::to(Condition::Event(1)) }).unwrap();
        play(&mut session, 1);
        let saved = session.save().unwrap();
        let kept = if way == Way::Reset { 1 } else { 7 };
        assert_eq!(saved.as_bytes().len() - empty, kept * one_frame, "{way:?}");
        let mut other = Session::new(&model, &one(), options()).unwrap();
        other.load(&saved).unwrap();
        play(&mut other, 3);
        play(&mut session, 9);
    }
    session.restart(1).unwrap();
    assert_eq!(session.save_bytes(), empty);
}

#[test]
fn what_cannot_be_loaded_changes_nothing() {
    let bytes = model_bytes(&config(), DType::F32, 1);
    let model = open(&bytes);
    let mut session = create(&model, &one(), Kv::F32);
    play(&mut session, 5);
    let (before, good) = (session.snapshot().unwrap(), session.save().unwrap());
    let other_bytes = model_bytes(&config(), DType::F32, 2);
    let other = create(&open(&other_bytes), &one(), Kv::F32).save().unwrap();
    let with = |at: usize, value: u8| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] = value;
        Saved::from_bytes(bytes)
    };
    let cut = Saved::from_bytes(good.as_bytes()[..100].to_vec());
    let long = Saved::from_bytes([good.as_bytes(), &[0]].concat());
    for (saved, part) in [
        (other, "belongs to other weights"),
        (with(0, b'X'), "mark of a saved game"),
        (with(6, 3), "newer version"),
        (with(300, 255), "damaged"),
        (cut, "damaged"),
        (long, "damaged"),
        (Saved::from_bytes(Vec::new()), "ends too early"),
        (Saved::from_bytes(session.snapshot().unwrap().as_bytes().to_vec()), "mark of a saved game"),
    ] {
        let error = session.load(&saved).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(session.snapshot().unwrap() == before, "{part}");
    }
}

/// A picture that was placed is in the game once it is committed, and before neither it nor its ticket: the game is of the last chunk boundary, with
/// the movement that was under way there.
#[test]
fn a_picture_under_way_is_not_in_the_game() {
    let config = ModelConfig { latch: 5, ..config() };
    let bytes = model_bytes(&config, DType::F32, 1);
    let model = open(&bytes);
    let (mut session, mut other) = (create(&model, &one(), Kv::F32), create(&model, &one(), Kv::F32));
    play(&mut session, 7);
    let mut goes_on = |saved: &Saved| {
        other.load(saved).unwrap();
        while other.pump(Budget::Frame) != Ok(Pump::Frame) {}
        let frame = other.frame().unwrap();
        (frame.receipt.action, frame.receipt.event_ticket, frame.pixels.to_vec())
    };
    let expected = goes_on(&session.save().unwrap());
    let ticket = session.place(&vec![200; 4 * 64 * 64], 1).unwrap();
    let (mut before, mut shown) = (0, false);
    while session.position() == 7 {
        let found = goes_on(&session.save().unwrap());
        assert!(found == expected, "{before} nodes, shown: {shown}; tickets {} and {}", found.1, expected.1);
        before += 1;
        if session.pump(Budget::Nodes(4)).unwrap() == Pump::Frame {
            assert_eq!(session.frame().unwrap().receipt.event_ticket, ticket);
            shown = session.release();
        }
    }
    assert!(before > 5 && shown);
    assert_eq!(goes_on(&session.save().unwrap()).1, ticket);
}

/// Prompts of a few rows are in a game as they are in half precision, those of many as bytes, and what is on its way comes from and goes to them.
#[test]
fn games_of_the_first_version_are_read() {
    let bytes = model_bytes(&config(), DType::F32, 1);
    let model = open(&bytes);
    let mut session = create(&model, &one(), Kv::F32);
    play(&mut session, 9);
    let saved = session.save().unwrap().as_bytes().to_vec();
    play(&mut session, 1);
    let tickets = session.tickets();
    // The first version says nothing of how prompts are stored: behind weights, six dimensions and one ring of four sizes.
    let at = SUMMED + 16 + 8 * (6 + 1 + 4);
    let mut first = saved.clone();
    first.drain(at..at + 8);
    first[6..8].copy_from_slice(&1u16.to_le_bytes());
    // They hold the same, so the same follows.
    let [second, first] = [Saved::from_bytes(saved), resealed_game(first)].map(|game| {
        session.load(&game).unwrap();
        let picture = play(&mut session, 1);
        assert_eq!(session.tickets(), tickets);
        picture
    });
    assert!(first == second);
}
