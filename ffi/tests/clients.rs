//! Programs of hosts, built as theirs are and held against the Rust interface.

mod common;

use std::process::Command;

use causeway_tests::{
    machine,
    wan::{Play, Student, plays},
};
use common::headless_frames as expected;

#[test]
fn a_c99_program_shows_the_frames_of_the_rust_interface() {
    let program = common::compile("gcc", "-std=c99", "examples/c/headless.c", "headless-c");
    let printed = common::run(Command::new(program).arg(common::model()).arg("20"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected(20));
}

/// Milliseconds of processor time that a program and its threads take, from exec to its end.
#[cfg(target_os = "linux")]
#[expect(clippy::zombie_processes, reason = "wait4 waits for it, and says what it took")]
fn processor_time(command: &mut Command) -> f64 {
    let child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut status = 0;
    // SAFETY: the child is ours, nobody else waits for it, and both places are written.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        let pid = libc::pid_t::try_from(child.id()).unwrap();
        assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut used), pid);
        used
    };
    assert_eq!(status, 0, "{command:?}");
    let milliseconds = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 * 1e-3;
    milliseconds(used.ru_utime) + milliseconds(used.ru_stime)
}

/// From exec to the first picture of the demo world: 60 ms of processor time, and what three frames take in the same run.
#[test]
#[cfg(target_os = "linux")]
fn the_first_frame_comes_soon() {
    const MORE: u32 = 40;
    let program = common::compile("gcc", "-std=c99", "examples/c/headless.c", "headless-start");
    let keep = common::root().join("models/keep.safetensors");
    let frames = |frames: u32| processor_time(Command::new(&program).arg(&keep).arg(frames.to_string()));
    // Timed in turns, since other processes come and go.
    let times: Vec<(f64, f64)> = (0..5)
        .map(|_| {
            let first = frames(1);
            (first, (frames(1 + MORE) - first) / f64::from(MORE))
        })
        .collect();
    println!("milliseconds of processor time to the first frame, and a frame: {times:.1?}");
    assert!(times.iter().any(|(first, frame)| *first <= 60.0 + 3.0 * frame), "{times:?}");
}

#[test]
fn a_cpp17_program_shows_them_too_and_rewinds_without_a_trace() {
    if !machine::has(&[&machine::CPP]) {
        return;
    }
    let program = common::compile("g++", "-std=c++17", "examples/c/headless.cpp", "headless-cpp");
    let printed = common::run(Command::new(program).arg(common::model()).arg("20"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected(20));
}

/// causeway.hpp where nothing can be thrown, as in engines.
#[test]
fn a_cpp_program_without_exceptions_is_told_of_errors() {
    if !machine::has(&[&machine::CPP]) {
        return;
    }
    let tiny = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-exceptions.safetensors");
    std::fs::write(&tiny, causeway_tests::tiny::tiny_model_bytes(1)).unwrap();
    for standard in ["-std=c++17 -fno-exceptions -fno-rtti", "-std=c++20 -DCAUSEWAY_NO_EXCEPTIONS"] {
        let program = common::compile("g++", standard, "ffi/tests/programs/no_exceptions.cpp", "no-exceptions");
        common::run(Command::new(program).arg(&tiny));
    }
}

/// A prompt, switches by recache, blends over chunks, cuts: the pictures of the Rust interface, which are those of `causeway generate`
/// (`tests/tests/hosts/prompts.rs`).
#[test]
fn c_and_cpp_programs_play_prompts_as_the_rust_interface_does() {
    let student = Student::write(&std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("prompts"));
    let mut compilers = vec![("gcc", "-std=c99", "c")];
    if machine::has(&[&machine::CPP]) {
        compilers.push(("g++", "-std=c++17", "cpp"));
    }
    let compile = |(compiler, standard, language): &(&str, &str, &str)| {
        common::compile(compiler, standard, &format!("examples/c/prompts.{language}"), &format!("prompts-{language}"))
    };
    let programs: Vec<_> = compilers.iter().map(compile).collect();
    for play in plays() {
        let expected = Play::printed(&play.pictures(&student));
        for program in &programs {
            let mut command = Command::new(program);
            command.args([&student.model, &student.codec]).arg(play.frames.to_string()).args(play.arguments(&student));
            let printed = common::run(&mut command);
            assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{} {play:?}", program.display());
        }
        let Some(cpp) = programs.get(1) else { continue };
        let mut bundle = Command::new(cpp);
        bundle.args([&student.bundle, &student.bundle]).arg(play.frames.to_string()).args(play.names());
        assert_eq!(common::run(&mut bundle).lines().collect::<Vec<_>>(), expected, "bundle, {play:?}");
    }
}
