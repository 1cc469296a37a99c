//! Programs of hosts, built as theirs are and held against the Rust interface.

mod common;

use std::process::Command;

use common::headless_frames as expected;

#[test]
fn a_c99_program_shows_the_frames_of_the_rust_interface() {
    let program = common::compile("gcc", "-std=c99", "examples/c/headless.c", "headless-c");
    let printed = common::run(Command::new(program).arg(common::model()).arg("20"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected(20));
}

#[test]
fn a_cpp17_program_shows_them_too_and_rewinds_without_a_trace() {
    let program = common::compile("g++", "-std=c++17", "examples/c/headless.cpp", "headless-cpp");
    let printed = common::run(Command::new(program).arg(common::model()).arg("20"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected(20));
}
