//! What changes of events and prompts do to a stream, and what is refused in one sentence.

mod common;

use std::sync::Arc;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, DecoderFile, Device, Model, Session, SessionError, SessionOptions, Start,
    sampler::Sampling,
    session::{Change, Condition, Output, Sink, Way, read_latent},
};
use causeway_tests::tiny::{model_bytes, tiny_config};
use common::{
    Place, error, golden,
    play::{Cast, Given, ROWS, WIDTH, at, casts, play, random},
    save, tensors,
};

/// A world of so many layers and so many frames a chunk.
fn world(layers: usize, chunk: usize, prev_frame: bool) -> Cast {
    let mut config = tiny_config();
    (config.dit.layers, config.dit.chunk, config.dit.prev_frame) = (layers, chunk, prev_frame);
    config.history.window = 9;
    let bytes: Arc<[u8]> = model_bytes(&config, DType::F32, 3).into();
    Cast { name: "world", model: Model::from_shared(bytes).unwrap(), codec: None }
}

/// The tiny Wan network, of so many layers.
fn wan(folder: &Place, layers: usize) -> Cast {
    let all = tensors(golden("tiny.pt"));
    let kept = |name: &str| !name.contains("blocks.") || (0..layers).any(|n| name.contains(&format!("blocks.{n}.")));
    let list: Vec<_> =
        all.iter().filter(|(name, _)| kept(name)).map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(folder.path("layers.safetensors"), &list);
    folder.good(&format!("convert layers.safetensors m{layers}.safetensors --heads 2 --text-len 16 --to f32"));
    Cast { name: "Wan", model: Model::open(folder.path(&format!("m{layers}.safetensors"))).unwrap(), codec: None }
}

/// Options of a stream of latents in chunks of `chunk`.
fn options(cast: &Cast, chunk: usize) -> SessionOptions {
    SessionOptions { chunk: Some(chunk), output: Output::Latents, ..cast.options("plain") }
}

/// Latents of the next `count` frames.
fn latents(session: &mut Session, count: usize) -> Vec<f32> {
    let [channels, height, width] = session.latent_shape();
    let frame = |bytes: Vec<u8>| {
        let mut values = vec![0.0; channels * height * width];
        read_latent(&bytes, channels, &mut values);
        values
    };
    play(session, count, || Budget::Nodes(50)).into_iter().flat_map(|(_, bytes)| frame(bytes)).collect()
}

/// A stream with three prompts in its slots, under the first of them or the first event, and changes queued at latent frames.
fn begun<'a>(cast: &Cast, options: SessionOptions, changes: impl IntoIterator<Item = (u64, Change<'a>)>) -> Session {
    let mut session = cast.create(options, 1).unwrap();
    if cast.prompts() {
        for (slot, rows) in [3, 2, ROWS].into_iter().enumerate() {
            session.set_prompt(slot, &random(slot as u64, rows * WIDTH)).unwrap();
        }
        session.queue(Change::to(Condition::Prompt(0))).unwrap();
    }
    for (latent, change) in changes {
        session.queue(Change { time: at(&session, latent), ..change }).unwrap();
    }
    session
}

/// Worlds and Wan networks of one layer and of two, with chunks of one frame and of three.
fn networks(folder: &Place) -> Vec<(Cast, usize, usize)> {
    let mut all = Vec::new();
    for (layers, chunk) in [(1, 1), (1, 3), (2, 1), (2, 3)] {
        all.extend([true, false].map(|previous| (world(layers, chunk, previous), layers, chunk)));
        all.push((wan(folder, layers), layers, chunk));
    }
    all
}

