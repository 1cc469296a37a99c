//! Sessions that are created in steps: what they are, how far they say they are, and what is refused when.

use std::{fs, path::Path};

use causeway_ops::backend::LoadStage;
use causeway_runtime::{
    Budget, DecoderFile, Device, Model, Session, SessionError, SessionOptions,
    clock::SystemClock,
    session::{Creation, Files, Need, Planned},
};
use causeway_tests::{
    machine,
    stream::{next_frame, one, open, seeded},
    tiny::{quantisable_config, tiny_model_bytes},
};

fn begun<'m>(
    model: &'m Model<'m>,
    device: &Device,
    options: SessionOptions,
) -> Result<Creation<(&'m Model<'m>, Option<&'m DecoderFile<'m>>)>, SessionError> {
    Creation::new(Planned::new(model, None, options)?, (model, None), device)
}

/// Steps to the end; what there is to say on the way must grow, and end at its total.
fn created<F: Files>(mut creation: Creation<F>) -> (Session, usize, Vec<LoadStage>) {
    let (mut steps, mut stages, mut before) = (0, Vec::new(), creation.progress());
    loop {
        steps += 1;
        let made = creation.pump(0, &SystemClock::default()).unwrap();
        let now = creation.progress();
        assert!(now.done <= now.total, "{now:?}");
        if now.stage == before.stage {
            assert!(now.done >= before.done && now.total == before.total, "{before:?} {now:?}");
        } else {
            assert_eq!((before.stage, now.stage), (LoadStage::Weights, LoadStage::Pipelines));
        }
        if stages.last() != Some(&now.stage) {
            stages.push(now.stage);
        }
        before = now;
        if let Some(session) = made {
            assert_eq!(now.done, now.total);
            return (session, steps, stages);
        }
    }
}

/// A session that is created in steps plays what one plays that is created at once, holds as much, and goes on from its snapshots.
#[test]
fn steps_make_the_session_that_one_piece_makes() {
    let bytes = causeway_tests::tiny::model_bytes(&quantisable_config(), causeway_ops::quant::DType::Q8, 1);
    let model = open(&bytes);
    #[cfg(feature = "gpu")]
    let devices = machine::and_gpu(one());
    #[cfg(not(feature = "gpu"))]
    let devices = [one()];
    for device in &devices {
        // On a device of its own, where nothing is shared.
        let (mut session, steps, stages) = created(begun(&model, device, seeded(3)).unwrap());
        assert!(steps > 10, "{steps}");
        assert_eq!(stages.len(), if device.is_gpu() { 2 } else { 1 });
        let memory = session.memory();
        // Another one holds the weights with it, and has nothing to wait for.
        let (mut other, few, _) = created(begun(&model, device, seeded(3)).unwrap());
        assert_eq!(few, 1);
        let frames: Vec<_> = (0..6).map(|_| next_frame(&mut session, Budget::Frame)).collect();
        drop(session);
        let snapshot = other.snapshot().unwrap();
        let mut plain = Session::new(&model, device, seeded(3)).unwrap();
        plain.restore(&snapshot).unwrap();
        for frame in &frames {
            assert!(next_frame(&mut plain, Budget::Frame) == *frame && next_frame(&mut other, Budget::Frame) == *frame);
        }
        drop((other, plain));
        let plain = Session::new(&model, device, seeded(3)).unwrap();
        assert_eq!(memory, plain.memory());
    }
}

/// All that can be known is known when it begins.
#[test]
fn what_can_be_refused_is_refused_at_the_beginning() {
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let Need { memory, .. } = Session::need(&model, None, &one(), seeded(3)).unwrap();
    let capped = |cap| SessionOptions { memory_cap: Some(cap), ..seeded(3) };
    let needed = memory.total();
    let short = begun(&model, &one(), capped(needed - 1)).err();
    assert_eq!(short, Some(SessionError::MemoryCap { needed, cap: needed - 1 }));
    let (session, ..) = created(begun(&model, &one(), capped(needed)).unwrap());
    assert_eq!(session.memory().total(), needed);
    let wrong = begun(&model, &one(), SessionOptions { steps: Some(3), ..seeded(3) }).err();
    assert!(matches!(wrong, Some(SessionError::Option(_))), "{wrong:?}");
}

/// A file that is cut short meanwhile is an error of the step that reads it, and of all that come after; dropping it halfway is no error.
#[test]
fn a_file_that_is_cut_short_meanwhile_is_an_error() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("begun.safetensors");
    let bytes = tiny_model_bytes(1);
    fs::write(&path, &bytes).unwrap();
    let model = Model::open(&path).unwrap();
    let mut creation = begun(&model, &one(), seeded(3)).unwrap();
    assert!(creation.pump(0, &SystemClock::default()).unwrap().is_none());
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes.len() as u64 / 3).unwrap();
    let error = loop {
        match creation.pump(0, &SystemClock::default()) {
            Ok(made) => assert!(made.is_none()),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert!(creation.pump(0, &SystemClock::default()).is_err());
    fs::write(&path, &bytes).unwrap();
    let model = Model::open(&path).unwrap();
    let mut creation = begun(&model, &one(), seeded(3)).unwrap();
    assert!(creation.pump(0, &SystemClock::default()).unwrap().is_none());
}
