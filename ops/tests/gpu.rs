//! The GPU backend against the definitions of the operators and against the CPU backend, on whatever adapter there is; a
//! software one (lavapipe) will do. Without any these tests are left out.

mod naive;
mod table;

use std::{
    collections::BTreeSet,
    sync::OnceLock,
    time::{Duration, Instant},
};

use causeway_ops::{
    Backend, BackendError, GROUPS, Op, Params, Plan, PlanBuilder,
    cpu::{CpuBackend, CpuOptions},
    gpu::{self, AdapterChoice, Gpu, GpuBackend, GpuOptions, Tier},
    op::{Activate, Activation, Copy, CrossAttention, Linear, Noise},
    philox,
    plan::{BufferId, BufferKind, Element, PassId, WeightRole},
    quant::{DType, TensorView, WeightSource, quantise_q8},
    table::{Case, Table},
};
use causeway_shaders::Needs;
use causeway_tests::{machine, stream::hash};
use naive::Data;
use table::{Bound, Expected, Rounded, check, expected, outputs, table};

/// GPU tolerances are those of the CPU table times this. Division, square root and exp may err by several units in the last
/// place (WGSL, section 15.7), and sums run in another order.
const SLACK: f64 = 4.0;

fn options() -> GpuOptions {
    GpuOptions { software: true, tier: Some(Tier::Portable), ..GpuOptions::default() }
}

/// One device for all tests, so that each kernel is compiled once.
fn shared() -> Option<&'static Gpu> {
    static GPU: OnceLock<Result<Gpu, BackendError>> = OnceLock::new();
    machine::gpu(GPU.get_or_init(|| Gpu::open(&options())).as_ref())
}

struct NoWeights;

impl WeightSource for NoWeights {
    fn tensor(&self, _name: &str) -> Option<TensorView<'_>> {
        None
    }
}

/// Tiers of this adapter; those that ask for no feature it must have.
fn tiers(portable: &Gpu) -> Vec<(Tier, Gpu)> {
    let open = |tier: Tier| match tier {
        Tier::Portable => Some((tier, portable.clone())),
        _ => Some((tier, machine::tier(Gpu::open(&GpuOptions { tier: Some(tier), ..options() }))?)),
    };
    let tiers: Vec<_> = Tier::ALL.into_iter().filter_map(open).collect();
    assert!([Tier::Portable, Tier::Dot4].iter().all(|tier| tiers.iter().any(|(other, _)| other == tier)));
    tiers
}

/// Whether a case runs a kernel that multiplies in half precision. Where its tier has none for a shape, the portable one runs, and rounds nothing.
fn multiplies_halves(backend: &GpuBackend, case: &Case) -> bool {
    let needs =
        |name: &&str| causeway_shaders::ALL.iter().find(|kernel| kernel.name == *name).map(|kernel| kernel.needs);
    let kernels = backend.dispatches(case.pass, case.node..case.node + 1);
    kernels.iter().filter_map(needs).any(|needs| matches!(needs, Needs::Half | Needs::Matrices))
}

/// What each case must give by the kernels that it runs.
fn expected_of(table: &Table, tier: Tier, backend: &GpuBackend) -> Expected {
    let plain = expected(table, if tier == Tier::Dot4 { Rounded::Rows } else { Rounded::Nothing });
    if !matches!(tier, Tier::Half | Tier::Cooperative) {
        return plain;
    }
    let halved = expected(table, Rounded::Attention);
    let choose = |((case, plain), halved)| if multiplies_halves(backend, case) { halved } else { plain };
    table.cases.iter().zip(plain).zip(halved).map(choose).collect()
}

/// How far a case may be from that: as when a device is opened.
fn bound(table: &Table, tier: Tier, backend: &GpuBackend, case: &Case) -> Bound {
    match (tier, table.op(case)) {
        _ if !multiplies_halves(backend, case) => Bound::Tolerances(SLACK),
        (Tier::Cooperative, Op::Linear(_)) => Bound::Deviations(2e-3),
        (Tier::Cooperative, _) => Bound::Deviations(3e-3),
        _ => Bound::Deviations(1e-2),
    }
}

