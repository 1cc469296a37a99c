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
