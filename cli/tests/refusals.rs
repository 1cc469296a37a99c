//! Every bad input: the exit code, one sentence that says what is wrong, and no file left behind.

mod common;

use causeway_ops::quant::DType;
use causeway_tests::tiny::{model_bytes, tiny_config};
use common::{Place, quantisable, text};
use std::time::{Duration, Instant};

const FEW: &str = "--model tiny.safetensors --backend cpu";
const CPU: &str = "--model tiny.safetensors --backend cpu --threads 1";

/// Runs a command that must fail with this code and these words, in one line, leaving the folder as it was.
fn refused(place: &Place, arguments: &str, code: i32, words: &[&str]) {
    let before = place.list();
    let output = place.run(arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments}: {message}");
    // What the parser of the command line refuses comes with suggestions and the usage.
    if !["\nUsage: causeway", "\nFor more information, try '--help'."].iter().any(|part| message.contains(part)) {
        assert_eq!(message.lines().count(), 1, "{arguments}: more than one line\n{message}");
    }
    assert!(!message.contains("panicked"), "{arguments}: {message}");
    for word in words {
        assert!(message.contains(word), "{arguments}: `{word}` is not in\n{message}");
    }
    assert_eq!(output.stdout, b"", "{arguments}: something on standard output");
    assert_eq!(place.list(), before, "{arguments}: a file was left behind");
}

#[test]
fn bad_files() {
    let place = Place::new("bad-files");
    let good = place.read("tiny.safetensors");
    let replaced = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
    };
    let length = u64::from_le_bytes(good[..8].try_into().unwrap());
    let shifted =
        [&(length + 8).to_le_bytes()[..], &good[8..8 + length as usize], b"        ", &good[8 + length as usize..]];
    for (name, bytes, words) in [
        ("truncated", good[..good.len() - 100].to_vec(), &["truncated", "expected"][..]),
        ("text", b"Once upon a time there was a file.".to_vec(), &["not a safetensors file"]),
        ("empty", Vec::new(), &["0 bytes"]),
        ("version", replaced("format\\\":1,", "format\\\":2,"), &["format version 2", "reads version 1"]),
        ("shifted", shifted.concat(), &["multiple of 64"]),
        ("heads", replaced("heads\\\":2,", "heads\\\":5,"), &["dit.heads is 5", "divisor"]),
        ("nan", nan_scale(), &["scale", "NaN", "finite"]),
    ] {
        let file = format!("{name}.safetensors");
        place.write(&file, &bytes);
        let with_name = [&[file.as_str()], words].concat();
        refused(&place, &format!("info --model {file}"), 1, &with_name);
        refused(&place, &format!("play --model {file} --frames 2 --record film.gif"), 1, &with_name);
        refused(&place, &format!("quantize {file} new.safetensors --to q8"), 1, &with_name);
    }
    refused(&place, "info --model nowhere.safetensors", 1, &["cannot open nowhere.safetensors"]);
    place.write("file", b"");
    refused(&place, "quantize tiny.safetensors file/new.safetensors --to f16", 1, &["file/new.safetensors"]);
    refused(&place, "info --model .", 1, &["the folder . holds", "name one file"]);
    refused(&place, "play --model .", 1, &["it is a folder, expected a regular file"]);
}

