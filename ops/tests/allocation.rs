//! A backend holds exactly the bytes it promised, and running it allocates nothing.
//!
//! A test binary of its own, because it counts the whole process's allocations.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use causeway_ops::{
    Backend, Params, PlanBuilder,
    cpu::{CpuBackend, CpuOptions},
    op::CrossAttention,
    parallel::ThreadPool,
    plan::PassId,
    table::Table,
};

static CALLS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

thread_local! {
    /// Whether bytes of this thread count: the test's do, those of the harness beside it do not.
    static MINE: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        if MINE.get() {
            LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if MINE.get() {
            LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn memory_is_exact_and_running_allocates_nothing() {
    MINE.set(true);
    let table = Table::new().unwrap();
    let options = CpuOptions { parallel: Arc::new(ThreadPool::new(2)), ..CpuOptions::default() };
    let plan = table.plan.clone();
    let before = LIVE.load(Ordering::Relaxed);
    let mut backend = CpuBackend::new(plan, &table.weights, options.clone()).unwrap();
    assert_eq!(LIVE.load(Ordering::Relaxed) - before, backend.memory().total());

    for case in &table.cases {
        table.run(case, &mut backend).unwrap();
    }
    let before = CALLS.load(Ordering::Relaxed);
    for case in &table.cases {
        backend.run(case.pass, 0..1, &case.params).unwrap();
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), before);
    drop(backend);
    parts_too(&table, options);
}

/// A node whose parts keep something from one to the next. The threads are those that ran before: they allocate when they begin.
fn parts_too(table: &Table, options: CpuOptions) {
    let mut b = PlanBuilder::new();
    let [q, k, v, y] = ["q", "k", "v", "y"].map(|name| b.state(name, 5000 * 128));
    b.pass("large");
    b.push(CrossAttention {
        q,
        k,
        v,
        offsets: None,
        scaled: true,
        y,
        rows: 64,
        context: 5000,
        heads: 1,
        head_dim: 128,
    });
    let plan = b.build().unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    let mut backend = CpuBackend::new(plan, &table.weights, options).unwrap();
    assert_eq!(LIVE.load(Ordering::Relaxed) - before, backend.memory().total());
    let parts = backend.parts(PassId(0), 0);
    assert!(parts > 4);
    let before = CALLS.load(Ordering::Relaxed);
    for part in 0..parts {
        backend.run_parts(PassId(0), 0, part..part + 1, &Params::default()).unwrap();
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), before);
}
