//! The npm package in node, and the page in a real Chromium. Not run by a bare `cargo test`: `wasm/check.sh` builds both and then asks for this test.

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use causeway_runtime::{Budget, Device, EventTime, Model, Session, SessionOptions};
use causeway_shaders::{Needs, Target};
use causeway_tests::stream::{hash, next_frame, psnr};

/// Where `wasm/build.sh` and `examples/web/build.sh` put what they make.
fn built(what: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CAUSEWAY_WEB").expect("CAUSEWAY_WEB names the folder that wasm/build.sh fills"))
        .join(what)
}

fn keep() -> PathBuf {
    common::root().join("models/keep.safetensors")
}

/// Milliseconds that this thread has computed.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is writable.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 * 1e-6
}

/// Frames of the script of examples/c/headless.c, and processor time of this thread in milliseconds a frame.
fn native(device: &Device, frames: usize, steps: usize) -> (Vec<Vec<u8>>, f64) {
    let model = Model::open(keep()).unwrap();
    let options = SessionOptions { seed: 7, steps: Some(steps), ..SessionOptions::default() };
    let mut session = Session::new(&model, device, options).unwrap();
    let (actions, events) = (session.actions().len(), session.events().len());
    let began = processor_time();
    let frame = |n: usize| {
        let mut action = vec![0.0; actions];
        action[n / 3 % actions] = 1.0;
        session.set_action(&action).unwrap();
        if n % 7 == 4 {
            session.queue_event(n / 7 % events, EventTime::NextChunk).unwrap();
        }
        next_frame(&mut session, Budget::Frame)
    };
    let pictures = (0..frames).map(frame).collect();
    (pictures, (processor_time() - began) / frames as f64)
}

fn printed(frames: &[Vec<u8>]) -> Vec<String> {
    frames.iter().enumerate().map(|(n, frame)| format!("{n} {:016x}", hash(frame))).collect()
}

/// Lines of hashes, and the milliseconds behind them.
fn node(module: &str, frames: usize, steps: usize) -> (Vec<String>, f64) {
    let mut node = Command::new("node");
    node.arg(common::root().join("wasm/tests/play.mjs")).arg(built("causeway")).arg(keep());
    let told = common::run(node.args([module, &frames.to_string(), &steps.to_string()]));
    let mut lines: Vec<String> = told.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap();
    (lines, last.strip_prefix("milliseconds ").unwrap().parse().unwrap())
}

#[test]
fn node_and_chromium_play_the_frames_of_strict_sessions_and_in_time() {
    const LONG: usize = 300;
    let strict = Device::cpu(2).strict();
    let mut chromium = Command::new("node");
    chromium.arg(common::root().join("wasm/tests/chromium.mjs")).arg(built("site")).args([
        "frames",
        &LONG.to_string(),
        "1",
    ]);
    let seen = common::run(&mut chromium);
    assert_eq!(seen.lines().collect::<Vec<_>>(), printed(&native(&strict, LONG, 1).0), "Chromium");

    let expected = printed(&native(&strict, 40, 4).0);
    assert_eq!(node("plain", 6, 4).0, expected[..6], "no SIMD");
    // Timed in turns, since other processes come and go.
    let times: Vec<(f64, f64)> = (0..3)
        .map(|_| {
            let (found, theirs) = node("simd", 40, 4);
            assert_eq!(found, expected, "SIMD");
            (theirs, native(&Device::cpu(1), 40, 4).1)
        })
        .collect();
    println!("milliseconds of processor time a frame, WebAssembly and one thread of the native kernels: {times:.1?}");
    // 128-bit vectors against what this machine has, often 512-bit ones.
    assert!(times.iter().any(|(theirs, native)| theirs <= &(4.0 * native)), "{times:?}");
}

#[test]
fn the_page_is_played_by_keys_and_fingers_and_names_what_is_no_model() {
    let mut node = Command::new("node");
    print!("{}", common::run(node.arg(common::root().join("wasm/tests/chromium.mjs")).arg(built("site")).arg("page")));
}

