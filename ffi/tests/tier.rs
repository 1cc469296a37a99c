//! Kernels of a tier that a C program asks for, and the ring that its sessions on a GPU have by themselves: the frames of the Rust interface.

mod common;

use std::{path::PathBuf, process::Command};

use causeway_ops::gpu::{Gpu, GpuOptions, Tier};
use causeway_runtime::{Budget, Device, Kv, Model, Pump, Session, SessionOptions};
use causeway_tests::{machine, stream::hash};

/// Four that the world starts from, and two that it makes.
const FRAMES: usize = 6;

/// A world with weights of bytes.
fn world() -> PathBuf {
    common::root().join("models/keep.safetensors")
}

fn expected(gpu: Gpu) -> Vec<String> {
    let model = Model::open(world()).unwrap();
    let options = SessionOptions { seed: 7, kv: Kv::F16, ..SessionOptions::default() };
    let mut session = Session::new(&model, &Device::on_gpu(gpu), options).unwrap();
    let frame = |_| {
        while session.pump(Budget::Micros(2000)).unwrap() != Pump::Frame {}
        let line = format!("{:016x}", hash(session.frame().unwrap().pixels));
        session.release();
        line
    };
    (0..FRAMES).map(frame).collect()
}

#[test]
fn a_program_gets_the_tier_it_asks_for_and_a_ring_in_half_precision() {
    let open = |tier| Gpu::open(&GpuOptions { software: true, tier, ..GpuOptions::default() });
    if machine::gpu(open(None)).is_none() {
        return;
    }
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/tiers.c", "tiers");
    let command = |tier: usize| {
        let mut command = Command::new(&program);
        command.arg(world()).arg(tier.to_string()).arg(FRAMES.to_string());
        command
    };
    let mut seen = Vec::new();
    // In the order of CW_TIER_...
    let tiers = [None, Some(Tier::Portable), Some(Tier::Dot4), Some(Tier::Half)];
    for (number, tier) in tiers.into_iter().enumerate() {
        match open(tier) {
            Ok(gpu) => {
                let printed = common::run(&mut command(number));
                let printed: Vec<_> = printed.lines().map(str::to_owned).collect();
                assert_eq!(printed, expected(gpu), "{tier:?}");
                seen.push(printed);
            }
            Err(error) => {
                // What the Rust interface says.
                let output = command(number).output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(!output.status.success() && said.contains(&error.to_string()), "{tier:?}: {said}, {error}");
            }
        }
    }
    assert!(seen.len() >= 3, "every GPU has portable and dot4 kernels");
    // The first is whatever the table has for this GPU.
    assert!(seen[1] != seen[2], "portable and dot4 kernels gave the same bits");
}