/// A quantised model in which one scale is NaN.
fn nan_scale() -> Vec<u8> {
    let mut bytes = quantisable(DType::Q8);
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let tensors = header.as_object().unwrap();
    let (_, scale) = tensors.iter().find(|(name, _)| name.ends_with(".scale")).unwrap();
    let at = 8 + length + scale["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[at..at + 2].copy_from_slice(&0x7e00u16.to_le_bytes());
    bytes
}

#[test]
fn bad_options() {
    let place = Place::new("bad-options");
    place.write("not.png", b"not a picture");
    std::fs::create_dir(place.path("full")).unwrap();
    place.write("full/file", b"");
    for (options, words) in [
        ("--action 1,0,0", &["5 entries, 3 were given"][..]),
        ("--action 1,0,0,0,0,0", &["5 entries, 6 were given"]),
        ("--action fly", &["--action is `fly`", "forward, back, left, right, attack"]),
        ("--action 1,0,inf,0,0", &["entry 2", "finite"]),
        ("--event rain", &["no event `rain`", "1 daylight, 2 amber, 3 night"]),
        ("--event 0", &["no event `0`"]),
        ("--event 4", &["no event `4`"]),
        ("--window 0", &["window is 0"]),
        ("--window 5000", &["window is 5000"]),
        ("--route 6", &["route keeps 6", "shows 5"]),
        ("--sink 6", &["sink is 6"]),
        ("--steps 3", &["steps is 3", "2, 4"]),
        ("--adapter x", &["--adapter names a GPU"]),
        ("--start-image not.png", &["not.png", "PNG"]),
        ("--memory-cap lots", &["--memory-cap", "64MB"]),
        ("--memory-cap 5parsecs", &["parsecs"]),
        ("--frames 0", &["--frames"]),
        ("--scale 0", &["--scale"]),
        ("--threads 5000", &["--threads", "1024"]),
        ("--seed -1", &["'-1' for '--seed <N>'", "a whole number from 0"]),
        ("--sideways", &["--sideways", "Usage: causeway play"]),
        ("--stpes 2", &["a similar argument exists: '--steps'"]),
    ] {
        refused(&place, &format!("play {FEW} --record film.gif {options}"), 2, words);
    }
    for (out, words) in [("film.avi", ".avi"), ("full", "not an empty folder")] {
        refused(&place, &format!("play {CPU} --frames 2 --record {out}"), 2, &[words]);
    }
    refused(&place, "quantize tiny.safetensors new.safetensors --to q2", 2, &["q2", "q4"]);
    refused(&place, "quantize tiny.safetensors", 2, &["OUTPUT", "--to"]);
    refused(&place, "dance", 2, &["dance", "Usage: causeway"]);
    refused(&place, "paly", 2, &["similar subcommands exist", "'play'"]);
    refused(&place, "bench", 2, &["a command is missing", "frame-cost"]);
    refused(&place, "--model tiny.safetensors info", 2, &["options go after the command"]);
    refused(&place, "info tiny.safetensors --model tiny.safetensors", 2, &["cannot be used with"]);
    refused(&place, "decode --model tiny.safetensors one", 2, &["INPUT", "OUTPUT"]);
    refused(&place, &format!("bench demo {CPU} --size 100x64"), 2, &["100x64", "multiples of 16x16"]);
    refused(&place, &format!("bench demo {CPU} --size big"), 2, &["128x96"]);
    refused(&place, &format!("bench attention {CPU} --route 0"), 2, &["--route 0"]);
    refused(&place, &format!("bench frame-cost {CPU} --early 50 --late 60"), 2, &["50 frames apart"]);
}

#[test]
fn machines_that_cannot() {
    let place = Place::new("machines");
    let play = format!("play {CPU} --frames 2");
    refused(&place, &format!("{play} --record film.gif --memory-cap 10kB"), 1, &["needs", "bytes", "10000"]);
    refused(&place, &format!("{play} --record film.gif --start-image nowhere.png"), 1, &["cannot open nowhere.png"]);
    refused(&place, "play --model tiny.safetensors --record film.gif --adapter nosuchgpu", 1, &["no GPU adapter"]);
    let mut command = place.command(&format!("{play} --record film.mp4"));
    let output = command.env("PATH", place.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("`ffmpeg`, which was not found"), "{output:?}");
    assert_eq!(place.list(), ["tiny.safetensors"]);
}

#[cfg(all(feature = "window", target_os = "linux"))]
#[test]
fn no_window_without_a_display() {
    let place = Place::new("no-window");
    let mut command = place.command(&format!("window {CPU}"));
    let command = command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let message = text(&output.stderr);
    assert!(message.contains("cannot open a window") && message.lines().count() == 1, "{message}");
}

/// An encoder that fails is reported with its own last words, and its file is removed.
#[cfg(unix)]
#[test]
fn a_failing_encoder() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new("failing-encoder");
    std::fs::create_dir(place.path("bin")).unwrap();
    place.write(
        "bin/ffmpeg",
        b"#!/bin/sh\nfor out; do :; done\necho half >\"$out\"\necho no such encoder >&2\nexit 1\n",
    );
    std::fs::set_permissions(place.path("bin/ffmpeg"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = place.command(&format!("play {CPU} --frames 5 --record film.mp4"));
    let output = command.env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("ffmpeg failed: no such encoder"), "{output:?}");
    assert_eq!(place.list(), ["bin", "tiny.safetensors"]);
}

/// Ctrl-C in the middle of something long.
#[cfg(unix)]
#[test]
fn interrupted() {
    let place = Place::new("interrupted");
    let play = format!("play {CPU} --frames 1000000 --record");
    for kept in ["film.gif", "film.png", "folder"] {
        place.interrupt_recording(&format!("{play} {kept}"), kept);
    }
    assert!(place.path("folder/000000.png").is_file());
    place.interrupt(&format!("bench demo {CPU} --frames 1000000"));
    place.interrupt(&format!("bench frame-cost {CPU} --late 1000000"));
}

/// A model of 98 kB whose frame takes minutes: a request to terminate ends it within an operator, and nothing is left.
#[cfg(unix)]
#[test]
fn a_frame_without_an_end_is_left() {
    let place = Place::new("endless");
    place.write("endless.safetensors", &endless());
    for threads in [1, 2] {
        for record in ["film.gif", "folder"] {
            let play = format!("play --model endless.safetensors --backend cpu --threads {threads} --record {record}");
            let before = place.list();
            let mut child = place.start(&play);
            std::thread::sleep(Duration::from_secs(2));
            assert!(child.try_wait().unwrap().is_none(), "{play}: it ended by itself");
            let began = Instant::now();
            let output = place.signal(&mut child, "TERM", &play);
            assert!(began.elapsed() < Duration::from_secs(2), "{play}: {:?}", began.elapsed());
            assert_eq!(output.status.code(), Some(130), "{play}: {output:?}");
            assert_eq!(text(&output.stderr), "causeway: interrupted\n");
            assert_eq!(place.list(), before, "{play}");
        }
    }
}

/// A tiny network over pictures of 4096 x 4096 pixels: tokens without number.
#[cfg(unix)]
fn endless() -> Vec<u8> {
    let mut config = tiny_config();
    (config.dit.latent.height, config.dit.latent.width) = (512, 512);
    model_bytes(&config, DType::F16, 1)
}

/// A limit on the size of files is an error that leaves nothing, not a signal that leaves half a file.
#[cfg(unix)]
#[test]
fn files_over_the_limit() {
    let place = Place::new("limit");
    let before = place.list();
    for kind in ["film.gif", "folder"] {
        let mut command = std::process::Command::new("sh");
        let play = format!("ulimit -f 8; exec \"$0\" play {CPU} --frames 200 --scale 8 --record {kind}");
        let output = command.args(["-c", &play, env!("CARGO_BIN_EXE_causeway")]).current_dir(place.path("")).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1), "{kind}: {output:?}");
        assert!(text(&output.stderr).contains("File too large"), "{kind}: {output:?}");
        assert_eq!(place.list(), before, "{kind}");
    }
}

