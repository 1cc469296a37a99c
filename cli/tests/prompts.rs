//! Streams that change what they are told, of worlds and of Wan networks with their codecs: the same bits however they are sliced, spread over
//! threads, saved and aborted.

mod common;

use std::cell::RefCell;

use causeway_runtime::{
    Budget, Device, Pump, Receipt, Session, SessionError, SessionOptions, Start,
    session::{Change, Condition, Output, Sink, Snapshot, Way},
};
use causeway_tests::{
    machine,
    snapshots::{FIELDS, resealed},
    tiny::Random,
};
use common::{
    error,
    play::{Cast, Given, LATENTS, VARIANTS, at, casts, frames, play, random, take},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// Checks a property on so many random values.
fn property<S: Strategy>(cases: u32, values: S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&values, holds).unwrap_or_else(|error| panic!("{error}"));
}

/// The stream of the script in one piece.
fn whole(cast: &Cast, variant: &str) -> Vec<Given> {
    let mut session = cast.told(variant, 1);
    let count = frames(&session);
    play(&mut session, count, || Budget::Frame)
}

/// The first frame that differs.
fn differs(found: &[Given], expected: &[Given]) -> Option<String> {
    let pairs = found.iter().zip(expected);
    let at = pairs.clone().position(|(a, b)| a != b).or((found.len() != expected.len()).then_some(pairs.len()))?;
    let receipts = [found, expected].map(|all| all.get(at).map(|given| given.0));
    Some(format!("frame {at} of {} and {}: {receipts:?}", found.len(), expected.len()))
}

fn same(found: &[Given], expected: &[Given], what: impl FnOnce() -> String) -> Result<(), TestCaseError> {
    match differs(found, expected) {
        Some(how) => Err(TestCaseError::fail(format!("{}: {how}", what()))),
        None => Ok(()),
    }
}

fn budgets() -> impl Strategy<Value = Vec<Budget>> {
    let one =
        prop_oneof![4 => (1usize..80).prop_map(Budget::Nodes), 1 => Just(Budget::Micros(0)), 1 => Just(Budget::Frame)];
    proptest::collection::vec(one, 1..16)
}

#[test]
fn streams_are_the_same_for_any_slicing_and_any_number_of_threads() {
    for cast in casts("prompts-slices") {
        for variant in VARIANTS {
            let expected = whole(&cast, variant);
            assert!(expected.windows(2).all(|pair| pair[0].1 != pair[1].1), "{} {variant} stands still", cast.name);
            property(4, (budgets(), 1usize..4), |(budgets, threads)| {
                let mut next = 0;
                let budget = || {
                    next += 1;
                    budgets[next % budgets.len()]
                };
                let found = play(&mut cast.told(variant, threads), expected.len(), budget);
                same(&found, &expected, || format!("{} {variant}, {threads} threads", cast.name))
            });
            let found = play(&mut cast.told(variant, 2), expected.len(), || Budget::Micros(0));
            assert_eq!(differs(&found, &expected), None, "{} {variant}, node by node", cast.name);
        }
    }
}

/// Where a stream can be, by what its snapshot says of the program under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    Condition,
    Chunk,
    Given,
    Picture,
    Recache,
}

impl Place {
    fn of(session: &mut Session) -> Self {
        let snapshot = session.snapshot().unwrap();
        match snapshot.as_bytes()[FIELDS..][..8] {
            [0, 0, ..] => Self::Between,
            [1, 0, ..] => Self::Condition,
            [2, 0, ..] => Self::Chunk,
            [3, 0, ..] => Self::Given,
            [4, 0, ..] => Self::Picture,
            [5, 0, ..] => Self::Recache,
            ref other => panic!("{other:?}"),
        }
    }
}

/// What a whole stream goes through, pump by pump of a node each: where it is behind each, and how many frames it has given.
fn places(cast: &Cast, variant: &str) -> Vec<(Place, u64)> {
    let mut session = cast.told(variant, 1);
    let count = frames(&session);
    let mut places = Vec::new();
    while session.stats().frames < count as u64 {
        _ = session.pump(Budget::Nodes(1)).unwrap();
        take(&mut session);
        places.push((Place::of(&mut session), session.stats().frames));
    }
    places
}

