//! The library for 64-bit Arm under qemu. Not run by a bare `cargo test`: `tests/arm.sh` builds the library and then asks for this test.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_runtime::Device;

#[test]
fn a_c_program_on_arm_shows_the_strict_frames_of_this_machine() {
    let library = std::env::var("CAUSEWAY_ARM").expect("CAUSEWAY_ARM names the folder of libcauseway.so");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("headless");
    let mut gcc = Command::new("aarch64-linux-gnu-gcc");
    gcc.args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]).arg(common::root().join("include"));
    gcc.arg(common::root().join("examples/c/headless.c")).arg("-o").arg(&program);
    common::run(gcc.args(["-L", &library, "-l:libcauseway.so"]));
    let keep = common::root().join("models/keep.safetensors");
    let expected = common::frames_on(&keep, &Device::cpu(2).strict(), 5);
    let mut qemu = Command::new("qemu-aarch64-static");
    // Cargo's own path names libraries of this machine.
    qemu.args(["-cpu", "max", "-L", "/usr/aarch64-linux-gnu", "-E", &format!("LD_LIBRARY_PATH={library}")]);
    let printed = common::run(qemu.env_remove("LD_LIBRARY_PATH").arg(&program).arg(keep).args(["5", "strict"]));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}
