//! Whole frames on the GPU (lavapipe or better) against the CPU.
#![cfg(feature = "gpu")]

use causeway_ops::quant::DType;
use causeway_runtime::{Budget, Device, EventTime, Model, Session, SessionOptions};
use causeway_tests::{
    machine,
    stream::{next_frame, one, open, script, seeded},
    tiny::{model_bytes, tiny_config, tiny_model_bytes},
};

/// Every step of a stream feeds on the one before, so rounding differences grow; these bounds are on 8-bit pixels after 32 frames.
const MEAN: f64 = 0.5;
const WORST: u8 = 24;

fn gpu() -> Option<Device> {
    machine::gpu(Device::gpu(""))
}

fn frames(model: &Model<'_>, device: &Device, route: usize, budget: Budget) -> Vec<Vec<u8>> {
    let options = SessionOptions { route: Some(route), ..seeded(3) };
    let mut session = Session::new(model, device, options).unwrap();
    (0..32)
        .map(|n| {
            let (action, event) = script(n);
            session.set_action(&action).unwrap();
            if let Some(event) = event {
                session.queue_event(event, EventTime::NextChunk).unwrap();
            }
            next_frame(&mut session, budget)
        })
        .collect()
}

fn compare(gpu: &Device, name: &str, model: &Model<'_>, route: usize) {
    let cpu = frames(model, &one(), route, Budget::Frame);
    let gpu = frames(model, gpu, route, Budget::Frame);
    for (n, (a, b)) in cpu.iter().zip(&gpu).enumerate() {
        let difference = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
        let worst = difference().max().unwrap_or(0);
        let mean = difference().map(f64::from).sum::<f64>() / a.len() as f64;
        assert!(worst <= WORST && mean <= MEAN, "{name}, frame {n}: worst {worst}, mean {mean}");
    }
    assert!(cpu.windows(2).any(|pair| pair[0] != pair[1]), "{name}: the stream stands still");
}

#[test]
fn thirty_two_frames_agree() {
    let Some(gpu) = &gpu() else { return };
    let bytes = tiny_model_bytes(1);
    compare(gpu, "dense", &open(&bytes), 0);
    compare(gpu, "routed", &open(&bytes), 2);
    let mut config = tiny_config();
    config.dit.dim = 64;
    let bytes = model_bytes(&config, DType::F16, 1);
    compare(gpu, "f16 weights", &open(&bytes), 0);
}

/// Pumped in slices, the GPU makes the same frames as in one go.
#[test]
fn slices_do_not_change_gpu_frames() {
    let Some(gpu) = &gpu() else { return };
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    assert_eq!(frames(&model, gpu, 0, Budget::Frame), frames(&model, gpu, 0, Budget::Micros(500)));
}

#[test]
fn a_gpu_snapshot_has_the_same_future() {
    let Some(gpu) = &gpu() else { return };
    let bytes = tiny_model_bytes(1);
    let options = || seeded(3);
    let mut session = Session::new(&open(&bytes), gpu, options()).unwrap();
    for _ in 0..3 {
        next_frame(&mut session, Budget::Frame);
    }
    let snapshot = session.snapshot().unwrap();
    let future = |session: &mut Session| (0..3).map(|_| next_frame(session, Budget::Frame)).collect::<Vec<_>>();
    let first = future(&mut session);
    session.restore(&snapshot).unwrap();
    assert_eq!(first, future(&mut session));
}

/// What was begun is of that moment, whatever the stream does until it is delivered.
#[test]
fn a_snapshot_that_nobody_waits_for_is_the_same() {
    let Some(gpu) = &gpu() else { return };
    let bytes = tiny_model_bytes(1);
    for device in [gpu, &one()] {
        let mut session = Session::new(&open(&bytes), device, seeded(3)).unwrap();
        assert!(session.poll_snapshot().unwrap().is_none(), "none was begun");
        next_frame(&mut session, Budget::Frame);
        // Within a frame.
        for _ in 0..3 {
            session.pump(Budget::Nodes(5)).unwrap();
        }
        let expected = session.snapshot().unwrap();
        session.begin_snapshot().unwrap();
        next_frame(&mut session, Budget::Frame);
        let began = std::time::Instant::now();
        let found = loop {
            if let Some(snapshot) = session.poll_snapshot().unwrap() {
                break snapshot;
            }
            assert!(began.elapsed().as_secs() < 60, "it does not come");
            std::thread::yield_now();
        };
        assert!(found == expected, "{device:?}");
        assert!(session.poll_snapshot().unwrap().is_none(), "it comes once");
        session.restore(&found).unwrap();
        assert!(session.snapshot().unwrap() == expected, "{device:?}");
    }
}