/// With dot4 kernels the GPU quantises activations as the CPU does, and so as the definition that the CPU is tested with.
#[test]
fn kernels_of_every_tier_match_their_definitions() {
    let Some(gpu) = shared() else { return };
    let table = table();
    let (mut seen, mut needs) = (BTreeSet::new(), Needs::Nothing);
    for (tier, gpu) in tiers(gpu) {
        assert_eq!(gpu.tier(), tier);
        let mut backend = GpuBackend::on(&gpu, table.plan.clone(), &table.weights, None).unwrap();
        seen.extend(backend.kernels());
        let outputs = outputs(&table, &mut backend);
        let bound = |case: &Case| bound(&table, tier, &backend, case);
        check(&table, backend.tier(), &outputs, &expected_of(&table, tier, &backend), &bound);
        needs = match tier {
            Tier::Half => needs.max(Needs::Half),
            Tier::Cooperative => Needs::Matrices,
            _ => needs,
        };
    }
    // What does several nodes at once is tested in fusion.rs, which knows all of these.
    let fused = |name: &str| {
        name.ends_with("_two")
            || name.ends_with("_codes")
            || name.ends_with("_norm") && !["layer_norm", "channel_norm", "rms_norm"].contains(&name)
    };
    // What measures a device computes no operator; tiles that are broad need matrices that no software device has.
    let other =
        |name: &str| fused(name) || name.starts_with("peak_") || name.starts_with("probe_") || name.ends_with("_broad");
    let missing = causeway_shaders::ALL.iter().filter(|kernel| kernel.needs <= needs).map(|kernel| kernel.name);
    let missing: Vec<_> = missing.filter(|name| !other(name) && !seen.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in the table");
}

/// With its inputs in half precision each operator gives what it should, beyond one step of half precision where it stores so; bounds are those of
/// the table in single precision.
#[test]
fn kernels_of_every_tier_match_their_definitions_in_halves() {
    let Some(gpu) = shared() else { return };
    if machine::tier(gpu.keeps_halves().then_some(()).ok_or("the adapter has no builtins for halves")).is_none() {
        return;
    }
    let table = Table::in_halves().unwrap();
    let (mut seen, mut needs) = (BTreeSet::new(), Needs::Nothing);
    for (tier, gpu) in tiers(gpu) {
        let mut backend = GpuBackend::on(&gpu, table.plan.clone(), &table.weights, None).unwrap();
        seen.extend(backend.bindings_of_halves());
        let (mut outputs, expected) = (outputs(&table, &mut backend), expected_of(&table, tier, &backend));
        let mut steps = 0;
        for (output, expected) in outputs.iter_mut().zip(&expected) {
            let mut rest = output.as_mut_slice();
            for (id, expected) in expected {
                let (found, others) = rest.split_at_mut(table.plan.buffer(*id).len);
                rest = others;
                let half = table.scratch_of(*id).is_some_and(|scratch| backend.halves().contains(&scratch));
                let (true, Data::F(expected)) = (half, expected) else { continue };
                for (found, expected) in found.iter_mut().zip(expected) {
                    let value = f64::from(f32::from_bits(*found));
                    assert_eq!(value, half::f16::from_f64(value).to_f64(), "this is no half");
                    // Whether numbers between two are rounded to the nearest is the driver's.
                    let step = (expected.abs() / 1024.0).max(1.0 / 1024.0 / 16384.0);
                    *found = ((value - (value - expected).clamp(-step, step)) as f32).to_bits();
                    steps += 1;
                }
            }
        }
        println!("{tier}: {} buffers in half precision, {steps} numbers stored so", backend.halves().len());
        let bound = |case: &Case| bound(&table, tier, &backend, case);
        check(&table, backend.tier(), &outputs, &expected, &bound);
        needs = match tier {
            Tier::Half => needs.max(Needs::Half),
            Tier::Cooperative => Needs::Matrices,
            _ => needs,
        };
    }
    // What does several nodes at once is tested in fusion.rs.
    let other = |name: &str| {
        name.ends_with("_two")
            || name.ends_with("_broad")
            || name.ends_with("_norm") && !name.ends_with("s_norm") && name != "layer_norm"
    };
    let all = causeway_shaders::ALL.iter().filter(|kernel| kernel.needs <= needs && !other(kernel.name));
    let all = all.flat_map(|kernel| kernel.bindings.iter().filter(|one| one.halves).map(|one| (kernel.name, one.name)));
    let missing: Vec<_> = all.filter(|binding| !seen.contains(binding)).collect();
    assert!(missing.is_empty(), "{missing:?} are never in half precision");
}

/// A wrong guess gives wrong numbers without any error of the driver.
#[test]
fn kernels_for_subgroups_of_another_size_fail_their_test() {
    let Some(gpu) = shared() else { return };
    let own = gpu::adapters().into_iter().find(|report| report.name == gpu.name()).unwrap();
    if own.matrices.is_none() {
        machine::tier::<(), _>(Err("the adapter has no matrices"));
        return;
    }
    // One that no driver has where another is all it has.
    let lanes = if own.subgroups == [16, 16] { 32 } else { 16 };
    assert_eq!(own.subgroups[0], own.subgroups[1], "which size a kernel gets is not known beforehand");
    match Gpu::open(&GpuOptions { tier: Some(Tier::Cooperative), lanes: Some(lanes), ..options() }).err() {
        Some(BackendError::Unsupported(why)) => println!("{lanes} lanes: {why}"),
        other => panic!("{lanes} lanes: {other:?}"),
    }
}

#[test]
fn what_has_no_weight_is_not_looked_at() {
    let Some(gpu) = shared() else { return };
    let table = table();
    let mut backend = GpuBackend::on(gpu, table.plan.clone(), &table.weights, None).unwrap();
    table::a_first_step_finds_anything(&table, &mut backend);
}

/// A history longer than the plan's, slots outside the ring and routes to nowhere are host errors that must not reach outside
/// the buffers: the arena around them stays as it was.
#[test]
fn garbage_in_tables_stays_inside_the_buffers() {
    let Some(gpu) = shared() else { return };
    let table = table();
    let mut backend = GpuBackend::on(gpu, table.plan.clone(), &table.weights, None).unwrap();
    let plan = table.plan.clone();
    let canary: Vec<BufferId> = (0..plan.buffers.len() as u32).map(BufferId).collect();
    for case in table.cases.iter().step_by(3) {
        let mut touched = Vec::new();
        plan.pass(case.pass).nodes[0].operator().buffers(&mut |id, _| touched.push(id));
        for &id in &touched {
            backend.write(id, &vec![0xff; 4 * plan.buffer(id).len]).unwrap();
        }
        backend.run(case.pass, 0..1, &Params { history: [u32::MAX; GROUPS], level: u32::MAX, ..case.params }).unwrap();
        // The neighbours in the plan are untouched.
        let Some(&next) = canary.get(touched.iter().map(|id| id.0).max().unwrap() as usize + 1) else { continue };
        let mut bytes = vec![1; 4 * plan.buffer(next).len];
        backend.read(next, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0 || byte == 0xff), "{} spilled", case.name);
    }
}