/// The browser's GPU is one of software here: few frames, which show that they are right and not how fast they come.
#[test]
fn webgpu_plays_the_frames_of_the_processor() {
    const FRAMES: usize = 10;
    // A frame that is off by one level of 255 everywhere has 48 dB. Activations are rounded to bytes on the CPU and not on the GPU, which shows in
    // frames at once (tests/tests/tiers.rs: 50 dB a frame), and streams that run freely part a little more with every frame.
    const LEAST: f64 = 45.0;
    let raw = Path::new(env!("CARGO_TARGET_TMPDIR")).join("webgpu.raw");
    let mut node = Command::new("node");
    node.arg(common::root().join("wasm/tests/chromium.mjs")).arg(built("site"));
    let said = common::run(node.args(["webgpu", &FRAMES.to_string(), "1"]).arg(&raw));
    assert_eq!(said.trim(), "webgpu, then simd");
    let found = std::fs::read(&raw).unwrap();
    let expected = native(&Device::cpu(2).strict(), FRAMES, 1).0;
    let found: Vec<&[u8]> = found.chunks(expected[0].len()).collect();
    assert_eq!(found.len(), FRAMES + 4);
    let likeness = expected.iter().zip(&found).map(|(expected, found)| psnr(expected, found));
    // The same saved game, gone on with by WebGPU and by the processor.
    let resumed = [(FRAMES, FRAMES + 2), (FRAMES + 1, FRAMES + 3)].map(|(here, there)| psnr(found[here], found[there]));
    let likeness: Vec<f64> = likeness.chain(resumed).collect();
    println!(
        "frames by WebGPU against those of the processor, then two each from a saved game, in decibels: {likeness:.1?}"
    );
    assert!(likeness.iter().all(|&likeness| likeness >= LEAST), "{likeness:.1?}");
    assert!(psnr(found[FRAMES], found[0]) < 40.0, "the world stands still");
}

#[test]
fn the_page_moves_between_the_processor_and_webgpu() {
    let mut node = Command::new("node");
    print!(
        "{}",
        common::run(node.arg(common::root().join("wasm/tests/chromium.mjs")).arg(built("site")).arg("switch"))
    );
}

/// naga takes more than a browser's compiler does: what asks for nothing must be taken by both.
#[test]
fn portable_kernels_are_wgsl_for_browsers() {
    let target = Target { unpack: true, ..Target::PORTABLE };
    let portable = causeway_shaders::ALL.iter().filter(|kernel| kernel.needs == Needs::Nothing);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    portable.for_each(|kernel| std::fs::write(folder.join(kernel.name), kernel.text(&target)).unwrap());
    let mut node = Command::new("node");
    node.arg(common::root().join("wasm/tests/chromium.mjs")).arg(built("site"));
    let told = common::run(node.arg("kernels").arg(folder));
    println!("{told}");
    assert!(told.ends_with(" kernels, 0 refused\n"), "{told}");
}

/// The ten lines of the package's page, as they stand.
#[test]
fn the_ten_lines_of_the_page_play() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm");
    let _ = std::fs::remove_dir_all(&folder);
    // As `npm install` of the tarball does.
    let modules = folder.join("node_modules");
    std::fs::create_dir_all(&modules).unwrap();
    let tarball = built(&format!("causeway-{}.tgz", env!("CARGO_PKG_VERSION")));
    common::run(Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(&modules));
    std::fs::rename(modules.join("package"), modules.join("causeway")).unwrap();
    let readme = std::fs::read_to_string(common::root().join("wasm/npm/README.md")).unwrap();
    let (_, lines) = readme.split_once("```js\n").unwrap();
    std::fs::write(folder.join("play.mjs"), lines.split_once("```").unwrap().0).unwrap();
    std::fs::copy(keep(), folder.join("keep.safetensors")).unwrap();
    let told = common::run(Command::new("node").arg("play.mjs").current_dir(&folder));
    assert_eq!(told.lines().filter(|line| line.ends_with("64 64 16384")).count(), 10, "{told}");
}
