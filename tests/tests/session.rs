//! Sessions: for any slicing and any number of threads, with snapshots, events and bad input.

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, Device, EventTime, Kv, Pump, Session, SessionError, SessionOptions, Snapshot, Start,
    config::GroupConfig,
    file::write_model_to,
    session::{Change, Condition, Inbox, Output, Way},
};
use causeway_tests::{
    snapshots::{FIELDS, resealed},
    stream::{next_frame, one, open, script, seeded},
    tiny::{model_bytes, random_weights, tiny_config, tiny_model_bytes},
};
use proptest::prelude::*;

/// Frames of a stream under the script, with a budget chosen for every call.
fn stream(options: SessionOptions, frames: usize, budget: impl FnMut() -> Budget) -> Vec<Vec<u8>> {
    stream_on(&one(), options, frames, budget)
}

/// The same on a device.
fn stream_on(
    device: &Device,
    options: SessionOptions,
    frames: usize,
    mut budget: impl FnMut() -> Budget,
) -> Vec<Vec<u8>> {
    let bytes = tiny_model_bytes(1);
    let mut session = Session::new(&open(&bytes), device, options).unwrap();
    (0..frames).map(|_| scripted(&mut session, budget())).collect()
}

/// The next frame under the script.
fn scripted(session: &mut Session, budget: Budget) -> Vec<u8> {
    if session.stats().frames >= 2 {
        let (action, event) = script(session.stats().frames);
        session.set_action(&action).unwrap();
        if let Some(event) = event {
            session.queue_event(event, EventTime::NextChunk).unwrap();
        }
    }
    next_frame(session, budget)
}