/// Cast and variant of streams that are looked at closely.
const CLOSE: [(usize, &str); 7] =
    [(0, "plain"), (0, "start"), (1, "first chunk"), (1, "guided"), (1, "latents"), (2, "route"), (2, "picture")];

#[test]
fn a_snapshot_anywhere_has_the_same_future() {
    let casts = casts("prompts-snapshots");
    for (cast, variant) in CLOSE {
        let (cast, places) = (&casts[cast], places(&casts[cast], variant));
        let expected = whole(cast, variant);
        let indices = |wanted: &dyn Fn(&(Place, u64)) -> bool| -> Vec<usize> {
            places.iter().enumerate().filter(|(_, place)| wanted(place)).map(|(at, _)| at).collect()
        };
        let session = cast.told(variant, 1);
        // From the first part of a blend that is shown to before the last one is.
        let blend = session.picture_of(16)..session.picture_of(20);
        drop(session);
        let kinds = [
            indices(&|_| true),
            indices(&|place| place.0 == Place::Recache),
            indices(&|place| place.0 == Place::Condition),
            indices(&|place| place.0 == Place::Between),
            indices(&|place| blend.contains(&place.1)),
            indices(&|place| blend.contains(&place.1) && place.0 == Place::Recache),
        ];
        assert!(kinds.iter().all(|indices| indices.len() >= 2));
        property(2, (proptest::array::uniform6(0f64..1.0), 1usize..4), |(at, threads)| {
            let chosen = |(indices, at): (&Vec<usize>, f64)| indices[(at * indices.len() as f64) as usize];
            let mut wanted: Vec<usize> = kinds.iter().zip(at).map(chosen).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let (mut session, mut snapshots) = (cast.told(variant, 1), Vec::new());
            let (mut pumped, mut waits) = (0, false);
            for &place in &wanted {
                while pumped <= place {
                    // A frame that waits for its host is in the snapshot.
                    take(&mut session);
                    waits = session.pump(Budget::Nodes(1)).unwrap() == Pump::Frame;
                    pumped += 1;
                }
                let given = session.stats().frames as usize - usize::from(waits);
                snapshots.push((session.snapshot().unwrap(), given));
            }
            let mut other = cast.told(variant, threads);
            play(&mut other, 5, || Budget::Frame);
            for (snapshot, given) in snapshots {
                let rest = &expected[given..];
                let what = |whose| format!("{} {variant}, {whose} session, {wanted:?}, {given} given", cast.name);
                session.restore(&snapshot).unwrap();
                same(&play(&mut session, rest.len(), || Budget::Nodes(7)), rest, || what("the same"))?;
                other.restore(&Snapshot::from_bytes(snapshot.as_bytes().to_vec())).unwrap();
                same(&play(&mut other, rest.len(), || Budget::Frame), rest, || what("another"))?;
            }
            Ok(())
        });
    }
}