/// What a network of one layer remembers of a frame depends on the frame, its action and the frame before its chunk: a recache under what is in
/// force already leaves it as it is. In deeper ones so it is of one chunk, which the commit pass saw as the recache does.
#[test]
fn a_recache_under_what_is_in_force_leaves_the_window_as_it_is() {
    let folder = Place::new("changes-recache");
    for (cast, layers, chunk) in networks(&folder) {
        let deep = [(false, chunk as u64), (true, 6 + chunk as u64)];
        let shallow = [
            (false, 3),
            (false, 6),
            (false, 9),
            (false, 12),
            (false, 21),
            (true, 9),
            (true, 12),
            (true, 15),
            (true, 18),
        ];
        for &(cut, after) in if layers == 1 { &shallow[..] } else { &deep } {
            for sink in [Sink::Kept, Sink::Refreshed] {
                // A window that has let frames go has another sink then.
                let shown = if cut { after - 6 } else { after };
                if shown > 9 && sink == Sink::Refreshed {
                    continue;
                }
                let same = Change::to(cast.condition(0));
                let reset = cut.then_some((6, Change { way: Way::Reset, ..same }));
                let recache = (after, Change { way: Way::Recache, sink, ..same });
                let keep = (after, same);
                let [(expected, before), (found, nodes)] = [keep, recache].map(|change| {
                    let mut session = begun(&cast, options(&cast, chunk), reset.into_iter().chain([change]));
                    (latents(&mut session, 27), session.stats().nodes)
                });
                assert!(nodes > before + 10, "nothing was computed anew");
                let error = error(&found, &expected);
                let previous = cast.model.config().dit.prev_frame;
                let what = format!("{}, {layers} layers, chunks of {chunk}, frame before: {previous}", cast.name);
                assert!(error <= 1e-5, "{what}; {sink:?} after {after}, cut: {cut}: {error:e}");
            }
        }
    }
}

/// Another condition makes another stream, by each way another one; before the change nothing differs.
#[test]
fn each_way_makes_a_stream_of_its_own() {
    let folder = Place::new("changes-ways");
    for (cast, layers, chunk) in networks(&folder).into_iter().filter(|(_, layers, _)| *layers == 2) {
        let mut all = vec![latents(&mut begun(&cast, options(&cast, chunk), []), 24)];
        for (way, sink, chunks) in [
            (Way::Keep, Sink::Kept, 1),
            (Way::Recache, Sink::Kept, 1),
            (Way::Recache, Sink::Refreshed, 1),
            (Way::Recache, Sink::Kept, 2),
            (Way::Keep, Sink::Kept, 2),
            (Way::Reset, Sink::Kept, 1),
        ] {
            let change = Change { way, sink, chunks, ..Change::to(cast.condition(1)) };
            all.push(latents(&mut begun(&cast, options(&cast, chunk), [(12, change)]), 24));
        }
        let len = all[0].len() / 24;
        for (n, found) in all.iter().enumerate() {
            let what = format!("{}, {layers} layers, chunks of {chunk}, way {n}", cast.name);
            assert!(found.iter().all(|x| x.is_finite()), "{what}");
            assert_eq!(found[..12 * len], all[0][..12 * len], "{what}");
            for other in &all[..n] {
                assert!(error(&found[12 * len..], &other[12 * len..]) > 1e-3, "{what} makes no difference");
            }
        }
    }
}

/// Values of the inputs that say what is told, and of what cross-attention makes of them.
fn conditions(session: &mut Session) -> Vec<(String, Vec<f32>)> {
    let named =
        |name: &str| ["events", "text_offsets", "cross_k", "cross_v"].iter().any(|start| name.starts_with(start));
    let buffers: Vec<_> = session.plan().buffers.iter().map(|buffer| (buffer.name.clone(), buffer.len)).collect();
    let found = buffers.into_iter().enumerate().filter(|(_, (name, _))| named(name));
    let read = |(id, (name, len)): (usize, (String, usize))| {
        let mut values = vec![0f32; len];
        session.backend().read(causeway_ops::BufferId(id as u32), bytemuck::cast_slice_mut(&mut values)).unwrap();
        (name, values)
    };
    found.map(read).collect()
}

