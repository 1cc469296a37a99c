//! The runtime links without `std`, and a session computes the same frames there as in a strict `std` session.

use std::{path::Path, process::Command};

use causeway_runtime::{Budget, Device, Session};
use causeway_tests::{
    stream::{hash, next_frame, open, seeded},
    tiny::tiny_model_bytes,
};

/// The fourth frame's hash in this build.
fn std_hash() -> u64 {
    let bytes = tiny_model_bytes(1);
    let options = seeded(9);
    let mut session = Session::new(&open(&bytes), &Device::cpu(2).strict(), options).unwrap();
    session.set_action(&[1.0, 0.0, 0.0, 1.0, 0.0]).unwrap();
    (0..4).map(|_| hash(&next_frame(&mut session, Budget::Frame))).last().unwrap()
}

#[test]
fn a_session_without_std_makes_the_same_frames() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("no_std");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std");
    let cargo = |command: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([command, "--quiet", "--manifest-path"]).arg(package.join("Cargo.toml"));
        cargo.arg("--target-dir").arg(&target).args(["--release", "--locked"]);
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(cargo("run").trim(), format!("{:016x}", std_hash()));
}

/// Built by `tests/bare_metal.sh`, which asks for this test.
#[test]
#[ignore = "tests/bare_metal.sh builds what it runs"]
fn machines_without_an_operating_system_make_the_same_frames() {
    let built =
        std::env::var_os("CAUSEWAY_BARE_METAL").expect("CAUSEWAY_BARE_METAL names the folder that is built into");
    for (qemu, target) in [("arm", "thumbv7em-none-eabihf"), ("riscv32", "riscv32imac-unknown-none-elf")] {
        let program = Path::new(&built).join(target).join("release/causeway-no-std");
        let output = Command::new(format!("qemu-{qemu}-static")).arg(program).output().unwrap();
        assert!(output.status.success(), "{target}: {:?}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("{:016x}", std_hash()), "{target}");
    }
}
