//! Building C and C++ programs against the library and running them.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use causeway_runtime::{Budget, Device, EventTime, Model, Pump, Session, SessionOptions};
use causeway_tests::{machine, stream::hash};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where cargo put the library of this build, before it built this test.
pub fn library_folder() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The demo world.
pub fn model() -> PathBuf {
    root().join("models/rooms.safetensors")
}

/// The frames of examples/c/headless.c through the Rust interface.
pub fn headless_frames(frames: usize) -> Vec<String> {
    frames_on(&model(), &Device::cpu(0), frames)
}

/// The same of another model, on another device.
pub fn frames_on(model: &Path, device: &Device, frames: usize) -> Vec<String> {
    let model = Model::open(model).unwrap();
    let options = SessionOptions { seed: 7, ..SessionOptions::default() };
    let mut session = Session::new(&model, device, options).unwrap();
    let (actions, events) = (session.actions().len(), session.events().len());
    let frame = |n: usize| {
        let mut action = vec![0.0; actions];
        action[n / 3 % actions] = 1.0;
        session.set_action(&action).unwrap();
        if n % 7 == 4 {
            session.queue_event(n / 7 % events, EventTime::NextChunk).unwrap();
        }
        while session.pump(Budget::Micros(2000)).unwrap() != Pump::Frame {}
        let line = format!("{n} {:016x}", hash(session.frame().unwrap().pixels));
        session.release();
        line
    };
    (0..frames).map(frame).collect()
}

/// Runs a command that must succeed and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Runs a command under valgrind, which must find nothing; leaves that out where there is none. Blocks that are "possibly" lost hang on a
/// pointer into their middle; those with a pointer to nowhere are an error.
pub fn watch(command: &Command) {
    if !machine::has(&[&machine::VALGRIND]) {
        return;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    valgrind.arg("--fair-sched=yes").arg(command.get_program()).args(command.get_args());
    run(&mut valgrind);
}

/// Compiles `source` (a path from the root), by the standard and other flags in `standard`, with all warnings as errors against the shared library.
pub fn compile(compiler: &str, standard: &str, source: &str, name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let folder = library_folder();
    let mut command = Command::new(compiler);
    command.args(standard.split(' ')).args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-g", "-I"]);
    command.arg(root().join("include"));
    command.arg(root().join(source)).arg("-o").arg(&program).arg("-L").arg(&folder);
    command.args(["-l:libcauseway.so", "-lpthread", "-ldl", "-lm"]).arg(format!("-Wl,-rpath,{}", folder.display()));
    run(&mut command);
    program
}