/// Noise, then a chain through scratch buffers that share places, into an output; and a state that adds up.
struct Chain {
    plan: Plan,
    output: BufferId,
    state: BufferId,
    pass: PassId,
}

const LEN: usize = 1000;

fn chain(nodes: usize) -> Chain {
    let mut b = PlanBuilder::new();
    let state = b.state("state", LEN);
    let affine = b.constant("affine", vec![1.25, -0.5, 0.25, 0.125]);
    let output = b.buffer("output", Element::F32, LEN, BufferKind::Output);
    let pass = b.pass("main");
    let mut x = b.scratch("noise", LEN);
    b.push(Noise { y: x, frames: 1, len: LEN });
    for i in 0..nodes {
        let y = b.scratch(format!("scratch {i}"), LEN);
        let activation = [Activation::Gelu, Activation::None, Activation::SoftClamp][i % 3];
        b.push(Activate { x, y, len: LEN, activation, affine: Some((affine, 2)) });
        x = y;
    }
    b.push(Copy { x, x_offset: 0, y: output, y_offset: 0, len: LEN });
    b.push(Copy { x: output, x_offset: 10, y: state, y_offset: 20, len: 500 });
    Chain { plan: b.build().unwrap(), output, state, pass }
}

fn params(frame: u32) -> Params {
    Params { seed: [1, 2], frame, ..Params::default() }
}