/// A blend ends where the change at once is, bit for bit, whichever of two prompts is longer, and on the way it is between the two.
#[test]
fn blends_end_at_the_new_condition() {
    let folder = Place::new("changes-blends");
    for (cast, _, chunk) in networks(&folder) {
        for (from, to) in [(1, 2), (2, 1), (0, 1)] {
            let [begin, at_once, blend] = [None, Some(1), Some(4)].map(|chunks| {
                let first = (chunk as u64, Change::to(cast.condition(from)));
                let second = chunks.map(|chunks| (12, Change { chunks, ..Change::to(cast.condition(to)) }));
                let mut session = begun(&cast, options(&cast, chunk), [first].into_iter().chain(second));
                let each: Vec<_> = (0..27 / chunk)
                    .map(|_| {
                        latents(&mut session, chunk);
                        conditions(&mut session)
                    })
                    .collect();
                each
            });
            let (first, last) = (12 / chunk, 12 / chunk + 3);
            assert!(begin[first - 1] == at_once[first - 1] && begin[first - 1] == blend[first - 1]);
            for part in first..last {
                assert!(blend[part] != blend[part - 1] && blend[part] != at_once[part], "{} part {part}", cast.name);
            }
            for (found, expected) in blend[last..].iter().zip(&at_once[last..]) {
                assert!(found == expected, "{}, from {from} to {to}: {:?}", cast.name, found[0].1);
            }
        }
    }
}

/// A change to what a blend has come to just now ends it there.
#[test]
fn a_blend_can_be_held() {
    let cast = world(1, 1, true);
    let (now, blend) = (Change::to(Condition::Mix(&[0.25, 0.75, 0.0])), Change::to(Condition::Event(1)));
    let mut session = begun(&cast, options(&cast, 1), [(3, Change { chunks: 4, ..blend }), (5, now)]);
    latents(&mut session, 12);
    assert!(conditions(&mut session).contains(&("events".to_owned(), vec![0.25, 0.75, 0.0])));
}

#[test]
fn a_mix_is_what_its_events_are() {
    let cast = world(2, 1, true);
    let run = |condition| {
        let mut session = begun(&cast, options(&cast, 1), [(6, Change::to(condition))]);
        play(&mut session, 12, || Budget::Frame)
    };
    for (event, one_hot) in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].iter().enumerate() {
        assert!(run(Condition::Mix(one_hot)) == run(Condition::Event(event)));
    }
    let values = |condition| {
        let mut session = begun(&cast, options(&cast, 1), [(6, Change::to(condition))]);
        latents(&mut session, 7).split_off(6 * 256)
    };
    let [day, night, dusk] = [Condition::Event(0), Condition::Event(2), Condition::Mix(&[0.5, 0.0, 0.5])].map(values);
    let [whole, one, other] = [(&night, &day), (&dusk, &day), (&dusk, &night)].map(|(a, b)| error(a, b));
    println!("night is {whole:.1e} from day, dusk {one:.1e} from day and {other:.1e} from night");
    assert!(one < 0.9 * whole && other < 0.9 * whole);
}

/// A picture to start from shows with the next start and not before, whatever the stream began with.
#[test]
fn a_new_start_picture_waits_for_a_restart() {
    let [world, _, vae] = &casts("changes-pictures");
    for (cast, variant) in [(world, "plain"), (world, "start"), (world, "picture"), (vae, "picture")] {
        let options = || SessionOptions { recache: false, ..cast.options(variant) };
        let picture = vec![200; cast.create(options(), 1).unwrap().frame_bytes()];
        let restarted = |after: usize| {
            let mut session = cast.create(options(), 1).unwrap();
            if cast.prompts() {
                session.queue(Change::to(Condition::Prompt(0))).unwrap();
            }
            let mut given = play(&mut session, after, || Budget::Nodes(9));
            if after > 0 {
                session.set_start_image(&picture).unwrap();
            }
            given.extend(play(&mut session, 9 - after, || Budget::Nodes(9)));
            session.set_start_image(&picture).unwrap();
            session.restart(1).unwrap();
            (given, play(&mut session, 9, || Budget::Nodes(9)))
        };
        let expected = restarted(0);
        let pictures = |all: &[Given]| all.iter().map(|given| given.1.clone()).collect::<Vec<_>>();
        for after in [3, 5] {
            let found = restarted(after);
            assert!(pictures(&found.0) == pictures(&expected.0), "{} {variant} after {after}", cast.name);
            assert!(pictures(&found.1) == pictures(&expected.1), "{} {variant} after {after}", cast.name);
        }
        assert!(expected.0[0].1 != expected.1[0].1);
    }
}