/// What is aborted, anywhere and however often, leaves no trace.
#[test]
fn aborts_leave_no_trace() {
    let casts = casts("prompts-aborts");
    for (cast, variant) in CLOSE {
        let cast = &casts[cast];
        let (expected, all) = (whole(cast, variant), RefCell::new(Vec::new()));
        property(4, (any::<u64>(), 5usize..100), |(seed, rarely)| {
            let mut random = Random(seed);
            let mut session = cast.told(variant, 1);
            let (mut found, mut aborted) = (Vec::new(), Vec::new());
            while found.len() < expected.len() {
                _ = session.pump(Budget::Nodes(1 + random.below(3))).unwrap();
                found.extend(take(&mut session));
                let place = Place::of(&mut session);
                // Conditions are short, and recaches few; chunks leave some for them.
                let (one_in, most) = match place {
                    Place::Condition => (4, 100),
                    Place::Recache => (20, 100),
                    _ => (rarely, 60),
                };
                if random.below(one_in) == 0 && aborted.len() < most {
                    let before = session.snapshot().unwrap();
                    if session.abort_chunk() {
                        aborted.push(place);
                    } else {
                        prop_assert!(session.snapshot().unwrap() == before);
                    }
                }
            }
            prop_assert_eq!(session.stats().aborted, aborted.len() as u64);
            all.borrow_mut().extend(&aborted);
            same(&found, &expected, || format!("{} {variant}, aborted {aborted:?}", cast.name))
        });
        let all = all.into_inner();
        let is = |place| all.contains(&place);
        assert!(is(Place::Condition) && is(Place::Chunk) && is(Place::Recache), "{} {variant}: {all:?}", cast.name);
        assert!(!is(Place::Given) && !is(Place::Picture) && !is(Place::Between), "{} {variant}: {all:?}", cast.name);
    }
}

/// A stream of latents of chunks of some size, by how much larger the window is, what is asked for as its sink, how much smaller the first chunk
/// is, and with how many chunks it is given to start from.
fn ring(cast: &Cast, (chunk, more, sink, less, given): (usize, usize, usize, usize, usize)) -> SessionOptions {
    // A world commits what it is given frame by frame and needs some history.
    let (room, later) = if cast.prompts() { (more, chunk) } else { (more + 1, 1) };
    let first = chunk - less.min(chunk - 1);
    let [frame, begin] = if cast.prompts() { [4 * 2 * 4, first] } else { [4 * 8 * 8, 1] };
    let start = |given: usize| Start::Latents(random(3, (begin + (given - 1) * later) * frame));
    SessionOptions {
        chunk: Some(chunk),
        window: Some(chunk + room),
        sink: Some(sink.min(room)),
        first_chunk: Some(first),
        start: if given > 0 { start(given) } else { Start::Empty },
        ..cast.options("latents")
    }
}

/// Any window, sink, chunk and start, under any changes at any time: what is due can be done, in pieces as in one.
#[test]
fn any_ring_plays_any_changes() {
    let sizes = (1usize..4, 0usize..7, 0usize..7, 0usize..3, 0usize..4);
    let ways = prop_oneof![Just(Way::Keep), Just(Way::Recache), Just(Way::Reset)];
    let sinks = prop_oneof![Just(Sink::Kept), Just(Sink::Refreshed)];
    let changes = proptest::collection::vec((0u64..30, 0usize..4, ways, sinks, 0usize..4), 0..12);
    let values = (sizes, changes, 1usize..30);
    for cast in &casts("prompts-rings")[..2] {
        property(100, values.clone(), |(sizes, changes, nodes)| {
            let create = || {
                let mut session = cast.create(ring(cast, sizes), 1).unwrap();
                cast.fill(&mut session);
                session.queue(Change::to(cast.condition(0))).unwrap();
                for &(latent, which, way, sink, chunks) in &changes {
                    let time = at(&session, latent);
                    session.queue(Change { way, sink, chunks, time, ..Change::to(cast.condition(which)) }).unwrap();
                }
                session
            };
            let expected = play(&mut create(), 36, || Budget::Frame);
            prop_assert!(expected.iter().flat_map(values_of).all(f32::is_finite));
            let (mut session, mut other) = (create(), create());
            let mut found = play(&mut session, nodes, || Budget::Nodes(nodes));
            other.restore(&session.snapshot().unwrap()).unwrap();
            found.extend(play(&mut other, 36 - nodes, || Budget::Nodes(nodes)));
            same(&found, &expected, || cast.name.to_owned())
        });
    }
}

/// Values of a latent frame.
fn values_of(given: &Given) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(&given.1)
}