fn read(backend: &mut dyn Backend, id: BufferId) -> Vec<f32> {
    let mut bytes = vec![0; 4 * backend.plan().buffer(id).len];
    backend.read(id, &mut bytes).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

#[test]
fn a_chain_through_shared_scratch_equals_the_cpu() {
    let Some(gpu) = shared() else { return };
    let chain = chain(9);
    let nodes = chain.plan.passes[0].nodes.len();
    let mut gpu = GpuBackend::on(gpu, chain.plan.clone(), &NoWeights, None).unwrap();
    let mut cpu = CpuBackend::new(chain.plan.clone(), &NoWeights, CpuOptions::default()).unwrap();
    for frame in 0..3 {
        for backend in [&mut gpu as &mut dyn Backend, &mut cpu] {
            backend.run(chain.pass, 0..nodes, &params(frame)).unwrap();
        }
        for id in [chain.output, chain.state] {
            let (found, expected) = (read(&mut gpu, id), read(&mut cpu, id));
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "frame {frame}: off by {worst}");
        }
    }
}

#[test]
fn slices_do_not_change_bits() {
    let Some(gpu) = shared() else { return };
    let chain = chain(9);
    let nodes = chain.plan.passes[0].nodes.len();
    let mut backend = GpuBackend::on(gpu, chain.plan.clone(), &NoWeights, None).unwrap();
    backend.run(chain.pass, 0..nodes, &params(5)).unwrap();
    let whole = read(&mut backend, chain.output);
    backend.run(chain.pass, 0..nodes, &params(6)).unwrap();
    assert_ne!(whole, read(&mut backend, chain.output), "another frame has other noise");
    for slice in [1, 4] {
        for node in (0..nodes).step_by(slice) {
            backend.run(chain.pass, node..(node + slice).min(nodes), &params(5)).unwrap();
        }
        assert_eq!(whole, read(&mut backend, chain.output), "slices of {slice}");
    }
}

#[test]
fn a_saved_arena_brings_everything_back() {
    let Some(gpu) = shared() else { return };
    let chain = chain(4);
    let nodes = chain.plan.passes[0].nodes.len();
    let new = || GpuBackend::on(gpu, chain.plan.clone(), &NoWeights, None).unwrap();
    let mut first = new();
    first.run(chain.pass, 0..nodes, &params(1)).unwrap();
    // In the middle of a pass: scratch matters.
    first.run(chain.pass, 0..3, &params(2)).unwrap();
    let mut saved = vec![0; first.arena_bytes()];
    first.save(&mut saved).unwrap();
    first.run(chain.pass, 3..nodes, &params(2)).unwrap();
    let expected = [read(&mut first, chain.output), read(&mut first, chain.state)];
    let mut second = new();
    second.load(&saved).unwrap();
    second.run(chain.pass, 3..nodes, &params(2)).unwrap();
    assert_eq!(expected, [read(&mut second, chain.output), read(&mut second, chain.state)]);
    assert!(matches!(second.load(&saved[1..]), Err(BackendError::Size { .. })));
}