/// One sentence that says what was given and what is needed.
fn sentence(error: &SessionError, words: &[&str]) {
    let text = error.to_string();
    assert!(text.lines().count() == 1 && !text.ends_with('.'), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}: expected {words:?}");
}

type Call = (fn(&mut Session) -> Result<(), SessionError>, &'static [&'static str]);

fn queued(session: &mut Session, condition: Condition<'_>) -> Result<(), SessionError> {
    session.queue(Change::to(condition)).map(|_| ())
}

#[rustfmt::skip]
const OF_PROMPTS: [Call; 12] = [
    (|s| s.set_prompt(4, &[0.5; 23]), &["1 rows of 23", "at most 5 rows of 24"]),
    (|s| s.set_prompt(4, &[0.5; 6 * 24]), &["6 rows of 24", "at most 5 rows of 24"]),
    (|s| s.set_prompt(4, &[&[0.5; 30][..], &[f32::NAN; 18]].concat()), &["value 30 of the prompt", "finite"]),
    (|s| s.set_prompt(3, &[0.5; 24]), &["slot 3", "a change that waits"]),
    (|s| s.set_prompt(5, &[0.5; 24]), &["no prompt slot 5", "has 5, from 0"]),
    (|s| queued(s, Condition::Prompt(5)), &["no prompt slot 5", "has 5, from 0"]),
    (|s| queued(s, Condition::Negative(9)), &["takes no negative prompt", "without guidance", "it takes prompts"]),
    (|s| queued(s, Condition::Event(0)), &["takes no events", "it takes prompts"]),
    (|s| queued(s, Condition::Mix(&[1.0])), &["takes no events", "it takes prompts"]),
    (|s| s.set_action(&[1.0]).map(|_| ()), &["has 0 entries", "1 were given"]),
    (|s| s.set_start_image(&[0; 32 * 16 * 4]), &["cannot encode pictures", "starting from a picture"]),
    (|s| s.restore_bytes(b"CWSNAP\0\x02 of another version"), &["snapshot mark of this version"]),
];

#[rustfmt::skip]
const OF_WORLDS: [Call; 11] = [
    (|s| s.set_prompt(0, &[0.5; 24]), &["takes no prompts", "it takes actions, events and mixes of events"]),
    (|s| queued(s, Condition::Prompt(0)), &["takes no prompts", "it takes actions, events and mixes of events"]),
    (|s| queued(s, Condition::Negative(0)), &["takes no prompts", "it takes actions, events and mixes of events"]),
    (|s| queued(s, Condition::Event(3)), &["no event 3", "daylight, amber, night"]),
    (|s| queued(s, Condition::Mix(&[0.5, 0.5])), &["each of 3 events", "2 were given"]),
    (|s| queued(s, Condition::Mix(&[0.5, -0.5, 1.0])), &["0 or more", "number 1 is -0.5"]),
    (|s| queued(s, Condition::Mix(&[0.5, 0.5, f32::NAN])), &["finite", "number 2 is NaN"]),
    (|s| queued(s, Condition::Mix(&[0.5, 0.25, 0.125])), &["of sum 1", "their sum is 0.875"]),
    (|s| s.set_action(&[1.0; 6]).map(|_| ()), &["has 5 entries", "6 were given"]),
    (|s| s.set_action(&[1.0, 0.0, 0.0, 0.0, f32::INFINITY]).map(|_| ()), &["entry 4", "finite"]),
    (|s| s.set_start_image(&[0; 5]), &["picture has 5 values", "takes 16384"]),
];