/// A stream that begins anew is a new one of that seed under the prompts in force, wherever it was.
#[test]
fn a_restarted_stream_is_a_new_one() {
    for cast in casts("prompts-restarts") {
        for variant in ["first chunk", "guided", "picture", "start"] {
            property(3, 0usize..900, |nodes| {
                let mut new = cast.create(SessionOptions { seed: 11, ..cast.options(variant) }, 1).unwrap();
                if cast.prompts() {
                    cast.fill(&mut new);
                    new.queue(Change::to(Condition::Prompt(3))).unwrap();
                }
                if variant == "guided" && cast.prompts() {
                    new.queue(Change::to(Condition::Negative(4))).unwrap();
                }
                let mut session = session_at(&cast, variant, nodes);
                session.restart(11).unwrap();
                let [found, expected] =
                    [&mut session, &mut new].map(|session| play(session, 24, || Budget::Nodes(100)));
                let differs = found.iter().zip(&expected).position(|(found, expected)| found.1 != expected.1);
                prop_assert_eq!(differs, None, "{} {}, {} nodes", cast.name, variant, nodes);
                Ok(())
            });
        }
    }
}

/// A stream in which the prompt of slot 3 is in force, so many nodes later.
fn session_at(cast: &Cast, variant: &str, nodes: usize) -> Session {
    let mut session = cast.told(variant, 1);
    let count = session.picture_of(12) as usize + 1;
    play(&mut session, count, || Budget::Frame);
    let end = session.stats().nodes + nodes as u64;
    while session.stats().nodes < end && session.position() <= 12 {
        _ = session.pump(Budget::Nodes(1)).unwrap();
        take(&mut session);
    }
    session
}

/// Nodes of large pictures go in parts: between any two of them a stream can be saved, and what is dropped there leaves no trace.
#[test]
fn parts_of_nodes_are_places_too() {
    let [_, cast, _] = &casts("prompts-parts");
    let create = |threads| {
        let options = cast.options("plain");
        let mut session =
            cast.create(SessionOptions { size: Some((256, 192)), chunk: Some(1), ..options }, threads).unwrap();
        cast.tell(&mut session, "plain");
        session
    };
    const FRAMES: usize = 25;
    let expected = play(&mut create(2), FRAMES, || Budget::Frame);
    let (mut session, mut other) = (create(2), create(1));
    let (mut found, mut inside, mut dropped, mut random) = (Vec::new(), 0, 0, Random(7));
    while found.len() < FRAMES {
        _ = session.pump(Budget::Nodes(1)).unwrap();
        found.extend(take(&mut session));
        if random.below(4) > 0 {
            continue;
        }
        // Program and its number, step, level, node, part.
        let head = session.snapshot().unwrap();
        let part = u64::from_le_bytes(head.as_bytes()[FIELDS + 40..][..8].try_into().unwrap());
        if part > 0 {
            inside += 1;
            dropped += usize::from(session.abort_chunk());
            other.restore(&head).unwrap();
            let rest = &expected[found.len()..FRAMES.min(found.len() + 1)];
            assert_eq!(differs(&play(&mut other, rest.len(), || Budget::Micros(1000)), rest), None, "part {part}");
        }
    }
    assert!(inside > 10 && dropped > 2);
    assert_eq!(differs(&found, &expected), None);
}