#[test]
fn frames_are_the_same_for_any_number_of_threads() {
    let run = |threads| stream_on(&Device::cpu(threads), seeded(3), 24, || Budget::Frame);
    let one = run(1);
    assert!(one.windows(2).any(|pair| pair[0] != pair[1]), "the stream stands still");
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

#[test]
fn frames_differ_by_seed() {
    let run = |seed| stream(seeded(seed), 4, || Budget::Frame);
    assert_ne!(run(1), run(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn frames_are_the_same_for_any_slicing(slices in proptest::collection::vec(1usize..60, 1..20)) {
        let whole = stream(seeded(3), 12, || Budget::Frame);
        let mut at = 0;
        let sliced = stream(seeded(3), 12, || { at += 1; Budget::Nodes(slices[at % slices.len()]) });
        prop_assert_eq!(whole, sliced);
    }

    /// A snapshot at any node restores to a bit-equal future, in the same session and in a new one.
    #[test]
    fn a_snapshot_at_any_node_has_the_same_future(frames in 0usize..6, nodes in 0usize..400, groups: bool) {
        let mut config = tiny_config();
        if groups {
            config.history.groups = vec![GroupConfig { layers: vec![1], window: 3, sink: 0, every: 2, route: 0 }];
        }
        let bytes = model_bytes(&config, DType::F32, 1);
        let model = open(&bytes);
        let mut session = Session::new(&model, &one(), seeded(3)).unwrap();
        for _ in 0..frames {
            scripted(&mut session, Budget::Frame);
        }
        let mut left = nodes;
        while left > 0 {
            let before = session.stats().nodes;
            if session.pump(Budget::Nodes(left)).unwrap() == Pump::Full {
                break;
            }
            left = left.saturating_sub((session.stats().nodes - before).max(1) as usize);
        }
        let snapshot = session.snapshot().unwrap();
        let future = |session: &mut Session| {
            let mut out = Vec::new();
            while session.frame().is_some() {
                out.push(session.frame().unwrap().pixels.to_vec());
                session.release();
            }
            let from = session.position();
            for n in 0..6 {
                let (action, event) = script(from + n);
                session.set_action(&action).unwrap();
                if let Some(event) = event {
                    session.queue_event(event, EventTime::NextChunk).unwrap();
                }
                out.push(next_frame(session, Budget::Frame));
            }
            out
        };
        let first = future(&mut session);
        session.restore(&snapshot).unwrap();
        prop_assert_eq!(&first, &future(&mut session));
        let mut other = Session::new(&model, &one(), seeded(3)).unwrap();
        other.restore(&Snapshot::from_bytes(snapshot.as_bytes().to_vec())).unwrap();
        prop_assert_eq!(&first, &future(&mut other));
    }
}

#[test]
fn an_aborted_chunk_leaves_no_trace() {
    let whole = stream(seeded(3), 8, || Budget::Frame);
    let bytes = tiny_model_bytes(1);
    let mut session = Session::new(&open(&bytes), &one(), seeded(3)).unwrap();
    let mut frames = Vec::new();
    for n in 0..8 {
        if n >= 2 {
            let (action, event) = script(n);
            session.set_action(&action).unwrap();
            if let Some(event) = event {
                session.queue_event(event, EventTime::NextChunk).unwrap();
            }
            while session.pump(Budget::Nodes(1)).unwrap() != Pump::Frame && !session.abort_chunk() {}
        }
        frames.push(next_frame(&mut session, Budget::Frame));
    }
    assert_eq!(session.stats().aborted, 6);
    assert_eq!(whole, frames);
}

#[test]
fn receipts_name_the_first_frame_of_actions_and_events() {
    let bytes = tiny_model_bytes(1);
    let mut session = Session::new(&open(&bytes), &one(), SessionOptions { start: Start::Empty, ..seeded(3) }).unwrap();
    let receipt = |session: &mut Session| {
        while session.pump(Budget::Frame).unwrap() != Pump::Frame {}
        let receipt = session.frame().unwrap().receipt;
        session.release();
        receipt
    };
    let r = receipt(&mut session);
    assert_eq!((r.frame, r.action, r.first_of_action, r.event, r.first_of_event), (0, 0, false, 0, false));
    let action = session.set_action(&[1.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    let event = session.queue_event(2, EventTime::Frame(3)).unwrap();
    let r = receipt(&mut session);
    assert_eq!((r.frame, r.action, r.first_of_action, r.event), (1, action, true, 0));
    let r = receipt(&mut session);
    assert_eq!((r.frame, r.action, r.first_of_action, r.event), (2, action, false, 0));
    let r = receipt(&mut session);
    assert_eq!((r.frame, r.event, r.event_ticket, r.first_of_event), (3, 2, event, true));
    assert!(!receipt(&mut session).first_of_event);
    assert!(r.ready >= r.began);
}

#[test]
fn a_picture_starts_a_stream() {
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let picture = |value: u8| Start::Image([value, value / 2, 255 - value, 255].repeat(64 * 64));
    let run = |start| {
        let mut session = Session::new(&model, &one(), SessionOptions { start, ..seeded(3) }).unwrap();
        (0..3).map(|_| next_frame(&mut session, Budget::Frame)).collect::<Vec<_>>()
    };
    assert_ne!(run(picture(10)), run(picture(200)));
    assert_eq!(run(picture(10)), run(picture(10)));
    let options = SessionOptions { start: Start::Image(vec![0; 12]), ..seeded(3) };
    let error = Session::new(&model, &one(), options).err().unwrap();
    assert_eq!(error, SessionError::StartSize { what: "picture", expected: 4 * 64 * 64, found: 12 });
}

#[test]
fn a_host_that_takes_no_frames_pauses_the_stream() {
    let bytes = tiny_model_bytes(1);
    let mut session = Session::new(&open(&bytes), &one(), seeded(3)).unwrap();
    let mut seen = 0;
    loop {
        match session.pump(Budget::Frame).unwrap() {
            Pump::Frame => seen += 1,
            Pump::Full => break,
            Pump::Pending | Pump::Early(_) => {}
        }
    }
    assert_eq!(seen, 2);
    assert!(session.release());
    assert_eq!(session.pump(Budget::Frame).unwrap(), Pump::Frame);
}

/// Every bad option gets its own sentence.
#[test]
fn bad_options_are_refused() {
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let table: [(&str, SessionOptions, &str); 7] = [
        ("window 0", SessionOptions { window: Some(0), ..seeded(0) }, "window is 0"),
        ("sink", SessionOptions { sink: Some(9), ..seeded(0) }, "sink is 9"),
        ("k > window", SessionOptions { route: Some(7), ..seeded(0) }, "route keeps 7"),
        ("steps", SessionOptions { steps: Some(3), ..seeded(0) }, "step lists for 2, 4"),
        ("event", SessionOptions { event: Some(8), ..seeded(0) }, "there is no event 8; this model has: daylight"),
        ("cap", SessionOptions { memory_cap: Some(1000), ..seeded(0) }, "the memory cap is 1000"),
        ("queue", SessionOptions { queue: 0, ..seeded(0) }, "queue is 0"),
    ];
    for (row, options, expected) in table {
        match Session::new(&model, &one(), options) {
            Ok(_) => panic!("{row}: accepted"),
            Err(error) => assert!(error.to_string().contains(expected), "{row}: {error}"),
        }
    }
    let missing = Device::gpu("no such adapter").expect_err("a GPU of that name");
    assert!(missing.to_string().contains("no GPU adapter"), "{missing}");
    let mut session = Session::new(&model, &one(), seeded(0)).unwrap();
    assert_eq!(session.set_action(&[0.0; 4]), Err(SessionError::ActionLength { expected: 5, found: 4 }));
    assert_eq!(session.set_action(&[0.0, f32::NAN, 0.0, 0.0, 0.0]), Err(SessionError::ActionValue(1)));
    let unknown = SessionError::UnknownEvent { found: 3, known: "daylight, amber, night".into() };
    assert_eq!(session.queue_event(3, EventTime::NextChunk), Err(unknown));
    next_frame(&mut session, Budget::Frame);
}

#[test]
fn the_memory_cap_is_exact() {
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let needed = Session::new(&model, &one(), seeded(0)).unwrap().memory().total();
    let with = |cap| Session::new(&model, &one(), SessionOptions { memory_cap: Some(cap), ..seeded(0) });
    assert!(with(needed).is_ok());
    assert_eq!(with(needed - 1).err(), Some(SessionError::MemoryCap { needed, cap: needed - 1 }));
}

#[test]
fn damaged_snapshots_are_refused_and_change_nothing() {
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let mut session = Session::new(&model, &one(), seeded(3)).unwrap();
    for _ in 0..3 {
        scripted(&mut session, Budget::Frame);
    }
    let good = session.snapshot().unwrap();
    let whole = stream(seeded(3), 6, || Budget::Frame);
    for cut in (0..400).step_by(7).chain([good.as_bytes().len() - 1]) {
        let error = session.restore(&Snapshot::from_bytes(good.as_bytes()[..cut].to_vec())).unwrap_err();
        assert!(matches!(error, SessionError::Snapshot(_)), "{cut}: {error}");
    }
    let mut longer = good.as_bytes().to_vec();
    longer.push(0);
    assert!(session.restore(&Snapshot::from_bytes(longer)).is_err());
    let mut other = Session::new(&model, &one(), SessionOptions { window: Some(5), ..seeded(3) }).unwrap();
    assert_eq!(other.restore(&good), Err(SessionError::SnapshotOfAnother));
    // Numbers that no stream gets to, at every place before the arena: refused before anything is touched, or harmless.
    let fields = good.as_bytes();
    let head = fields.len() - session.backend().arena_bytes();
    let mut refused = 0;
    for at in (FIELDS..head).step_by(8) {
        for value in [100, 1 << 40, u64::MAX] {
            let mut bytes = fields.to_vec();
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
            match session.restore(&resealed(bytes)) {
                Ok(()) => session.restore(&good).unwrap(),
                Err(SessionError::Snapshot(_)) => {
                    refused += 1;
                    assert_eq!(session.snapshot().unwrap(), good, "{value} at {at}");
                }
                Err(other) => panic!("{value} at {at}: {other}"),
            }
        }
    }
    // Place in the plan, frames, tickets, lengths of what waits; not actions, weights and the seed.
    assert!(refused >= 60, "{refused}");
    let mut more = fields.to_vec();
    more[head - 8..head].copy_from_slice(&100u64.to_le_bytes());
    let error = session.restore(&resealed(more)).unwrap_err().to_string();
    assert!(error.contains("more frames than the queue"), "{error}");
    assert_eq!(whole[3], scripted(&mut session, Budget::Frame));
}

/// Each latent frame of a chunk is told the row of its last picture; the last row goes on, also after a chunk that was dropped.
#[test]
fn rows_of_actions_are_told_to_their_frames() {
    let mut config = tiny_config();
    config.dit.chunk = 3;
    config.history.window = 7;
    let bytes = model_bytes(&config, DType::F32, 11);
    let model = open(&bytes);
    let entries = config.dit.actions.len();
    let mut session =
        Session::new(&model, &one(), SessionOptions { start: Start::Empty, queue: 3, ..seeded(5) }).unwrap();
    let row = |value: f32| vec![value; entries];
    let told = |session: &mut Session| {
        let id = session.stream().conditions.actions.unwrap();
        let mut values = vec![0f32; session.plan().buffer(id).len];
        session.backend().read(id, bytemuck::cast_slice_mut(&mut values)).unwrap();
        values.chunks(entries).map(|row| row[0]).collect::<Vec<_>>()
    };
    let next = |session: &mut Session| {
        (0..3).for_each(|_| _ = next_frame(session, Budget::Frame));
        told(session)
    };
    let ticket = session.set_actions(&[row(0.1), row(0.2), row(0.3)].concat()).unwrap();
    _ = session.pump(Budget::Nodes(9)).unwrap();
    assert!(session.abort_chunk());
    // Through a snapshot too.
    let snapshot = session.snapshot().unwrap();
    session.set_actions(&row(0.9)).unwrap();
    session.restore(&snapshot).unwrap();
    assert_eq!(next(&mut session), [0.1, 0.2, 0.3]);
    assert_eq!((next(&mut session), session.tickets().0), (vec![0.3; 3], ticket));
    session.set_actions(&[row(0.4), row(0.5)].concat()).unwrap();
    assert_eq!(next(&mut session), [0.4, 0.5, 0.5]);
    session.set_action(&row(0.6)).unwrap();
    assert_eq!(next(&mut session), [0.6; 3]);
    let many = session.set_actions(&row(0.0).repeat(4));
    assert_eq!(many, Err(SessionError::ActionRows { rows: 4, most: 3 }));
    assert!(matches!(session.set_actions(&[0.0; 4]), Err(SessionError::ActionLength { .. })));
    assert!(matches!(session.set_actions(&[]), Err(SessionError::ActionLength { .. })));
    // By an inbox, which knows as much.
    let mut inbox = Inbox::new(&session);
    assert_eq!(inbox.set_actions(&row(0.0).repeat(4), entries), Err(SessionError::ActionRows { rows: 4, most: 3 }));
    inbox.set_actions(&[row(0.7), row(0.8)].concat(), entries).unwrap();
    inbox.feed(&mut session).unwrap();
    assert_eq!(next(&mut session), [0.7, 0.8, 0.8]);
    // A movement that lasts several frames is one action.
    config.latch = 6;
    let bytes = model_bytes(&config, DType::F32, 11);
    let mut latched = Session::new(&open(&bytes), &one(), SessionOptions { queue: 3, ..seeded(5) }).unwrap();
    assert_eq!(latched.set_actions(&row(1.0).repeat(2)), Err(SessionError::ActionRows { rows: 2, most: 1 }));
}

/// After a cut nothing is left of the frames before it, not even the last one, which some models are told by itself.
#[test]
fn a_cut_leaves_nothing_of_the_past() {
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let run = |past: f32| {
        let options = SessionOptions { start: Start::Empty, output: Output::Latents, ..seeded(3) };
        let mut session = Session::new(&model, &one(), options).unwrap();
        let mut values = vec![0.0; model.config().dit.latent_len()];
        let mut frames = Vec::new();
        for frame in 0..9 {
            session.set_action(&vec![if frame < 4 { past } else { 0.5 }; model.config().dit.actions.len()]).unwrap();
            if frame == 4 {
                session.queue(Change { way: Way::Reset, ..Change::to(Condition::Event(1)) }).unwrap();
            }
            while session.pump(Budget::Frame).unwrap() != Pump::Frame {}
            session.latent(&mut values).unwrap();
            frames.push(values.clone());
        }
        frames
    };
    let (one, other) = (run(0.0), run(1.0));
    assert_ne!(one[..4], other[..4]);
    assert_eq!(one[4..], other[4..]);
}

/// A bit of a snapshot that has changed, anywhere: refused, with nothing changed.
#[test]
fn damage_shows_in_the_checksum() {
    let bytes = tiny_model_bytes(1);
    let mut session = Session::new(&open(&bytes), &one(), seeded(3)).unwrap();
    for _ in 0..3 {
        scripted(&mut session, Budget::Frame);
    }
    let good = session.snapshot().unwrap();
    let mut bytes = good.as_bytes().to_vec();
    for bit in (0..8 * bytes.len()).step_by(9973) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(session.restore_bytes(&bytes), Err(SessionError::Snapshot(_))), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(session.snapshot().unwrap(), good);
}

/// Weights of the same shapes are other weights, and so are those of a file that says nothing of its contents.
#[test]
fn a_snapshot_of_other_weights_is_refused() {
    let play = |bytes: &[u8]| {
        let mut session = Session::new(&open(bytes), &one(), seeded(3)).unwrap();
        scripted(&mut session, Budget::Frame);
        session
    };
    let stripped = |bytes: &[u8]| {
        // Another key of the same length, which nobody knows.
        let mut bytes = bytes.to_vec();
        let at = bytes.windows(20).position(|window| window == b"causeway.fingerprint").unwrap();
        bytes[at..at + 20].copy_from_slice(b"somebody.elses.print");
        bytes
    };
    let [mut same, mut other] = [1, 2].map(|seed| play(&tiny_model_bytes(seed)));
    let snapshot = play(&tiny_model_bytes(1)).snapshot().unwrap();
    same.restore(&snapshot).unwrap();
    assert_eq!(other.restore(&snapshot), Err(SessionError::SnapshotOfAnother));
    let [mut same, mut other] = [1, 2].map(|seed| play(&stripped(&tiny_model_bytes(seed))));
    let snapshot = play(&stripped(&tiny_model_bytes(1))).snapshot().unwrap();
    same.restore(&snapshot).unwrap();
    assert_eq!(other.restore(&snapshot), Err(SessionError::SnapshotOfAnother));
}

/// A snapshot of an earlier build in which somebody changed a field, and made its mark that of this one: refused, and nothing is touched.
#[test]
fn an_old_snapshot_with_a_changed_field_is_refused() {
    let old = include_bytes!("../data/attack/snapshot-11-0");
    let bytes = tiny_model_bytes(1);
    let mut session = Session::new(&open(&bytes), &one(), seeded(3)).unwrap();
    scripted(&mut session, Budget::Frame);
    let good = session.snapshot().unwrap();
    let mut marked = old.to_vec();
    marked[..8].copy_from_slice(&good.as_bytes()[..8]);
    for bytes in [old.to_vec(), marked.clone(), resealed(marked).as_bytes().to_vec()] {
        let error = session.restore_bytes(&bytes).unwrap_err();
        assert!(matches!(error, SessionError::Snapshot(_) | SessionError::SnapshotOfAnother), "{error}");
        assert_eq!(session.snapshot().unwrap(), good);
    }
}

/// Numbers beyond what a model was made for are refused. Weights that make a chunk overflow all the same: it is dropped and reported, and the
/// stream plays on from where it stood once it is told something else.
#[test]
fn a_chunk_that_is_not_finite_leaves_no_trace() {
    let mut config = tiny_config();
    config.limits.action = 1e6;
    let weights = |name: &str, shape: &[usize]| {
        let mut values = random_weights(name, shape, 1);
        // Only actions far from 0 come out as infinite.
        if name.starts_with("dit.action_embedding") && name.ends_with("weight") {
            values.iter_mut().for_each(|value| *value *= 1e17);
        }
        if name.starts_with("dit.action_embedding") && name.ends_with("bias") {
            values.fill(0.0);
        }
        values
    };
    let bytes = write_model_to(Vec::new(), &config, DType::F32, weights).unwrap();
    let model = open(&bytes);
    let create = || Session::new(&model, &one(), seeded(3)).unwrap();
    let entries = config.dit.actions.len();
    let (mut session, mut undisturbed) = (create(), create());
    for _ in 0..4 {
        assert_eq!(next_frame(&mut session, Budget::Frame), next_frame(&mut undisturbed, Budget::Frame));
    }
    for wrong in [1e20, -1.1e6, f32::NAN] {
        let mut action = vec![0.0; entries];
        action[1] = wrong;
        let error = session.set_action(&action).unwrap_err();
        let beyond = matches!(error, SessionError::Beyond { index: 1, .. } | SessionError::ActionValue(1));
        assert!(beyond, "{wrong}: {error}");
    }
    for budget in [Budget::Frame, Budget::Nodes(7)] {
        session.set_action(&vec![1e6; entries]).unwrap();
        let error = loop {
            match session.pump(budget) {
                Ok(Pump::Pending) => {}
                other => break other,
            }
        };
        assert_eq!(error, Err(SessionError::ChunkNotFinite { frame: session.position() }));
        // What it is told next is all that the next chunk knows of.
        session.set_action(&vec![0.0; entries]).unwrap();
        for _ in 0..3 {
            assert_eq!(next_frame(&mut session, budget), next_frame(&mut undisturbed, Budget::Frame));
        }
    }
}

/// A snapshot with one number changed is refused, or the session goes on from it, to frames or an error.
#[test]
fn damaged_snapshots_that_are_taken_play_on() {
    let mut config = tiny_config();
    config.history.sink = 1;
    let bytes = model_bytes(&config, DType::F32, 1);
    let model = open(&bytes);
    let mut session = Session::new(&model, &one(), SessionOptions { recache: true, ..seeded(3) }).unwrap();
    for _ in 0..4 {
        scripted(&mut session, Budget::Frame);
    }
    // One change is due and takes several chunks, one waits.
    let recache = Change { way: Way::Recache, chunks: 3, ..Change::to(Condition::Event(0)) };
    session.queue(recache).unwrap();
    session.queue_event(1, EventTime::Frame(1000)).unwrap();
    let good = session.snapshot().unwrap();
    let head = good.as_bytes().len() - session.backend().arena_bytes();
    let mut taken = 0;
    for at in (FIELDS..head - 8).step_by(4) {
        for value in [0, 1, 2] {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
            if session.restore(&resealed(bytes)).is_err() {
                continue;
            }
            taken += 1;
            let mut frames = 0;
            while frames < 2 {
                match session.pump(Budget::Nodes(400)) {
                    Ok(Pump::Frame | Pump::Full) => frames += usize::from(session.release()),
                    Ok(Pump::Pending | Pump::Early(_)) => {}
                    Err(_) => break,
                }
            }
        }
    }
    assert!(taken > 100, "{taken}");
}

/// A clock that goes back by a millisecond each time it is asked, or jumps.
struct Backwards(std::sync::atomic::AtomicU64);

impl causeway_runtime::clock::Clock for Backwards {
    fn micros(&self) -> u64 {
        self.0.fetch_sub(1000, std::sync::atomic::Ordering::Relaxed)
    }
}

#[test]
fn budgets_have_no_edge_and_clocks_may_run_backwards() {
    let expected = stream(seeded(3), 4, || Budget::Frame);
    for micros in [0, 1, u64::MAX / 2, u64::MAX - 99, u64::MAX] {
        assert_eq!(stream(seeded(3), 4, || Budget::Micros(micros)), expected, "{micros}");
    }
    let bytes = tiny_model_bytes(1);
    let clock = Backwards(std::sync::atomic::AtomicU64::new(1 << 40));
    let mut session =
        Session::new(&open(&bytes), &one(), SessionOptions { clock: Some(Box::new(clock)), ..seeded(3) }).unwrap();
    // Each pump ends early, so no frame of the host's waits for ever.
    assert_eq!(session.pump(Budget::Micros(1_000_000)).unwrap(), Pump::Pending);
    assert!(session.stats().nodes <= 1);
    for frame in expected {
        assert_eq!(scripted(&mut session, Budget::Micros(1_000_000)), frame);
    }
}

/// A session with a packed ring holds less, stays close to the f32 one, and keeps its snapshots to itself.
#[test]
fn packed_rings_stay_close() {
    let bytes = tiny_model_bytes(3);
    let model = open(&bytes);
    let run = |kv| {
        let mut session = Session::new(&model, &one(), SessionOptions { kv, ..seeded(5) }).unwrap();
        let frames = (0..12).flat_map(|_| next_frame(&mut session, Budget::Frame)).collect::<Vec<u8>>();
        (frames, session.memory().state, session.snapshot().unwrap())
    };
    let (expected, state, snapshot) = run(Kv::F32);
    for (kv, least) in [(Kv::F16, 45.0), (Kv::Q8, 35.0)] {
        let (found, packed, _) = run(kv);
        let squares = found.iter().zip(&expected).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>();
        let psnr = 20.0 * (255.0 / (squares / found.len() as f64).sqrt()).log10();
        println!("{kv}: {psnr:.1} dB, {packed} bytes of state instead of {state}");
        assert!(packed < state && psnr >= least, "{kv}: {psnr} dB, {packed} bytes of {state}");
        let mut other = Session::new(&model, &one(), SessionOptions { kv, ..seeded(5) }).unwrap();
        assert_eq!(other.restore(&snapshot), Err(SessionError::SnapshotOfAnother), "{kv}");
    }
}

/// Where a model's actions last, a session makes the frames of one that is told the movement under way in each of them; also from a
/// snapshot in the midst of one.
#[test]
fn actions_last_as_the_model_says() {
    let mut config = tiny_config();
    let plain = model_bytes(&config, DType::F32, 3);
    config.latch = 3;
    let lasting = model_bytes(&config, DType::F32, 3);
    let (plain, lasting) = (open(&plain), open(&lasting));
    let options = || SessionOptions { start: Start::Empty, ..seeded(5) };
    let (mut told, mut latched) =
        (Session::new(&plain, &one(), options()).unwrap(), Session::new(&lasting, &one(), options()).unwrap());
    let key = |n: Option<usize>| -> Vec<f32> { (0..5).map(|i| f32::from(u8::from(Some(i) == n))).collect() };
    let pressed = [Some(0), None, Some(2), Some(2), None, Some(1), None, Some(3)];
    let movement = [Some(0), Some(0), Some(0), Some(2), Some(2), Some(2), None, Some(3)];
    let (mut tickets, mut middle) = (Vec::new(), None);
    for (n, (&pressed, &movement)) in pressed.iter().zip(&movement).enumerate() {
        told.set_action(&key(movement)).unwrap();
        latched.set_action(&key(pressed)).unwrap();
        let expected = next_frame(&mut told, Budget::Frame);
        while latched.pump(Budget::Frame).unwrap() != Pump::Frame {}
        let frame = latched.frame().unwrap();
        assert_eq!(frame.pixels, expected, "frame {n}");
        tickets.push(frame.receipt.action);
        latched.release();
        if n == 4 {
            middle = Some(latched.snapshot().unwrap());
        }
    }
    // A frame names the action that its movement began with.
    assert_eq!(tickets, [1, 1, 1, 4, 4, 4, 7, 8]);
    latched.restore(&middle.unwrap()).unwrap();
    latched.set_action(&key(Some(1))).unwrap();
    let mut again = Session::new(&plain, &one(), options()).unwrap();
    let made: Vec<_> = movement[..6]
        .iter()
        .map(|movement| {
            again.set_action(&key(*movement)).unwrap();
            next_frame(&mut again, Budget::Frame)
        })
        .collect();
    assert_eq!(next_frame(&mut latched, Budget::Frame), made[5]);
}
