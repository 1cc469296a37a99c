//! README's program, with README's lines of `Cargo.toml`, built as a user's plain `cargo run` builds it: it plays, about as fast as it can.
#![cfg(unix)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use causeway_runtime::{Budget, Device, Model, Session};
use causeway_tests::stream::{next_frame, seeded};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// The first block of that language.
fn block(language: &str) -> String {
    let text = fs::read_to_string(repository("README.md")).unwrap();
    let (_, rest) =
        text.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language} in README.md"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// Processor time of this process or of its children that have ended, in seconds.
fn processor_time(of: libc::c_int) -> f64 {
    // SAFETY: a struct of numbers, which the call writes.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(of, &raw mut used), 0);
        used
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(used.ru_utime) + seconds(used.ru_stime)
}

#[test]
fn readmes_program_plays_at_speed_in_a_plain_build() {
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    fs::create_dir_all(project.join("src")).unwrap();
    let package = "[package]\nname = \"game\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n";
    // Without wgpu, which takes minutes to build.
    let lines =
        block("toml").replace(", features = [\"gpu\"]", "").replace("../causeway", repository("").to_str().unwrap());
    fs::write(project.join("Cargo.toml"), format!("{package}{lines}")).unwrap();
    fs::write(project.join("src/main.rs"), block("rust")).unwrap();
    // The versions that are here already: a test asks no network.
    fs::copy(repository("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // What only a debugger and a second build read is a gigabyte.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0").env_remove("CARGO_TARGET_DIR");
    let built = cargo.args(["build", "--quiet", "--offline"]).current_dir(&project).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let before = processor_time(libc::RUSAGE_CHILDREN);
    let output = Command::new(project.join("target/debug/game")).output().unwrap();
    let theirs = processor_time(libc::RUSAGE_CHILDREN) - before;
    let frames = String::from_utf8(output.stdout).unwrap().lines().filter(|line| line.ends_with("16384 bytes")).count();
    assert!(output.status.success() && frames > 3, "{frames} frames");

    // The same here, where kernels are optimised and so is the rest.
    let before = processor_time(libc::RUSAGE_SELF);
    let model = Model::open(repository("models/keep.safetensors")).unwrap();
    let mut session = Session::new(&model, &Device::cpu(0), seeded(0)).unwrap();
    for _ in 0..frames {
        next_frame(&mut session, Budget::Micros(2_000));
    }
    let ours = processor_time(libc::RUSAGE_SELF) - before;
    let ratio = theirs / ours;
    println!("{frames} frames: {theirs:.2} s in a plain build, {ours:.2} s optimised, ratio {ratio:.2}");
    assert!(ratio <= 1.5, "{frames} frames: {theirs:.2} s, {ours:.2} s optimised");
}