#[test]
fn reads_arrive_without_waiting_and_the_newest_wins() {
    let Some(gpu) = shared() else { return };
    let chain = chain(3);
    let nodes = chain.plan.passes[0].nodes.len();
    let mut backend = GpuBackend::on(gpu, chain.plan.clone(), &NoWeights, None).unwrap();
    let mut bytes = vec![0; 4 * LEN];
    assert_eq!(backend.poll_read(&mut bytes), Ok(false), "nothing was begun");
    let mut arrive = |backend: &mut GpuBackend, frame| {
        let start = Instant::now();
        while !backend.poll_read(&mut bytes).unwrap() {
            assert!(start.elapsed() < Duration::from_secs(20), "the read never arrives");
            std::thread::yield_now();
        }
        backend.run(chain.pass, 0..nodes, &params(frame)).unwrap();
        let mut expected = vec![0; 4 * LEN];
        backend.read(chain.output, &mut expected).unwrap();
        assert!(bytes == expected, "frame {frame}");
        assert_eq!(backend.poll_read(&mut bytes), Ok(false), "a read is delivered once");
    };
    for frame in 0..5 {
        backend.run(chain.pass, 0..nodes, &params(frame)).unwrap();
        backend.begin_read(chain.output).unwrap();
        if frame % 2 == 1 {
            backend.run(chain.pass, 0..nodes, &params(100 + frame)).unwrap();
            backend.begin_read(chain.output).unwrap();
            arrive(&mut backend, 100 + frame);
        } else {
            // Later runs do not disturb a copy that was begun.
            backend.run(chain.pass, 0..nodes, &params(200)).unwrap();
            arrive(&mut backend, frame);
        }
    }
    backend.begin_read(chain.output).unwrap();
    assert!(matches!(backend.poll_read(&mut [0; 8]), Err(BackendError::Size { .. })));
}

#[test]
fn a_busy_gpu_says_so_and_comes_to_rest() {
    let Some(gpu) = shared() else { return };
    let chain = chain(60);
    let nodes = chain.plan.passes[0].nodes.len();
    let mut backend = GpuBackend::on(gpu, chain.plan.clone(), &NoWeights, None).unwrap();
    assert_eq!(backend.idle(), Ok(true));
    backend.run(chain.pass, 0..nodes, &params(0)).unwrap();
    assert_eq!(backend.idle(), Ok(true), "one submission in flight leaves room for another");
    for frame in 0..20 {
        backend.run(chain.pass, 0..nodes, &params(frame)).unwrap();
    }
    let start = Instant::now();
    while !backend.idle().unwrap() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never comes to rest");
        std::thread::yield_now();
    }
}

/// With timestamps, the estimates that decide slices must move from the defaults.
#[test]
fn nodes_are_timed() {
    let Some(gpu) = shared() else { return };
    let chain = chain(30);
    let nodes = chain.plan.passes[0].nodes.len();
    let mut backend = GpuBackend::on(gpu, chain.plan.clone(), &NoWeights, None).unwrap();
    let before = backend.node_micros(chain.pass, 3).unwrap();
    assert!(before > 0.0);
    for frame in 0..20 {
        backend.run(chain.pass, 0..nodes, &params(frame)).unwrap();
        read(&mut backend, chain.output);
        assert_eq!(backend.idle(), Ok(true));
    }
    let after = backend.node_micros(chain.pass, 3).unwrap();
    let timed = gpu::adapters().iter().any(|adapter| adapter.name == gpu.name() && adapter.timestamps);
    assert!(!timed || after != before, "{before} us before and after");
    assert_eq!(backend.slice(chain.pass, 0, u64::MAX), nodes);
    let half = backend.slice(chain.pass, 0, (after * nodes as f32 / 2.0) as u64);
    assert!((1..nodes).contains(&half), "{half} of {nodes} nodes in half the time");
}

