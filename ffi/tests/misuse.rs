//! Hosts that do everything wrong: an error each time, and no memory touched or lost that is not theirs.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_tests::{tiny::tiny_model_bytes, wan::Student};

/// A model small enough for thousands of sessions.
fn tiny() -> std::path::PathBuf {
    static WRITE: std::sync::Once = std::sync::Once::new();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny.safetensors");
    WRITE.call_once(|| fs::write(&path, tiny_model_bytes(1)).unwrap());
    path
}

#[test]
fn misuse_is_answered_by_errors_and_valgrind_sees_nothing() {
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/misuse.c", "misuse");
    common::run(Command::new(&program).arg(tiny()));
    common::watch(Command::new(program).arg(tiny()));
}

#[test]
fn the_address_sanitizer_sees_nothing_in_the_static_library() {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("misuse-asan");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c99", "-fsanitize=address", "-g", "-I"]).arg(common::root().join("include"));
    gcc.arg(common::root().join("ffi/tests/programs/misuse.c")).arg("-o").arg(&program);
    gcc.arg(common::library_folder().join("libcauseway.a")).args(["-lpthread", "-ldl", "-lm"]);
    common::run(&mut gcc);
    common::run(Command::new(program).arg(tiny()));
}

#[test]
fn every_refusal_of_the_hosts_allocator_is_an_error_and_loses_nothing() {
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/refusals.c", "refusals");
    print!("{}", common::run(Command::new(program).arg(tiny())));
}

#[test]
fn hooks_that_call_back_odd_clocks_and_files_cut_short_are_answered() {
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/hooks.c", "hooks");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cut.safetensors");
    fs::copy(tiny(), &copy).unwrap();
    common::run(Command::new(program).arg(tiny()).arg(copy));
}

#[test]
fn unloading_the_library_under_its_own_worker_ends_it_and_leaves_nothing() {
    // Not linked to the library, which would keep it.
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unload");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-g", "-I"]).arg(common::root().join("include"));
    common::run(gcc.arg(common::root().join("ffi/tests/programs/unload.c")).arg("-o").arg(&program).arg("-ldl"));
    let library = common::library_folder().join("libcauseway.so");
    // With glibc; elsewhere the library stays, or the host must end it.
    let gone = if cfg!(target_env = "gnu") { "gone" } else { "" };
    common::run(Command::new(program).arg(library).arg(tiny()).arg(gone));
}

#[test]
fn a_frame_allocates_nothing() {
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/steady.c", "steady");
    assert_eq!(common::run(Command::new(&program).arg(common::model()).arg("100")).trim(), "0");
    let student = Student::write(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("steady-student"));
    let mut prompts = Command::new(program);
    prompts.arg(&student.model).arg("150").args([&student.codec, &student.prompts[0], &student.bundle]);
    assert_eq!(common::run(&mut prompts).trim(), "0");
}
