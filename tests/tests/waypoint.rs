//! Waypoint: bytes of its plan at real size, and what holds for sessions of a tiny one.

use causeway_ops::{
    Kv,
    cpu::{self, CpuOptions},
    quant::{DType, TensorView, WeightSource},
};
use causeway_runtime::{
    Budget, Decoder, Device, Pump, Session, SessionError, SessionOptions, Start,
    config::{DecoderNetwork, Descriptors},
    file::may_quantise,
    import::{Checkpoint, waypoint},
    model::{CodecSource, Groups, Levels, Past, StreamPlan, StreamShape},
    sampler::Sampler,
};
use causeway_tests::{
    machine,
    stream::{next_frame, one, seeded, shown},
    wan::golden,
    waypoint::World,
};

/// Tensors of any size, matrices of blocks as bytes and all else in half precision; all zeros.
struct Sized(std::collections::HashMap<String, Vec<usize>>, Vec<u8>);

impl WeightSource for Sized {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let shape = self.0.get(name)?;
        let dtype = if may_quantise(name, shape) { DType::Q8 } else { DType::F16 };
        let values = shape.iter().product();
        let scales = dtype.is_quantised().then(|| &self.1[..dtype.scale_bytes(values)]);
        Some(TensorView::here(dtype, shape, &self.1[..dtype.data_bytes(values)?], scales))
    }
}

/// At 360p with bytes for weights and rings, the codec in the plan.
#[test]
fn a_plan_at_real_size_stays_below_its_bound() {
    for (small, most) in [(true, 2_200_000_000), (false, 3_200_000_000usize)] {
        let config = waypoint(small);
        let past = |window, every| Past { window, every, kv: Kv::Q8, ..Past::new(window, 0) };
        let mut layers = vec![0; config.dit.layers];
        config.history.groups[0].layers.iter().for_each(|&layer| layers[layer] = 1);
        let global = &config.history.groups[0];
        let pasts = vec![past(config.history.window, 1), past(global.window, global.every)];
        let codec = DecoderNetwork::Taehv(config.codec.clone());
        let stream = StreamPlan::new(&StreamShape {
            dit: &config.dit,
            first: 1,
            given: [1, 1],
            groups: Groups { pasts, layers, descriptors: Descriptors::Rotated, actions: None },
            text_rows: 0,
            guided: false,
            recache: Vec::new(),
            levels: Levels::Table(config.dit.waypoint().unwrap().levels.clone()),
            sampler: Sampler::Euler,
            exact: false,
            codec: Some(CodecSource::File(&codec)),
            picture: false,
        })
        .unwrap();
        let weights = stream.plan.weights.iter().map(|weight| (weight.name.clone(), weight.shape.clone()));
        let weights = Sized(weights.collect(), vec![0; 64 << 20]);
        let memory = cpu::memory(&stream.plan, &weights, &CpuOptions::default()).unwrap();
        println!("{}: {memory:?}, {} in all", if small { "360p" } else { "720p" }, memory.total());
        assert!(memory.total() <= most, "{} bytes", memory.total());
    }
}

#[test]
fn plain_descriptors_are_refused() {
    let mut config = waypoint(true);
    config.history.descriptors = Descriptors::Plain;
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains("history.descriptors") && error.contains("rotated in this family"), "{error}");
}

/// A tensor of what the codec's twin makes.
fn twin(name: &str) -> (Vec<usize>, Vec<f32>) {
    let file = Checkpoint::open(golden("waypoint/codec/codec.safetensors")).unwrap();
    let entry = file.entries().iter().find(|entry| entry.name == name).unwrap();
    (entry.shape.clone(), file.read_all(entry).unwrap())
}