/// What is not a regular file is refused, wherever a file is read: a pipe that nobody writes to would be waited for without an end.
#[cfg(unix)]
#[test]
fn pipes() {
    let place = Place::new("pipes");
    let made = std::process::Command::new("mkfifo").arg(place.path("pipe")).status().unwrap();
    assert!(made.success());
    for arguments in [
        "info pipe",
        "play --model pipe --record film.gif",
        "play --model tiny.safetensors --start-image pipe --record film.gif",
        "quantize pipe out.safetensors --to f16",
        "rollout --model pipe pipe out.safetensors",
        "decode --model pipe tiny.safetensors out.gif",
        "encode --model pipe pipe out.safetensors",
        "generate --model pipe --decoder pipe --prompt pipe --record film.gif",
        "embed --model tiny.safetensors --tokenizer pipe --prompt x --out out.safetensors",
        "embed --model tiny.safetensors --tokenizer pipe --file pipe --out out.safetensors",
        "convert pipe out.safetensors",
    ] {
        if arguments.starts_with("embed") && cfg!(not(feature = "text")) {
            continue;
        }
        let before = place.list();
        let mut child = place.start(arguments);
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > Duration::from_secs(20) {
                child.kill().unwrap();
                panic!("{arguments} waits for the pipe");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let message = text(&output.stderr);
        assert!([1, 2].contains(&output.status.code().unwrap()), "{arguments}: {message}");
        assert!(message.contains("expected a regular file"), "{arguments}: {message}");
        assert_eq!(place.list(), before, "{arguments}");
    }
}

/// Two programs that write one file leave that of one of them, whole.
#[test]
fn two_writers_of_one_file() {
    let place = Place::new("two-writers");
    place.write("model.safetensors", &quantisable(DType::F32));
    let [expected, _] = ["one", "two"].map(|name| {
        place.good(&format!("quantize model.safetensors {name}.safetensors --to q8"));
        place.read(&format!("{name}.safetensors"))
    });
    for _ in 0..5 {
        let mut writers: Vec<_> =
            (0..4).map(|_| place.start("quantize model.safetensors out.safetensors --to q8")).collect();
        for writer in &mut writers {
            assert!(writer.wait().unwrap().success());
        }
        assert_eq!(place.read("out.safetensors"), expected);
    }
    assert!(!place.list().iter().any(|name| name.ends_with(".partial")), "{:?}", place.list());
}

/// An empty variable is none, options of recordings ask for one, and files go without the names of their options.
#[test]
fn what_is_meant() {
    let place = Place::new("meant");
    let output = place.command("info tiny.safetensors").env("CAUSEWAY_MODEL", "").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.good("info tiny.safetensors"), place.good("info --model tiny.safetensors"));
    assert_eq!(place.good("plan tiny.safetensors --backend cpu"), place.good(&format!("plan {FEW}")));
    place.good(&format!("play {CPU} --frames 2 --record a/b/film.gif"));
    assert!(place.path("a/b/film.gif").is_file());
}

/// A reader that leaves early (`causeway info | head -0`) is no error.
#[test]
fn a_closed_pipe() {
    let place = Place::new("closed-pipe");
    let mut child = place.start("info --model tiny.safetensors");
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