/// What is refused in the midst of a stream leaves it as it is.
#[test]
fn refused_calls_change_nothing() {
    for cast in casts("changes-calls") {
        let calls: &[Call] = if cast.prompts() { &OF_PROMPTS } else { &OF_WORLDS };
        let stream = |disturb: bool| {
            let mut session = cast.create(SessionOptions { recache: false, ..cast.options("plain") }, 1).unwrap();
            let mut slots = 0..5;
            while slots
                .next()
                .is_some_and(|slot| cast.prompts() && session.set_prompt(slot, &[slot as f32; 24]).is_ok())
            {
            }
            for (latent, which) in [(0, 0), (3, 1), (6, 2), (1000, 3)] {
                session.queue(Change { time: at(&session, latent), ..Change::to(cast.condition(which)) }).unwrap();
            }
            let recache = Change { way: Way::Recache, ..Change::to(cast.condition(1)) };
            let mut next = 0;
            let mut given = Vec::new();
            while given.len() < 30 {
                let (call, words) = calls[next % calls.len()];
                if disturb {
                    sentence(&call(&mut session).unwrap_err(), words);
                    sentence(&session.queue(recache).unwrap_err(), &["not created with `recache`"]);
                }
                next += 1;
                if session.pump(Budget::Nodes(23)).unwrap() == causeway_runtime::Pump::Frame {
                    given.extend(common::play::take(&mut session));
                }
            }
            assert!(next > 2 * calls.len());
            given
        };
        assert!(stream(true) == stream(false), "{}", cast.name);
    }
}

/// A stream that is not told yet what its model reads says so, and plays once it is.
#[test]
fn streams_wait_for_their_prompts() {
    for cast in &casts("changes-waiting")[1..] {
        let mut session = cast.create(cast.options("guided"), 1).unwrap();
        let mut pump = |told: Option<Condition<'_>>| {
            told.into_iter().for_each(|told| queued(&mut session, told).unwrap());
            session.pump(Budget::Frame).map(|_| ())
        };
        sentence(&pump(None).unwrap_err(), &["was given none", "queue it"]);
        // A slot that was never filled is a prompt without words.
        assert_eq!(pump(Some(Condition::Negative(0))), Err(SessionError::NoPrompt));
        assert_eq!(pump(Some(Condition::Prompt(0))), Ok(()));
        let mut session = cast.create(cast.options("guided"), 1).unwrap();
        queued(&mut session, Condition::Prompt(0)).unwrap();
        sentence(&session.pump(Budget::Frame).unwrap_err(), &["negative prompt", "none was given"]);
        cast.tell(&mut session, "guided");
        let expected = play(&mut cast.told("guided", 1), 40, || Budget::Frame);
        let found = play(&mut session, 40, || Budget::Frame);
        assert!(found.iter().zip(&expected).all(|(found, expected)| found.1 == expected.1), "{}", cast.name);
    }
}

/// A decoder of latents of twice the channels.
fn wide(folder: &Place) -> DecoderFile<'static> {
    let mut all = tensors(golden("taehv.pth"));
    let (shape, values) = all.get_mut("decoder.1.weight").unwrap();
    let (each, from) = (9 * shape[1], values.clone());
    shape[1] *= 2;
    *values = from.chunks(each).flat_map(|row| [row, row].concat()).collect();
    let list: Vec<_> = all.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(folder.path("wide.pt.safetensors"), &list);
    folder.good("convert wide.pt.safetensors wide.safetensors --to f32");
    DecoderFile::open(folder.path("wide.safetensors")).unwrap()
}

