//! The library for 64-bit Arm under qemu. Not run by a bare `cargo test`: `tests/arm.sh` builds the library and then asks for this test.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_runtime::Device;

/// Where `tests/arm.sh` put what it built.
fn built() -> String {
    std::env::var("CAUSEWAY_ARM").expect("CAUSEWAY_ARM names the folder of libcauseway.so")
}

#[test]
fn a_static_program_on_arm_plays_into_a_screen() {
    const FRAMES: usize = 4;
    let edge = Path::new(&built()).join("edge");
    let told = common::run(Command::new("readelf").arg("-lW").arg(&edge));
    assert!(!told.contains("INTERP"), "it is not static: {told}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm-edge");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("fb"), [7; 64 * 64 * 4]).unwrap();
    let mut qemu = Command::new("qemu-aarch64-static");
    qemu.args(["-cpu", "max"]).arg(edge).current_dir(&folder);
    let printed = common::run(qemu.args([
        "--strict",
        "--hashes",
        "--png",
        "out",
        "--screen",
        "fb,64x64x32",
        "--frames",
        &FRAMES.to_string(),
    ]));
    let keep = common::root().join("models/keep.safetensors");
    assert_eq!(printed.lines().collect::<Vec<_>>(), common::frames_on(&keep, &Device::cpu(2).strict(), FRAMES));
    // Blue, green, red, nothing on the screen are what was hashed as red, green, blue, opaque.
    let rgba = |[b, g, r, _]: &[u8; 4]| [*r, *g, *b, 255];
    let screen: Vec<u8> = fs::read(folder.join("fb")).unwrap().as_chunks::<4>().0.iter().flat_map(rgba).collect();
    assert_eq!(
        printed.lines().last().unwrap(),
        format!("{} {:016x}", FRAMES - 1, causeway_tests::stream::hash(&screen))
    );
    assert_eq!(fs::read_dir(folder.join("out")).unwrap().count(), FRAMES);
}

#[test]
fn a_c_program_on_arm_shows_the_strict_frames_of_this_machine() {
    let library = built();
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