#[test]
fn peaks_are_measured() {
    let Some(gpu) = shared() else { return };
    let gpu::Peaks { f32, half: _, matrices: _, dot4, workgroup, copy } = gpu::peaks(gpu).unwrap();
    // A tenth of what one slow core does, and more than any device of today.
    for (rate, least, most) in [(f32, 1e8, 1e15), (dot4, 1e7, 1e16), (workgroup, 1e8, 1e15), (copy, 1e8, 1e14)] {
        assert!((least..most).contains(&rate), "{rate:e}");
    }
}

#[test]
fn the_memory_cap_names_the_need() {
    let Some(gpu) = shared() else { return };
    let table = table();
    let memory = gpu::memory(gpu, &table.plan, &table.weights).unwrap();
    let needed = memory.total();
    let capped = |cap| GpuBackend::on(gpu, table.plan.clone(), &table.weights, Some(cap));
    assert_eq!(capped(needed - 1).err(), Some(BackendError::MemoryCap { needed, cap: needed - 1 }));
    assert_eq!(capped(needed).unwrap().memory(), memory);
}

#[test]
fn a_missing_weight_is_named() {
    let Some(gpu) = shared() else { return };
    let table = table();
    match GpuBackend::on(gpu, table.plan.clone(), &NoWeights, None).err() {
        Some(BackendError::Weight { name, .. }) => assert_eq!(name, table.plan.weights[0].name),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_adapter_that_is_not_there_is_an_error_that_lists_those_that_are() {
    let Some(gpu) = shared() else { return };
    for adapter in [AdapterChoice::Name("Imaginary 9000".into()), AdapterChoice::Index(999)] {
        let options = GpuOptions { adapter: Some(adapter), ..options() };
        match Gpu::open(&options).err() {
            Some(BackendError::NoAdapter(what)) => assert!(what.contains(gpu.name()), "{what}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!("3".parse(), Ok(AdapterChoice::Index(3)));
    assert_eq!("rtx".parse(), Ok(AdapterChoice::Name("rtx".into())));
    let own = gpu::adapters().into_iter().find(|report| report.name == gpu.name()).unwrap();
    assert_eq!(own.unfit, None);
    assert!(Gpu::open(&GpuOptions { adapter: Some(AdapterChoice::Index(own.index)), ..options() }).is_ok());
}

#[test]
fn a_lost_device_is_an_error_and_a_new_one_takes_over() {
    if shared().is_none() {
        return;
    }
    let chain = chain(3);
    let nodes = chain.plan.passes[0].nodes.len();
    let mut backend = GpuBackend::new(chain.plan.clone(), &NoWeights, options()).unwrap();
    backend.run(chain.pass, 0..nodes, &params(1)).unwrap();
    let expected = read(&mut backend, chain.output);
    let mut saved = vec![0; backend.arena_bytes()];
    backend.save(&mut saved).unwrap();
    backend.gpu().lose();
    let mut bytes = vec![0; 4 * LEN];
    let lost = |result: Result<(), BackendError>| matches!(result, Err(BackendError::DeviceLost(_)));
    assert!(lost(backend.run(chain.pass, 0..nodes, &params(1))));
    assert!(lost(backend.write(chain.output, &bytes)));
    assert!(lost(backend.read(chain.output, &mut bytes)));
    assert!(lost(backend.begin_read(chain.output)));
    assert!(lost(backend.poll_read(&mut bytes).map(drop)));
    assert!(lost(backend.idle().map(drop)));
    assert!(lost(backend.load(&saved)));
    assert!(lost(backend.save(&mut saved.clone())));
    assert!(lost(GpuBackend::on(backend.gpu(), chain.plan.clone(), &NoWeights, None).map(drop)));
    let mut second = GpuBackend::new(chain.plan.clone(), &NoWeights, options()).unwrap();
    second.load(&saved).unwrap();
    assert_eq!(read(&mut second, chain.output), expected);
}

/// One thread's poll may pick up the callback of another's copy: both reads must still end.
#[test]
fn reads_from_many_threads_all_arrive() {
    let Some(gpu) = shared() else { return };
    let plan = chain(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut backend = GpuBackend::on(gpu, plan.plan.clone(), &NoWeights, None).unwrap();
                let mut bytes = vec![0; 4 * LEN];
                for _ in 0..1000 {
                    backend.read(plan.output, &mut bytes).unwrap();
                }
            });
        }
    });
}

/// What is kept of measurements is used on the device that they are of, whole or not at all; and no slower kernel is taken for a faster one.
#[test]
fn what_was_measured_is_read_back_on_its_device_alone() {
    use causeway_ops::{Kv, gpu::Shape};
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Two tiers that every adapter has.
    let Some(gpu) = shared() else { return };
    let both = gpu.clone().and(Tier::Dot4).unwrap();
    let linear = Shape::Linear { rows: 19, inputs: 64, outputs: 37, dtype: DType::Q8 };
    let attention = Shape::Attention { rows: 32, keys: 96, heads: 2, head_dim: 32, kv: Kv::F16 };
    let tuned = both.tune::<BackendError>(&[linear, attention], &mut || Ok(())).unwrap();
    println!("{:?}", tuned.seconds);
    assert_eq!(tuned.seconds.iter().filter(|(shape, ..)| *shape == linear).count(), 2);
    assert_eq!(tuned.tiers.keys().copied().collect::<BTreeSet<_>>(), [linear, attention].into());
    for (shape, taken) in &tuned.tiers {
        let of = |(other, tier, seconds): &(Shape, Tier, f64)| (other == shape).then_some((*tier, *seconds));
        let all: Vec<_> = tuned.seconds.iter().filter_map(of).collect();
        let taken = all.iter().find(|(tier, _)| tier == taken).unwrap().1;
        assert!(all.iter().all(|(_, seconds)| taken <= seconds * 1.05 + 1e-9), "{shape}: {all:?}");
    }
    let path = folder.join("tuned");
    both.write_tuned(&tuned, &path).unwrap();
    assert_eq!(both.read_tuned(&path).unwrap().tiers, tuned.tiers);
    assert_eq!(both.clone().with(&tuned).measured(), &tuned.tiers);
    // The same adapter with other tiers, a file that ends early, one that was changed, none.
    assert!(gpu.read_tuned(&path).unwrap_err().contains("another device"));
    let text = std::fs::read_to_string(&path).unwrap();
    for torn in [&text[..text.len() / 2], &text[..text.len() - 3], &text.replace("19x", "20x"), ""] {
        std::fs::write(folder.join("torn"), torn).unwrap();
        assert_eq!(both.read_tuned(&folder.join("torn")), Err("it is torn".into()));
    }
    assert!(both.read_tuned(&folder.join("nowhere")).is_err());
    // Whole files of another format, driver, set of tiers, version of the kernels.
    for changed in 0..4 {
        let line = |(n, line): (usize, &str)| if n == changed { "another\n".into() } else { format!("{line}\n") };
        let body: String = text.lines().filter(|line| !line.starts_with("end ")).enumerate().map(line).collect();
        std::fs::write(folder.join("foreign"), format!("{body}end {:016x}\n", hash(body.as_bytes()))).unwrap();
        let error = both.read_tuned(&folder.join("foreign"));
        assert_eq!(error, Err("it is of another device, driver or version".into()), "line {changed}");
    }
    // Opening goes on with the table's choice.
    for name in ["torn", "foreign", "nowhere"] {
        let other = Gpu::open(&GpuOptions { tuned: Some(folder.join(name)), ..options() }).unwrap();
        assert!(other.measured().is_empty(), "{name}");
    }
    // Results are of the kernels that made them.
    let table = table();
    let identity = |gpu: &Gpu| GpuBackend::on(gpu, table.plan.clone(), &table.weights, None).unwrap().tier().to_owned();
    assert_ne!(identity(&both), identity(&both.clone().with(&tuned)));
}

/// A q8 matrix of random numbers.
struct Matrix {
    shape: [usize; 2],
    data: Vec<u8>,
    scales: Vec<u8>,
}

impl Matrix {
    fn new(shape: [usize; 2]) -> Self {
        let values: Vec<f32> = random(99, shape[0] * shape[1]);
        let (mut data, mut scales) = (Vec::new(), Vec::new());
        quantise_q8(&values, &mut data, &mut scales);
        Self { shape, data, scales }
    }
}

impl WeightSource for Matrix {
    fn tensor(&self, _name: &str) -> Option<TensorView<'_>> {
        Some(TensorView::here(DType::Q8, &self.shape, &self.data, Some(&self.scales)))
    }
}

