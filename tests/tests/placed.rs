//! Pictures of the host's that become the newest frame: what the stream shows of them, and what it goes on from.

use std::path::Path;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, Device, Model, Session, SessionError, SessionOptions, Start,
    session::{Change, Condition, Way},
};
use causeway_tests::{
    machine,
    stream::{one, open, psnr, seeded, shown},
    tiny::{model_bytes, tiny_config},
};

fn keep() -> Model<'static> {
    Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors")).unwrap()
}

/// A stream of the keep under this seed, played for so many frames with a key and then come to rest, and its last frame.
fn played(model: &Model<'_>, seed: u64, frames: usize, device: &Device) -> (Session, Vec<u8>) {
    let mut session = Session::new(model, device, seeded(seed)).unwrap();
    let mut action = vec![0.0; session.actions().len()];
    action[2] = 1.0;
    session.set_action(&action).unwrap();
    let mut last = Vec::new();
    for _ in 0..frames {
        last = shown(&mut session, Budget::Frame).0;
    }
    // To rest: in the midst of a turn a picture tells where it leads.
    session.set_action(&vec![0.0; action.len()]).unwrap();
    for _ in 0..8 {
        last = shown(&mut session, Budget::Frame).0;
    }
    (session, last)
}

/// Placed as a stream's first frame it is what the stream could have started from, bit for bit, and so is all that follows.
#[test]
fn a_picture_placed_first_is_a_start() {
    let model = keep();
    let (_, picture) = played(&model, 3, 20, &one());
    let start = |start| SessionOptions { start, ..seeded(9) };
    let mut started = Session::new(&model, &one(), start(Start::Image(picture.clone()))).unwrap();
    let mut placed = Session::new(&model, &one(), start(Start::Empty)).unwrap();
    let ticket = placed.place(&picture, 1).unwrap();
    for n in 0..12 {
        let (a, _) = shown(&mut started, Budget::Frame);
        let (b, receipt) = shown(&mut placed, if n % 2 == 0 { Budget::Frame } else { Budget::Nodes(3) });
        assert!(a == b, "frame {n}");
        assert_eq!((receipt.event_ticket, receipt.first_of_event), (ticket, n == 0));
    }
}

/// In the midst of a stream: it shows the picture as the codec can, and goes on from there, not from where it was.
#[test]
fn a_stream_goes_on_from_a_picture() {
    let model = keep();
    let (_, there) = played(&model, 3, 23, &Device::cpu(2));
    for device in machine::and_gpu(Device::cpu(2)) {
        let (mut session, here) = played(&model, 4, 9, &device);
        assert!(psnr(&here, &there) < 25.0);
        let newest = shown(&mut session, Budget::Frame).1.frame;
        let before = session.snapshot().unwrap();
        let ticket = session.place(&there, 3).unwrap();
        let mut frames = Vec::new();
        for n in 0..9 {
            let (frame, receipt) = shown(&mut session, Budget::Nodes(5));
            let (there, here) = (psnr(&frame, &there), psnr(&frame, &here));
            assert!(there > 22.0 && there > here + 5.0, "{device:?}, frame {n}: {there:.1} and {here:.1} dB");
            assert_eq!(receipt.frame, newest + 1 + n, "no frame is left out");
            assert_eq!((receipt.event_ticket, receipt.first_of_event), (ticket, n == 0));
            frames.push(frame);
        }
        // The same again, with a snapshot in the midst of it, waiting and under way.
        session.restore(&before).unwrap();
        session.place(&there, 3).unwrap();
        for (n, frame) in frames.iter().enumerate() {
            let snapshot = session.snapshot().unwrap();
            (0..n + 1).for_each(|_| _ = session.pump(Budget::Nodes(1)).unwrap());
            session.restore(&snapshot).unwrap();
            (0..n + 1).for_each(|_| _ = session.pump(Budget::Nodes(1)).unwrap());
            let under_way = session.snapshot().unwrap();
            session.restore(&under_way).unwrap();
            assert!(shown(&mut session, Budget::Frame).0 == *frame, "{device:?}, frame {n}");
        }
    }
}

/// The newest of several is taken, a new beginning drops it, a cut ends with it, and a saved game goes on without it.
#[test]
fn pictures_that_wait() {
    let model = keep();
    let (_, there) = played(&model, 3, 23, &one());
    let (mut session, here) = played(&model, 4, 30, &one());
    session.place(&here, 5).unwrap();
    let ticket = session.place(&there, 1).unwrap();
    session.queue(Change { way: Way::Cut, ..Change::to(Condition::Event(0)) }).unwrap();
    let (frame, receipt) = shown(&mut session, Budget::Frame);
    assert!(psnr(&frame, &there) > 24.0 && receipt.event_ticket >= ticket);
    // It is in the game once it is committed.
    _ = shown(&mut session, Budget::Frame);
    let saved = session.save().unwrap();
    session.place(&there, 1024).unwrap();
    session.restart(4).unwrap();
    let mut fresh = Session::new(&model, &one(), seeded(4)).unwrap();
    session.set_action(&vec![0.0; session.actions().len()]).unwrap();
    for _ in 0..3 {
        assert!(shown(&mut session, Budget::Frame).0 == shown(&mut fresh, Budget::Frame).0);
    }
    session.place(&here, 1024).unwrap();
    session.load(&saved).unwrap();
    assert!(psnr(&shown(&mut session, Budget::Frame).0, &there) > 24.0);
}

/// What cannot be is refused with a sentence, and changes nothing.
#[test]
fn wrong_pictures_are_refused() {
    let model = keep();
    let mut session = Session::new(&model, &one(), seeded(1)).unwrap();
    let bytes = 4 * 64 * 64;
    for (found, frames, expected) in [
        (bytes - 4, 1, SessionError::PictureSize { expected: bytes, found: bytes - 4 }),
        (0, 1, SessionError::PictureSize { expected: bytes, found: 0 }),
        (bytes, 0, SessionError::PictureFrames { found: 0, most: 1024 }),
        (bytes, 1025, SessionError::PictureFrames { found: 1025, most: 1024 }),
    ] {
        assert_eq!(session.place(&vec![7; found], frames), Err(expected));
    }
    let mut fresh = Session::new(&model, &one(), seeded(1)).unwrap();
    assert!(shown(&mut session, Budget::Frame).0 == shown(&mut fresh, Budget::Frame).0);

    // Four pictures of a latent frame.
    let mut config = tiny_config();
    config.codec.time_up = [1, 2, 2];
    let bytes = model_bytes(&config, DType::F32, 1);
    let options = SessionOptions { start: Start::Empty, queue: 8, ..seeded(1) };
    let mut session = Session::new(&open(&bytes), &one(), options).unwrap();
    let refused = session.place(&[0; 4 * 64 * 64], 1).unwrap_err();
    assert!(refused.to_string().contains("takes no pictures on its way"), "{refused}");
}
