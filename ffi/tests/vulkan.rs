//! A host's own Vulkan device: the frames in its image are those of the Rust interface on a device of the library's own.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_runtime::{Budget, Device, Model, Session, SessionOptions};
use causeway_tests::{machine, stream::hash, tiny::tiny_model_bytes};

/// The frames of examples/vulkan/frames.c through the Rust interface.
fn expected(gpu: &Device, model: &Path, frames: usize) -> Vec<String> {
    let model = Model::open(model).unwrap();
    let options = SessionOptions { seed: 7, ..SessionOptions::default() };
    let mut session = Session::new(&model, gpu, options).unwrap();
    let actions = session.actions().len();
    let frame = |n: usize| {
        let mut action = vec![0.0; actions];
        action[n / 3 % actions] = 1.0;
        session.set_action(&action).unwrap();
        session.pump(Budget::Frame).unwrap();
        let line = format!("{n} {:016x}", hash(session.frame().unwrap().pixels));
        session.release();
        line
    };
    (0..frames).map(frame).collect()
}

#[test]
fn a_program_finds_the_frames_in_an_image_of_its_own_device() {
    if !machine::has(&[&machine::VULKAN]) {
        return;
    }
    let Some(gpu) = machine::gpu(Device::gpu("")) else { return };
    let tiny = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny-vulkan.safetensors");
    fs::write(&tiny, tiny_model_bytes(1)).unwrap();
    let program =
        common::compile("gcc", "-std=c99 -Wl,--no-as-needed -lvulkan", "examples/vulkan/frames.c", "vulkan-frames");
    let printed = common::run(Command::new(program).arg(&tiny).arg("12"));
    let printed: Vec<_> = printed.lines().collect();
    assert_eq!(printed, expected(&gpu, &tiny, 12));
    let different: std::collections::BTreeSet<_> = printed.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert!(different.len() > 6, "the frames hardly differ: {printed:?}");
}
