//! What a GPU is asked to do for a frame, and by which kernels. Fails, not skips, where there is no adapter.
#![cfg(feature = "gpu")]

use std::path::Path;

use causeway_ops::gpu::{Gpu, GpuBackend, GpuOptions};
use causeway_runtime::{Model, Session, SessionOptions, model::StreamPlan};
use causeway_tests::stream::one;

fn keep() -> Model<'static> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors");
    Model::open(file).unwrap()
}

/// Of a small world's frame dispatches are all there is: each costs some microseconds whatever it computes.
#[test]
fn a_step_of_the_demo_is_at_most_seventy_dispatches() {
    let model = keep();
    let session = Session::new(&model, &one(), SessionOptions::default()).unwrap();
    let plan = session.plan();
    let gpu = Gpu::open(&GpuOptions { software: true, ..GpuOptions::default() }).unwrap();
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