fn largest(found: impl Iterator<Item = f32>, expected: &[f32]) -> f32 {
    found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn devices() -> Vec<Device> {
    machine::and_gpu(one())
}

#[test]
fn latents_are_decoded_as_the_twin_decodes() {
    let world = World::open();
    let ((_, latents), (_, frames)) = (twin("latents"), twin("frames"));
    for device in devices() {
        let mut decoder = Decoder::new(&world.codec, &device, (2, 3), None).unwrap();
        let made: Vec<_> = latents.chunks_exact(24).map(|latent| decoder.decode(latent).unwrap()).collect();
        assert!(made.iter().all(|pictures| pictures.len() == 4 * 3 * 32 * 48));
        let error = largest(made.into_iter().flatten(), &frames);
        // The twin's frames are kept in half precision.
        assert!(error <= 1e-3, "{device:?}: {error:e}");
    }
}

/// There and back: what a stream that starts from a picture shows first is the picture's latent, decoded.
#[test]
fn a_stream_starts_from_a_picture() {
    let world = World::open();
    let (_, back) = twin("back");
    for device in devices() {
        let mut session = world.session(&device, SessionOptions { start: Start::Image(World::picture()), ..seeded(3) });
        let mut placed = world.session(&device, SessionOptions { start: Start::Empty, ..seeded(3) });
        placed.place(&World::picture(), 1).unwrap();
        for (at, expected) in back.chunks_exact(3 * 16 * 24).enumerate() {
            let picture = next_frame(&mut session, Budget::Frame);
            let found = (0..3).flat_map(|colour| {
                let picture = &picture;
                (0..16 * 24).map(move |i| f32::from(picture[4 * (4 * (i / 24) * 96 + 4 * (i % 24)) + colour]) / 255.0)
            });
            let error = largest(found, expected);
            assert!(error <= 1.5 / 255.0, "{device:?}, picture {at}: {error}");
            assert_eq!(next_frame(&mut placed, Budget::Frame), picture, "placed first is a start");
        }
        for _ in 0..8 {
            assert_eq!(next_frame(&mut placed, Budget::Nodes(3)), next_frame(&mut session, Budget::Frame));
        }
    }
}

/// Controls of a latent frame: the mouse moves, two of the buttons go down and up.
fn controls(frame: u64) -> [f32; 11] {
    let mut controls = [0.0; 11];
    (controls[0], controls[1]) = ((frame % 7) as f32 * 0.1 - 0.3, (frame % 5) as f32 * 0.05);
    controls[2 + (frame / 3 % 8) as usize] = 1.0;
    controls[4] = (frame % 2) as f32;
    controls
}

/// The pictures of latent frames `frames`, each under controls of its own.
fn play(session: &mut Session, frames: std::ops::Range<u64>, budget: Budget) -> Vec<Vec<u8>> {
    let mut pictures = Vec::new();
    for frame in frames {
        session.set_action(&controls(frame)).unwrap();
        pictures.extend((0..4).map(|_| next_frame(session, budget)));
        // The commit, so that the next controls are not this frame's.
        while session.position() < frame + 1 {
            session.pump(Budget::Nodes(1)).unwrap();
        }
    }
    pictures
}

#[test]
fn receipts_name_the_first_picture_of_an_action() {
    let world = World::open();
    let mut session = world.session(&one(), seeded(1));
    let names = session.actions();
    assert_eq!((names.len(), &*names[0], &*names[10]), (11, "mouse_x", "wheel"));
    let mut newest = 0;
    for frame in 0..6 {
        let pressed = session.set_action(&controls(frame)).unwrap();
        for picture in 0..4 {
            let (_, receipt) = shown(&mut session, Budget::Frame);
            assert_eq!((receipt.frame, receipt.pictures, receipt.action), (4 * frame + picture, 4, pressed));
            assert_eq!(receipt.first_of_action, picture == 0 && pressed > newest, "{frame}, {picture}");
        }
        newest = pressed;
        while session.position() < frame + 1 {
            session.pump(Budget::Nodes(1)).unwrap();
        }
    }
}

/// An action is seen by the very next latent frame.
#[test]
fn controls_change_the_next_frame() {
    let world = World::open();
    let pictures = |entry: Option<usize>| {
        let mut session = world.session(&one(), seeded(5));
        let mut pictures = play(&mut session, 0..3, Budget::Frame);
        let mut controls = [0.0; 11];
        entry.into_iter().for_each(|entry| controls[entry] = 1.0);
        session.set_action(&controls).unwrap();
        pictures.extend((0..4).map(|_| next_frame(&mut session, Budget::Frame)));
        pictures
    };
    let plain = pictures(None);
    for entry in [0, 1, 2, 9, 10] {
        let changed = pictures(Some(entry));
        assert_eq!(plain[..12], changed[..12]);
        assert_ne!(plain[12..], changed[12..], "entry {entry}");
    }
}

/// Over 26 latent frames, in which both rings wrap.
#[test]
fn slices_snapshots_and_aborts_change_nothing() {
    let world = World::open();
    let expected = play(&mut world.session(&one(), seeded(9)), 0..26, Budget::Frame);
    assert_eq!(play(&mut world.session(&Device::cpu(2), seeded(9)), 0..26, Budget::Nodes(1)), expected);
    let mut session = world.session(&one(), seeded(9));
    assert_eq!(play(&mut session, 0..21, Budget::Frame), expected[..84]);
    session.set_action(&controls(21)).unwrap();
    let start = session.snapshot().unwrap();
    let (mut places, mut dropped) = (0, 0);
    for nodes in (1..).step_by(29) {
        session.restore(&start).unwrap();
        if session.pump(Budget::Nodes(nodes)).unwrap() == Pump::Frame {
            break;
        }
        let there = session.snapshot().unwrap();
        // Other controls, and a frame that is dropped, leave nothing behind.
        session.set_action(&[0.0; 11]).unwrap();
        dropped += usize::from(session.abort_chunk());
        session.restore(&there).unwrap();
        let frames: Vec<_> = (0..4).map(|_| next_frame(&mut session, Budget::Frame)).collect();
        assert_eq!(frames, expected[84..88], "after {nodes} nodes");
        while session.position() < 22 {
            session.pump(Budget::Nodes(1)).unwrap();
        }
        if places % 4 == 0 {
            assert_eq!(play(&mut session, 22..26, Budget::Frame), expected[88..], "after {nodes} nodes");
        }
        places += 1;
    }
    assert!(places > 3 && dropped > 0, "{places} places, {dropped} frames dropped");
}

/// A picture in the midst of a stream is committed as the newest frames, and the stream goes on from it.
#[test]
fn a_picture_is_placed_in_the_midst() {
    let world = World::open();
    let mut session = world.session(&one(), seeded(2));
    play(&mut session, 0..6, Budget::Frame);
    let before = session.snapshot().unwrap();
    let plain = play(&mut session, 6..10, Budget::Frame);
    session.restore(&before).unwrap();
    let ticket = session.place(&World::picture(), 2).unwrap();
    let mut pictures = Vec::new();
    for at in 0..16 {
        let (picture, receipt) = shown(&mut session, Budget::Nodes(40));
        assert_eq!((receipt.frame, receipt.event_ticket, receipt.first_of_event), (24 + at, ticket, at == 0));
        pictures.push(picture);
    }
    assert!(pictures != plain);
    session.restore(&before).unwrap();
    session.place(&World::picture(), 2).unwrap();
    let again: Vec<_> = (0..16).map(|_| next_frame(&mut session, Budget::Frame)).collect();
    assert_eq!(again, pictures);
    assert!(matches!(session.place(&[0; 4], 1), Err(SessionError::PictureSize { .. })));
}

/// A saved game is committed anew, on any backend.
#[test]
fn saved_games_go_on() {
    let world = World::open();
    let mut session = world.session(&one(), seeded(4));
    play(&mut session, 0..19, Budget::Frame);
    let saved = session.save().unwrap();
    let gone = devices().into_iter().map(|device| {
        let mut other = world.session(&device, seeded(4));
        play(&mut other, 0..2, Budget::Frame);
        other.load(&saved).unwrap();
        assert_eq!(other.save().unwrap(), saved);
        play(&mut other, 19..21, Budget::Frame)
    });
    let [cpu, gpu] = &gone.collect::<Vec<_>>()[..] else { return };
    assert!(cpu.iter().flatten().zip(gpu.iter().flatten()).all(|(a, b)| a.abs_diff(*b) <= 2));
}
