//! What a GPU is asked to do for a frame, and by which kernels.
#![cfg(feature = "gpu")]

use std::path::Path;

use causeway_ops::{
    gpu::{Gpu, GpuBackend, GpuOptions, Tier},
    quant::DType,
};
use causeway_runtime::{
    Budget, Device, Kv, Model, Session, SessionOptions,
    config::DecoderNetwork,
    import::{Settings, wan_1_3b},
    model::StreamPlan,
};
use causeway_tests::{
    hollow, machine,
    stream::{next_frame, one, script, seeded},
    tiny::codec_config,
};

fn keep() -> Model<'static> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors");
    Model::open(file).unwrap()
}

fn open(tier: Tier) -> Option<Gpu> {
    machine::gpu(Gpu::open(&GpuOptions { software: true, tier: Some(tier), ..GpuOptions::default() }))
}

/// Of a small world's frame dispatches are all there is: each costs some microseconds whatever it computes.
#[test]
fn a_step_of_the_demo_is_at_most_seventy_dispatches() {
    let model = keep();
    let session = Session::new(&model, &one(), SessionOptions::default()).unwrap();
    let plan = session.plan();
    let Some(gpu) = open(Tier::Portable) else { return };
    let backend = GpuBackend::on(&gpu, plan.clone(), &model, None).unwrap();
    let pass = StreamPlan::pass(plan, "denoise").unwrap();
    let nodes = plan.pass(pass).nodes.len();
    let dispatches = backend.dispatches(pass, 0..nodes);
    println!("{nodes} nodes in {} dispatches", dispatches.len());
    assert!(dispatches.len() <= 70, "{dispatches:?}");
    // Slices together are the whole.
    let each = (0..nodes).map(|node| backend.dispatches(pass, node..node + 1).len());
    assert_eq!(each.sum::<usize>(), dispatches.len());
}

/// Peak signal over the noise of 8-bit colours, in decibels; infinite if there is none.
fn decibels(a: &[u8], b: &[u8]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squares).log10()
}

/// The state of `from`'s stream becomes that of `to`.
fn copy_state(from: &mut Session, to: &mut Session) {
    let ids: Vec<_> = from.plan().state().collect();
    for id in ids {
        let mut bytes = vec![0; 4 * from.plan().buffer(id).len];
        from.backend().read(id, &mut bytes).unwrap();
        to.backend().write(id, &bytes).unwrap();
    }
}

/// 32 frames of the demo by a tier against those of its twin. Each begins from the twin's rings, latents and codec memory, so that what is
/// measured is a frame's own error; how streams that run freely part is printed.
fn frames_are_those_of(twin: &Device, device: &Device, options: &dyn Fn() -> SessionOptions, bound: f64, what: &str) {
    let model = keep();
    let session = |device: &Device| Session::new(&model, device, options()).unwrap();
    let (mut twin, mut led, mut free) = (session(twin), session(device), session(device));
    let (mut worst, mut apart) = (f64::INFINITY, f64::INFINITY);
    let mut moved = false;
    let mut before = Vec::new();
    for n in 0..32 {
        let (action, _) = script(n);
        for session in [&mut twin, &mut led, &mut free] {
            session.set_action(&action).unwrap();
        }
        copy_state(&mut twin, &mut led);
        let expected = next_frame(&mut twin, Budget::Frame);
        let found = next_frame(&mut led, Budget::Frame);
        let error = decibels(&found, &expected);
        assert!(error >= bound, "{what}: frame {n}: {error:.1} dB");
        worst = worst.min(error);
        apart = apart.min(decibels(&next_frame(&mut free, Budget::Frame), &expected));
        moved |= n > 0 && expected != before;
        before = expected;
    }
    assert!(moved, "the stream stands still");
    println!("{what}: worst frame {worst:.1} dB, streams that run freely {apart:.1} dB at worst");
}

/// The CPU rounds activations to bytes as dot4 kernels do: it is their twin.
#[test]
fn frames_of_dot4_kernels_are_those_of_the_cpu() {
    let Some(gpu) = open(Tier::Dot4) else { return };
    frames_are_those_of(&one(), &Device::on_gpu(gpu), &|| seeded(3), 50.0, "dot4 against the CPU");
}

/// Half precision and matrices take activations as they are, as portable kernels do: these are their twin. The ring is in half precision, as it
/// is on a GPU unless a host asks for another.
#[test]
fn frames_in_half_precision_are_those_of_portable_kernels() {
    let options = || SessionOptions { kv: Kv::F16, ..seeded(3) };
    let Some(twin) = open(Tier::Portable).map(Device::on_gpu) else { return };
    for (tier, bound) in [(Tier::Half, 45.0), (Tier::Cooperative, 50.0)] {
        let opened = Gpu::open(&GpuOptions { software: true, tier: Some(tier), ..GpuOptions::default() });
        let Some(device) = machine::tier(opened).map(Device::on_gpu) else { continue };
        let what = format!("{tier} against portable kernels");
        frames_are_those_of(&twin, &device, &options, bound, &what);
    }
}

/// The future of a stream is the kernels' too.
#[test]
fn a_snapshot_is_not_restored_on_another_tier() {
    let model = keep();
    let session = |gpu| Session::new(&model, &Device::on_gpu(gpu), seeded(3)).unwrap();
    let (Some(portable), Some(dot4)) = (open(Tier::Portable), open(Tier::Dot4)) else { return };
    let (mut first, mut second) = (session(portable), session(dot4));
    next_frame(&mut first, Budget::Frame);
    let snapshot = first.snapshot().unwrap();
    assert!(first.restore(&snapshot).is_ok());
    assert!(second.restore(&snapshot).is_err());
}

/// Bytes that a session of the 1.3B takes on a GPU, with bytes for weights, a window of 12 latent frames and the small decoder in its plan.
/// Nothing of it is allocated.
#[test]
fn sessions_at_real_size_stay_below_their_bounds() {
    let Some(gpu) = open(Tier::Portable) else { return };
    let folder = std::env::temp_dir().join(format!("causeway-tiers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut above = Vec::new();
    for (latent, kv, recache, most) in [
        ((60, 104), Kv::F16, false, 6.0),
        ((60, 104), Kv::Q8, false, 4.3),
        ((60, 104), Kv::F16, true, 6.3),
        ((60, 104), Kv::Q8, true, 4.6),
        ((30, 52), Kv::F16, false, 2.9),
        ((30, 52), Kv::Q8, false, 2.5),
    ] {
        let config = wan_1_3b(&Settings { window: 12, latent, ..Settings::default() });
        let codec = codec_config("taew2_1", DecoderNetwork::Taehv(config.codec.clone()));
        let model = hollow::open(&folder.join("wan.safetensors"), &config, DType::Q8);
        let codec = hollow::open(&folder.join("codec.safetensors"), &codec, DType::Q8);
        let options = SessionOptions { kv, recache, ..SessionOptions::default() };
        let need = Session::need(&model, Some(&codec), &Device::on_gpu(gpu.clone()), options).unwrap();
        let (width, height) = need.picture;
        assert_eq!((width, height), (8 * latent.1, 8 * latent.0));
        assert!(need.memory.weights > 1_400_000_000, "{:?}", need.memory);
        let total = need.memory.total() as f64 / 1e9;
        println!("{width}x{height}, {kv:?} ring, recache {recache}: {total:.2} GB, at most {most}: {:?}", need.memory);
        if total > most {
            above.push(format!("{width}x{height}, {kv:?} ring, recache {recache}: {total:.2} GB, at most {most}"));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(above.is_empty(), "{above:?}");
}
