//! What health says of a stream, wherever it runs, and what becomes of chunks that alarm. What alarms and what does not is in distill/tests/health.rs.

use std::path::Path;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, Device, Model, Pump, Session, SessionError, SessionOptions,
    config::{HealthConfig, ModelConfig},
    session::{Alarms, Gate, QualityChange, Saved},
};
use causeway_tests::{
    stream::{next_frame, one, open, seeded, shown},
    tiny::{model_bytes, tiny_config},
};

/// A world that lets nothing pass.
fn strict() -> ModelConfig {
    let mut config = tiny_config();
    config.dit.layers = 3;
    config.health = HealthConfig { spread: [0.0, 1e-6], ..HealthConfig::default() };
    config
}

fn guarded(model: &Model<'_>, gate: Gate) -> Session {
    Session::new(model, &one(), SessionOptions { gate, ..seeded(5) }).unwrap()
}

/// Figures are those of the definition, and the same on a GPU, but for rounding.
#[test]
fn figures_are_the_same_on_a_gpu() {
    let model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors")).unwrap();
    let mut found = Vec::new();
    for device in [Device::cpu(2), Device::gpu("").unwrap()] {
        let mut session = Session::new(&model, &device, seeded(2)).unwrap();
        let mut healths = Vec::new();
        for n in 0..14 {
            let key = f32::from(u8::from((4..9).contains(&n)));
            session.set_action(&[0.0, 0.0, key, 0.0, 0.0]).unwrap();
            healths.push(shown(&mut session, Budget::Nodes(9)).1.health);
        }
        found.push(healths);
    }
    for (n, (cpu, gpu)) in found[0].iter().zip(&found[1]).enumerate() {
        let pairs = [
            (cpu.mean, gpu.mean),
            (cpu.spread, gpu.spread),
            (cpu.detail, gpu.detail),
            (cpu.change, gpu.change),
            (cpu.far_share, gpu.far_share),
            (cpu.route_age, gpu.route_age),
        ];
        assert!(pairs.iter().all(|(a, b)| (a - b).abs() < 0.05 * (1.0 + a.abs())), "frame {n}: {cpu:?} and {gpu:?}");
        assert!(cpu.alarms.is_empty(), "frame {n}: {cpu:?}");
    }
    // Of four given frames and those behind them.
    let last = found[0][13];
    assert!(last.route_age > 1.0 && last.route_age < 13.0 && last.change > 0.0, "{last:?}");
}

/// What alarms is only told, in receipts and in what is brought back of them.
#[test]
fn alarms_are_reported() {
    let bytes = model_bytes(&strict(), DType::F32, 1);
    let mut session = guarded(&open(&bytes), Gate::Report);
    let snapshot = session.snapshot().unwrap();
    let all: Vec<_> = (0..6).map(|_| shown(&mut session, Budget::Frame).1).collect();
    assert!(all.iter().all(|receipt| receipt.health.alarms == Alarms::SPREAD), "{all:?}");
    session.restore(&snapshot).unwrap();
    let again: Vec<_> = (0..6).map(|_| shown(&mut session, Budget::Nodes(3)).1.health).collect();
    assert_eq!(again, all.iter().map(|receipt| receipt.health).collect::<Vec<_>>());
}

/// A chunk that alarms is dropped and told of, and the stream stands before it; the host goes on, or does something else.
#[test]
fn a_gate_holds_a_chunk_once() {
    let bytes = model_bytes(&strict(), DType::F32, 1);
    let model = open(&bytes);
    for budget in [Budget::Frame, Budget::Nodes(7)] {
        let (mut plain, mut held) = (guarded(&model, Gate::Report), guarded(&model, Gate::Hold));
        // What is given is the host's own affair.
        for _ in 0..2 {
            assert_eq!(next_frame(&mut held, budget), next_frame(&mut plain, Budget::Frame));
        }
        for frame in 2..6 {
            let error = loop {
                match held.pump(budget) {
                    Ok(Pump::Pending) => {}
                    other => break other,
                }
            };
            assert_eq!(error, Err(SessionError::Unhealthy { frame, alarms: Alarms::SPREAD }));
            assert_eq!((held.position(), held.frame().is_none()), (frame, true));
            let (pixels, receipt) = shown(&mut held, budget);
            assert_eq!(receipt.health.alarms, Alarms::SPREAD);
            assert_eq!(pixels, next_frame(&mut plain, Budget::Frame), "frame {frame}");
        }
        assert_eq!(held.stats().aborted, 4);
    }
}

/// A chunk that alarms is made again with little of the past in view, as by a session that has a small window for it.
#[test]
fn a_gate_makes_a_chunk_again_without_what_is_far() {
    let bytes = model_bytes(&strict(), DType::F32, 1);
    let model = open(&bytes);
    let (mut plain, mut near) = (guarded(&model, Gate::Report), guarded(&model, Gate::Near));
    for frame in 0..8 {
        let smallest = if frame < 2 { 6 } else { 2 };
        plain.set_quality(QualityChange { window: Some(smallest), ..QualityChange::default() }).unwrap();
        let (pixels, receipt) = shown(&mut near, Budget::Nodes(5));
        assert_eq!((receipt.quality.window, receipt.health.alarms), (smallest, Alarms::SPREAD));
        assert_eq!(pixels, next_frame(&mut plain, Budget::Frame), "frame {frame}");
    }
}

/// What a rest began with, and how long it lasts, is in snapshots; a saved game begins to watch anew.
#[test]
fn a_rest_is_remembered() {
    let model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors")).unwrap();
    let mut session = Session::new(&model, &Device::cpu(2), seeded(4)).unwrap();
    let drifts = |session: &mut Session, frames: usize| -> Vec<f32> {
        (0..frames).map(|_| shown(session, Budget::Frame).1.health.drift).collect()
    };
    let first = drifts(&mut session, 12);
    // Of four given frames nothing is known, and four of a rest are its beginning.
    assert!(first[..8].iter().all(|&drift| drift == 0.0) && first[8..].iter().all(|&drift| drift > 0.0), "{first:?}");
    let (snapshot, saved) = (session.snapshot().unwrap(), session.save().unwrap());
    let expected = drifts(&mut session, 4);
    session.restore(&snapshot).unwrap();
    assert_eq!(drifts(&mut session, 4), expected);
    session.load(&Saved::from_bytes(saved.as_bytes().to_vec())).unwrap();
    let loaded = drifts(&mut session, 6);
    assert!(loaded[..4].iter().all(|&drift| drift == 0.0) && loaded[5] > 0.0, "{loaded:?}");
    // A key ends it, and another condition too.
    session.set_action(&[0.0, 0.0, 0.0, 1.0, 0.0]).unwrap();
    assert_eq!(drifts(&mut session, 1), [0.0]);
}
