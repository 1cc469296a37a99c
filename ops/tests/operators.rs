//! Every CPU kernel against its definition, for every instruction set and several numbers of threads.

mod naive;
mod table;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use causeway_ops::{
    Backend, BackendError, Op,
    cpu::{CpuBackend, CpuOptions, Isa},
    parallel::ThreadPool,
    table::Table,
};
use table::{check, expected, outputs, table};

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
    let expected = expected(&table, true);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        let one = outputs(&table, &mut backend(&table, isa, 1));
        check(&table, isa.name(), &one, &expected, |_| 1.0);
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
        params.history = u32::MAX;
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