fn random(seed: u32, len: usize) -> Vec<f32> {
    (0..len).map(|i| philox::normal4([seed, 0], 0, 0, i as u32 / 4)[i % 4]).collect()
}

/// Nodes of a GFLOP and more are done in ranges of rows, so that no host has to wait for all of one; a stream may be saved between two.
#[test]
fn parts_of_long_nodes_are_the_whole() {
    let Some(portable) = shared() else { return };
    let dot4 = portable.clone().and(Tier::Dot4).unwrap();
    let (rows, dim, heads, context) = (1024, 1024, 8, 1024);
    let mut b = PlanBuilder::new();
    let x = b.buffer("x", Element::F32, rows * dim, BufferKind::Input);
    let [k, v] = ["k", "v"].map(|name| b.buffer(name, Element::F32, context * dim / 2, BufferKind::Input));
    let y = b.buffer("y", Element::F32, rows * dim, BufferKind::Output);
    let weight = b.weight("weight", &[dim, dim], WeightRole::Matrix);
    let linear = b.pass("linear");
    let (activation, residual) = (Activation::None, false);
    b.push(Linear { x, weight, bias: None, y, rows, inputs: dim, outputs: dim, activation, residual, gate: None });
    let attention = b.pass("attention");
    let head_dim = dim / 2 / heads;
    b.push(CrossAttention { q: x, k, v, offsets: None, scaled: true, y, rows, context, heads, head_dim });
    let plan = b.build().unwrap();
    let weights = Matrix::new([dim, dim]);
    for (gpu, pass) in [(portable, linear), (&dot4, linear), (portable, attention)] {
        let mut backend = GpuBackend::on(gpu, plan.clone(), &weights, None).unwrap();
        let parts = backend.parts(pass, 0);
        assert!(parts > 1, "{:?} in one part", backend.dispatches(pass, 0..1));
        for (seed, id) in (1..).zip([x, k, v]) {
            backend.write(id, bytemuck::cast_slice(&random(seed, plan.buffer(id).len))).unwrap();
        }
        let clear = |backend: &mut GpuBackend| backend.write(y, &vec![0xff; 4 * rows * dim]).unwrap();
        clear(&mut backend);
        backend.run(pass, 0..1, &Params::default()).unwrap();
        let whole = read(&mut backend, y);
        clear(&mut backend);
        backend.run_parts(pass, 0, 0..1, &Params::default()).unwrap();
        let first = read(&mut backend, y);
        let made = first.iter().zip(&whole).take_while(|(a, b)| a.to_bits() == b.to_bits()).count();
        assert!(made > 0 && made < whole.len(), "{made} of {}", whole.len());
        let mut saved = vec![0; backend.arena_bytes()];
        backend.save(&mut saved).unwrap();
        for together in [1, parts] {
            let mut other = GpuBackend::on(gpu, plan.clone(), &weights, None).unwrap();
            other.load(&saved).unwrap();
            for part in (1..parts).step_by(together) {
                other.run_parts(pass, 0, part..parts.min(part + together), &Params::default()).unwrap();
            }
            let found = read(&mut other, y);
            assert!(found.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()), "{together} at a time");
        }
    }
}