/// Numbers that no stream gets to, and some that it might, at every place before the arena: refused with nothing changed, or harmless.
#[test]
fn damaged_snapshots_are_refused_or_harmless() {
    let casts = casts("prompts-damaged");
    for (cast, variant) in CLOSE {
        let (cast, places) = (&casts[cast], places(&casts[cast], variant));
        let expected = whole(cast, variant);
        let (mut session, mut pumped, mut outcomes) = (cast.told(variant, 1), 0, [0, 0]);
        for kind in [Place::Condition, Place::Recache, Place::Chunk] {
            // Of a blend's, while other changes wait.
            let late = |at: &usize| places[*at].0 == kind && places[*at].1 > expected.len() as u64 / 3;
            let wanted = (pumped..places.len()).find(late).unwrap();
            while pumped <= wanted {
                _ = session.pump(Budget::Nodes(1)).unwrap();
                take(&mut session);
                pumped += 1;
            }
            let (good, given) = (session.snapshot().unwrap(), places[wanted].1 as usize);
            let head = good.as_bytes().len() - session.backend().arena_bytes();
            // Most of what lies far from both ends is prompts.
            let edge = |at: usize| at < 250 || at + 120 > head;
            for at in (FIELDS..head - 7).step_by(4).filter(|&at| edge(at) || at % 8 == 0) {
                let small: &[u64] = if edge(at) { &[0, 1, 2, 3, 6, 8] } else { &[] };
                for value in [100, 1 << 40, u64::MAX].iter().chain(small) {
                    let mut bytes = good.as_bytes().to_vec();
                    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
                    let restored = session.restore(&resealed(bytes));
                    outcomes[usize::from(restored.is_ok())] += 1;
                    match restored {
                        Ok(()) => {
                            (0..if edge(at) { 20 } else { 2 }).for_each(|_| pump(&mut session, 20));
                            session.restore(&good).unwrap();
                        }
                        Err(SessionError::Snapshot(_)) => {
                            assert!(session.snapshot().unwrap() == good, "{value} at {at}")
                        }
                        Err(other) => panic!("{value} at {at}: {other}"),
                    }
                }
            }
            let found = play(&mut session, 12, || Budget::Frame);
            assert_eq!(differs(&found, &expected[given..given + 12]), None, "{} {variant} {kind:?}", cast.name);
            session.restore(&good).unwrap();
        }
        assert!(outcomes[0] > 500 && outcomes[1] > 500, "{} {variant}: {outcomes:?}", cast.name);
    }
}

/// Pumps a stream that may have forgotten that it was given a prompt.
fn pump(session: &mut Session, nodes: usize) {
    match session.pump(Budget::Nodes(nodes)) {
        Ok(_) | Err(SessionError::NoPrompt | SessionError::NoNegative) => session.release(),
        Err(error) => panic!("{error}"),
    };
}

/// On a GPU streams are those of the CPU but for rounding, however they are sliced, and snapshots in the midst of a recache hold.
#[test]
fn a_gpu_makes_the_same_streams() {
    let Some(gpu) = machine::gpu(Device::gpu("")) else { return };
    for cast in &casts("prompts-gpu")[..2] {
        for variant in ["latents", "guided", "start"] {
            let told = |device: &Device| {
                let options = SessionOptions { output: Output::Latents, ..cast.options(variant) };
                let mut session = cast.create_on(device, options).unwrap();
                cast.tell(&mut session, variant);
                session
            };
            let count = LATENTS as usize;
            let [expected, on_cpu] =
                [&gpu, &Device::cpu(1)].map(|device| play(&mut told(device), count, || Budget::Frame));
            for (found, expected) in expected.iter().zip(&on_cpu) {
                let [of_found, of_expected] = [found, expected].map(|(receipt, _)| receipt.health);
                assert!((of_found.mean - of_expected.mean).abs() <= 1e-4, "{of_found:?} {of_expected:?}");
                assert!((of_found.spread - of_expected.spread).abs() <= 1e-4, "{of_found:?} {of_expected:?}");
                assert_eq!(found.0, Receipt { health: of_found, ..expected.0 });
                let error = error(&values_of(found), &values_of(expected));
                assert!(error <= 1e-4, "{} {variant}: {error:e}", cast.name);
            }
            let (mut session, mut found, mut restored) = (told(&gpu), Vec::new(), 0);
            while found.len() < count {
                _ = session.pump(Budget::Nodes(9)).unwrap();
                found.extend(take(&mut session));
                if Place::of(&mut session) == Place::Recache {
                    restored += 1;
                    let snapshot = session.snapshot().unwrap();
                    session.pump(Budget::Nodes(20)).unwrap();
                    session.restore(&snapshot).unwrap();
                }
            }
            assert!(restored > 10);
            assert_eq!(differs(&found, &expected), None, "{} {variant}", cast.name);
        }
    }
}
