//! Every CPU kernel against its definition, for every instruction set and several numbers of threads.

mod naive;
mod table;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use causeway_ops::{
    Backend, BackendError, GROUPS, Op,
    cpu::{CpuBackend, CpuOptions, Isa},
    parallel::ThreadPool,
    philox,
    table::Table,
};
use table::{Bound, Rounded, check, expected, outputs, table};

fn backend(table: &Table, isa: Isa, threads: usize) -> CpuBackend {
    let options = CpuOptions { isa: Some(isa), parallel: Arc::new(ThreadPool::new(threads)), ..CpuOptions::default() };
    CpuBackend::new(table.plan.clone(), &table.weights, options).unwrap()
}

#[test]
fn the_table_has_every_operator() {
    let table = table();
    let names: BTreeSet<_> = table.cases.iter().map(|case| table.op(case).name()).collect();
    assert_eq!(names.len(), Op::COUNT, "{names:?}");
}

/// `op/NAME.rs`, `cpu/NAME.rs` and `wgsl/NAME.wgsl` are one operator.
#[test]
fn twins_carry_one_name() {
    let (table, home) = (table(), Path::new(env!("CARGO_MANIFEST_DIR")));
    for name in table.cases.iter().map(|case| table.op(case).name()) {
        for file in [format!("src/op/{name}.rs"), format!("src/cpu/{name}.rs"), format!("../shaders/wgsl/{name}.wgsl")]
        {
            assert!(home.join(&file).exists(), "there is no {file}");
        }
    }
}

#[test]
fn kernels_match_their_definitions() {
    let table = table();
    let expected = expected(&table, Rounded::Rows);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let one = outputs(&table, &mut backend(&table, isa, 1));
        check(&table, isa.name(), &one, &expected, &|_| Bound::Tolerances(1.0));
        for threads in 2..=3 {
            let others = outputs(&table, &mut backend(&table, isa, threads));
            for ((case, one), many) in table.cases.iter().zip(&one).zip(&others) {
                assert!(one == many, "{isa}: {threads} threads change the bits of {}", case.name);
            }
        }
    }
}

#[test]
fn a_full_history_is_not_required_of_the_host() {
    // A history longer than the plan's and slots outside the ring are host errors that must not reach outside the buffers.
    let table = table();
    let mut backend = backend(&table, Isa::best(), 2);
    for case in &table.cases {
        let mut params = case.params;
        (params.history, params.level) = ([u32::MAX; GROUPS], u32::MAX);
        let mut touched = Vec::new();
        table.plan.pass(case.pass).nodes[0].operator().buffers(&mut |id, _| touched.push(id));
        for id in touched {
            backend.write(id, &vec![0xff; 4 * table.plan.buffer(id).len]).unwrap();
        }
        backend.run(case.pass, 0..1, &params).unwrap();
    }
}

#[test]
fn the_memory_cap_names_the_need() {
    let table = table();
    let memory = causeway_ops::cpu::memory(&table.plan, &table.weights, &CpuOptions::default()).unwrap();
    let new = |cap| {
        let options = CpuOptions { memory_cap: Some(cap), ..CpuOptions::default() };
        CpuBackend::new(table.plan.clone(), &table.weights, options)
    };
    let needed = memory.total();
    assert_eq!(new(needed - 1).err(), Some(BackendError::MemoryCap { needed, cap: needed - 1 }));
    assert_eq!(new(needed).unwrap().memory(), memory);
}

#[test]
fn a_saved_arena_brings_everything_back() {
    let table = table();
    let mut first = backend(&table, Isa::best(), 1);
    outputs(&table, &mut first);
    let mut saved = vec![0; first.arena_bytes()];
    first.save(&mut saved).unwrap();
    let mut second = backend(&table, Isa::best(), 1);
    second.load(&saved).unwrap();
    let mut again = vec![0; second.arena_bytes()];
    second.save(&mut again).unwrap();
    assert!(saved == again);
    assert!(matches!(second.load(&saved[1..]), Err(BackendError::Size { .. })));
}

/// What a few-step student computes is this formula and no other that is close to it: worlds depend on every bit.
#[test]
fn a_few_step_update_is_its_formula_to_the_bit() {
    let table = table();
    let mut backend = backend(&table, Isa::best(), 1);
    let mut seen = 0;
    for case in &table.cases {
        let Op::Solve(op) = table.op(case) else { continue };
        let [0.0, kept, 0.0, next] = case.params.predict else { continue };
        if op.past.is_some() || op.negative.is_some() || op.fresh.is_some() {
            continue;
        }
        assert_eq!(kept, 1.0 - next);
        let before = |id| &case.fill.iter().find(|(filled, _)| *filled == id).expect("the case fills it").1;
        let (x, v) = (before(op.x), before(op.v));
        for (i, &found) in table.run(case, &mut backend).unwrap().iter().enumerate() {
            let (x, v) = (f32::from_bits(x[i]), f32::from_bits(v[i]));
            let clean = if op.clean { v } else { x - case.params.sigma * v };
            let (frame, element) = (case.params.frame + (i / op.len) as u32, (i % op.len) as u32);
            let noise = philox::normal4(case.params.seed, frame, case.params.step + 1, element / 4);
            let expected = (1.0 - next) * clean + next * noise[element as usize % 4];
            assert_eq!(f32::from_bits(found), expected, "{}: element {i}", case.name);
        }
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn what_has_no_weight_is_not_looked_at() {
    let table = table();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        table::a_first_step_finds_anything(&table, &mut backend(&table, isa, 1));
    }
}
