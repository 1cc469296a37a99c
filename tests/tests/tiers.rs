//! What a GPU is asked to do for a frame, and by which kernels.
#![cfg(feature = "gpu")]

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use causeway_ops::{
    gpu::{Gpu, GpuBackend, GpuOptions, Tier},
    plan::PassId,
    quant::DType,
};
use causeway_runtime::{
    Budget, Device, Kv, Model, Output, Pump, Session, SessionOptions,
    clock::Clock,
    config::DecoderNetwork,
    import::{Settings, wan_1_3b},
    model::StreamPlan,
    sampler::Sampling,
    session::{Change, Condition},
};
use causeway_tests::{
    hollow, machine,
    stream::{next_frame, one, script, seeded},
    tiny::{codec_config, model_bytes, wan_config},
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

/// What layers pass on lies in half precision where a ring does. The CPU, whose ring does too, keeps it as it is.
#[test]
fn frames_with_activations_in_half_precision_are_those_of_the_cpu() {
    let options = || SessionOptions { kv: Kv::F16, ..seeded(3) };
    let Some(gpu) = open(Tier::Dot4) else { return };
    if machine::tier(gpu.keeps_halves().then_some(()).ok_or("the adapter has no builtins for halves")).is_none() {
        return;
    }
    let tier =
        |options| Session::new(&keep(), &Device::on_gpu(gpu.clone()), options).unwrap().backend().tier().to_owned();
    assert!(tier(options()).ends_with("f16 activations") && !tier(seeded(3)).contains("f16 activations"));
    frames_are_those_of(&one(), &Device::on_gpu(gpu.clone()), &options, 50.0, "dot4, f16 activations, against the CPU");
}

/// A stream may be saved wherever it is, with numbers in half precision on their way.
#[test]
fn snapshots_between_nodes_hold_activations_in_half_precision() {
    for (tier, kv) in [(Tier::Portable, Kv::F16), (Tier::Dot4, Kv::F16), (Tier::Dot4, Kv::Q8)] {
        let Some(gpu) = open(tier) else { return };
        is_saved_anywhere(gpu, kv);
    }
}

fn is_saved_anywhere(gpu: Gpu, kv: Kv) {
    let model = keep();
    let session = || {
        let options = SessionOptions { kv, ..seeded(3) };
        Session::new(&model, &Device::on_gpu(gpu.clone()), options).unwrap()
    };
    let (mut whole, mut saved, mut other) = (session(), session(), session());
    // Of the frames that the file gives nothing is denoised.
    let given = model.config().start.as_ref().map_or(0, |start| start.count);
    for _ in 0..given {
        next_frame(&mut whole, Budget::Frame);
        next_frame(&mut saved, Budget::Frame);
    }
    let expected = next_frame(&mut whole, Budget::Frame);
    let (mut nodes, mut snapshots) = (0, 0);
    while !matches!(saved.pump(Budget::Nodes(1)).unwrap(), Pump::Frame) {
        nodes += 1;
        // At each node of the first step, and now and then later.
        if nodes < 120 || nodes % 11 == 5 {
            let snapshot = saved.snapshot().unwrap();
            other.restore(&snapshot).unwrap();
            std::mem::swap(&mut saved, &mut other);
            snapshots += 1;
        }
    }
    assert!(saved.frame().unwrap().pixels == expected, "after {snapshots} snapshots");
    assert!(snapshots > 20, "{snapshots} snapshots");
}

/// Each look at it takes a while, and nothing else does: what a GPU takes is not the host's time.
struct Looks(AtomicU64);

impl Clock for Looks {
    fn micros(&self) -> u64 {
        self.0.fetch_add(700, Ordering::Relaxed)
    }
}

/// A pump hands a GPU no more than its budget and one range that is not cut any more, by what these are estimated to take.
#[test]
fn a_pump_submits_its_budget_and_one_range_at_most() {
    let Some(gpu) = open(Tier::Portable) else { return };
    let config = wan_config(1, 768, (52, 30));
    let model = Model::from_shared(model_bytes(&config, DType::Q8, 1).into()).unwrap();
    let options = SessionOptions {
        output: Output::Latents,
        prompt_rows: Some(4),
        queue: config.dit.chunk,
        sampling: Some(Sampling::few(&[1.0])),
        clock: Some(Box::new(Looks(AtomicU64::new(0)))),
        ..SessionOptions::default()
    };
    let mut session = Session::new(&model, &Device::on_gpu(gpu), options).unwrap();
    session.set_prompt(0, &vec![0.5; 4 * session.prompt_width()]).unwrap();
    session.queue(Change::to(Condition::Prompt(0))).unwrap();
    let plan = session.plan().clone();
    let (mut pumps, mut most, mut cut) = (0, 0.0f64, 0);
    let longest = |session: &mut Session| {
        let backend = session.backend();
        let nodes = plan
            .passes
            .iter()
            .enumerate()
            .flat_map(|(pass, passes)| (0..passes.nodes.len()).map(move |node| (PassId(pass as u32), node)));
        let range = |(pass, node)| backend.node_micros(pass, node).unwrap() / backend.parts(pass, node) as f32;
        nodes.map(range).fold(0.0, f32::max)
    };
    let all = |session: &mut Session| session.backend().submitted();
    loop {
        let (before, range) = (all(&mut session), longest(&mut session));
        let outcome = session.pump(Budget::Micros(2000)).unwrap();
        // Estimates follow what was measured, also within a pump.
        let (after, range) = (all(&mut session), range.max(longest(&mut session)));
        let micros = after.micros - before.micros;
        assert!(micros <= 2000.0 + f64::from(range) + 1.0, "pump {pumps}: {micros} us, a range is {range} us at most");
        (pumps, most) = (pumps + 1, most.max(micros));
        cut += usize::from(after.times > before.times);
        match outcome {
            Pump::Frame => break,
            // The device is busy.
            _ if after.times == before.times => std::thread::sleep(Duration::from_millis(1)),
            _ => {}
        }
    }
    let submitted = all(&mut session);
    println!("{} submissions in {cut} of {pumps} pumps, {most:.0} us at most in one", submitted.times);
    // Without parts and slices it would be one for each pass.
    assert!(cut > 20, "{cut} pumps submitted anything");
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