#[test]
fn what_a_session_cannot_be_is_refused() {
    let [world, taehv, vae] = &casts("changes-options");
    let refused = |cast: &Cast, change: &dyn Fn(&mut SessionOptions), words: &[&str]| {
        let mut options = cast.options("plain");
        change(&mut options);
        sentence(&cast.create(options, 1).err().unwrap_or_else(|| panic!("{words:?}: accepted")), words);
    };
    let frames = |count: usize| Start::Latents(vec![0.5; count * 4 * 2 * 4]);
    for cast in [taehv, vae] {
        refused(cast, &|o| o.size = Some((40, 16)), &["40 x 16", "multiples of 16 and 16"]);
        refused(cast, &|o| o.size = Some((0, 16)), &["0 x 16", "multiples"]);
        refused(cast, &|o| o.start = frames(2), &["from 2 latent frames", "takes 3 first and then 3 at a time"]);
        refused(cast, &|o| (o.start, o.first_chunk) = (frames(3), Some(1)), &["3 latent frames", "1 first and then 3"]);
        refused(cast, &|o| o.start = Start::Latents(vec![0.5; 33]), &["start latents", "33 values", "takes 32"]);
        refused(cast, &|o| o.start = Start::Latents(vec![f32::NAN; 96]), &["value 0 of the start latents", "finite"]);
        refused(cast, &|o| o.prompt_rows = Some(17), &["17 rows", "length of 16"]);
        refused(cast, &|o| o.prompt_length = Some(0), &["length of 0"]);
        refused(cast, &|o| o.prompt_slots = Some(0), &["0 slots", "1 to 1024"]);
        refused(cast, &|o| o.event = Some(1), &["no event 1"]);
        refused(cast, &|o| o.window = Some(2), &["window is 2", "chunk of 3", "3 to 4096"]);
        refused(cast, &|o| o.sink = Some(7), &["sink is 7", "window of 9 has room for 6"]);
        refused(cast, &|o| o.first_chunk = Some(4), &["first chunk has 4 frames", "1 to 3"]);
        refused(cast, &|o| o.sampling = Some(Sampling::few(&[0.5, 0.9])), &["levels must fall"]);
        refused(cast, &|o| o.sampling = Some(Sampling::few(&[])), &["0 steps", "1 to 1000"]);
        let nan = Some(Sampling { guidance: f32::NAN, ..Sampling::few(&[1.0]) });
        refused(cast, &|o| o.sampling = nan.clone(), &["guidance is NaN", "a number"]);
        refused(cast, &|o| (o.sampling, o.steps) = (None, Some(7)), &["steps is 7", "step lists for"]);
        let need = Session::need(&cast.model, cast.codec.as_ref(), &Device::cpu(1), cast.options("plain")).unwrap();
        let needed = need.memory.total();
        refused(cast, &|o| o.memory_cap = Some(needed - 1), &[&format!("{needed}"), &format!("{}", needed - 1)]);
    }
    refused(taehv, &|o| o.start = Start::Image(vec![0; 2048]), &["start from a picture", "encodes", "has none"]);
    refused(vae, &|o| o.start = Start::Image(vec![0; 12]), &["picture has 12 values", "takes 2048"]);
    refused(world, &|o| o.size = Some((32, 16)), &["32 x 16", "64 x 64 and no other"]);
    refused(world, &|o| o.prompt_slots = Some(1), &["no prompts", "`prompt_slots`"]);
    let guided = Some(Sampling { guidance: 2.0, ..Sampling::few(&[1.0]) });
    refused(world, &|o| o.sampling = guided.clone(), &["negative prompt", "no prompts"]);
    refused(world, &|o| o.event = Some(3), &["no event 3", "daylight, amber, night"]);

    let device = Device::cpu(1);
    let bare = Session::new(&taehv.model, &device, taehv.options("plain")).err().unwrap();
    sentence(&bare, &["no codec", "give one beside it, or take latents"]);
    let own = Session::with_codec(&world.model, taehv.codec.as_ref().unwrap(), &device, world.options("plain"));
    sentence(&own.err().unwrap(), &["codec in its own file", "none other"]);
    let folder = Place::new("changes-wide");
    let other = Session::with_codec(&vae.model, &wide(&folder), &device, vae.options("plain"));
    sentence(&other.err().unwrap(), &["latents of 4 channels", "the codec takes 8"]);
}
