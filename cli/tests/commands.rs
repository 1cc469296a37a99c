//! Every command on a tiny model: what it prints and what it leaves behind.

mod common;

use std::collections::BTreeSet;

use causeway_ops::{Op, quant::DType};
use common::{Place, quantisable, shown};

/// Plain arithmetic on one thread: quick to start, and enough for tiny models.
const CPU: &str = "--model tiny.safetensors --backend cpu --threads 1";

#[test]
fn info_says_what_the_file_holds() {
    let place = Place::new("info");
    let out = place.good("info --model tiny.safetensors");
    for part in ["tiny (family world", "64 x 64, 20 frames/s", "daylight, amber, night", "CC0-1.0"] {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    let json = place.json("info --json --model tiny.safetensors");
    assert_eq!(json["config"]["dit"]["dim"], 48);
    assert_eq!(json["file_bytes"], place.read("tiny.safetensors").len());
}

#[test]
fn the_model_may_be_named_in_the_environment() {
    let place = Place::new("environment");
    let output = place.command("info").env("CAUSEWAY_MODEL", place.path("tiny.safetensors")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// As after `cargo install`: the program alone, in a folder where nothing is.
#[test]
fn the_demo_world_is_in_the_program() {
    let place = Place::new("installed");
    let there = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors");
    std::fs::remove_file(place.path("tiny.safetensors")).unwrap();
    std::fs::hard_link(env!("CARGO_BIN_EXE_causeway"), place.path("causeway"))
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_causeway"), place.path("causeway")).map(drop))
        .unwrap();
    let told = |arguments: &str| {
        let mut program = std::process::Command::new(place.path("causeway"));
        program
            .args(arguments.split(' '))
            .current_dir(place.path(""))
            .env_clear()
            .env("XDG_RUNTIME_DIR", place.path(""));
        let output = program.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let info: serde_json::Value = serde_json::from_str(&told("info --json")).unwrap();
    assert_eq!(info["file_bytes"], std::fs::metadata(there).unwrap().len());
    assert!(told("info --verify").lines().count() == 1);
    told("play --backend cpu --frames 3 --record tour.gif");
    assert_eq!(place.list(), ["causeway", "tour.gif"]);
}

#[test]
fn plan_counts_work_and_bytes() {
    let place = Place::new("plan");
    let out = place.good(&format!("plan {CPU} --nodes"));
    for part in
        ["condition", "denoise", "decode", "show.0", "commit", "encode", "attention <", "state (ring, codec)", "total"]
    {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    let json = place.json(&format!("plan {CPU} --json"));
    let memory = &json["memory"];
    let sum = ["weights", "state", "activations", "overhead"].map(|part| memory[part].as_u64().unwrap());
    assert_eq!(memory["total"], sum.iter().sum::<u64>());
    // Four denoise steps and the other passes once.
    let flops = |name: &str| {
        let mut passes = json["passes"].as_array().unwrap().iter();
        passes.find(|pass| pass["name"] == name).unwrap()["cost"]["flops"].as_u64().unwrap()
    };
    let frame = flops("noise") + 4 * flops("denoise") + flops("decode") + flops("show.0") + flops("commit");
    assert_eq!(json["frame"]["flops"], frame);
    // The ring grows with the window, and nothing else of the state does.
    let state =
        |window| place.json(&format!("plan {CPU} --json --window {window}"))["memory"]["state"].as_u64().unwrap();
    assert_eq!(state(12) - state(9), state(9) - state(6));
    assert!(state(9) > state(6));
}

/// The total of `plan` is the smallest memory cap that is enough.
#[test]
fn plan_is_exact() {
    let place = Place::new("plan-exact");
    let total = place.json(&format!("plan {CPU} --json"))["memory"]["total"].as_u64().unwrap();
    place.good(&format!("plan {CPU} --memory-cap {total}"));
    let refused = place.run(&format!("plan {CPU} --memory-cap {}", total - 1));
    assert_eq!(refused.status.code(), Some(1));
    assert!(common::text(&refused.stderr).contains(&total.to_string()), "{refused:?}");
}

#[test]
fn quantize_writes_smaller_files_that_play() {
    let place = Place::new("quantize");
    place.write("full.safetensors", &quantisable(DType::F32));
    let mut size = place.read("full.safetensors").len();
    for to in ["f16", "q8", "q4"] {
        // Into a file that is there already: it is replaced.
        place.write("small.safetensors", b"something else");
        place.good(&format!("quantize full.safetensors small.safetensors --to {to}"));
        let smaller = place.read("small.safetensors").len();
        assert!(smaller < size, "{to}: {smaller} is not below {size}");
        size = smaller;
        let by_type = place.json("info --json --model small.safetensors")["by_type"].to_string();
        assert!(by_type.contains(&format!("\"{to}\"")), "{by_type}");
        place.good("play --model small.safetensors --backend cpu --frames 3 --record out.gif");
    }
    assert_eq!(place.list(), ["full.safetensors", "out.gif", "small.safetensors", "tiny.safetensors"]);
}

#[test]
fn quantize_says_when_it_quantises_next_to_nothing() {
    let place = Place::new("next-to-nothing");
    // Rows of 48 values have no blocks of 32.
    let output = place.run("quantize --in tiny.safetensors --out small.safetensors --to q8");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert!(out.contains("values in q8") && err.contains("% of the values are in q8 now"), "{out}{err}");
    place.write("full.safetensors", &quantisable(DType::F32));
    let output = place.run("quantize full.safetensors small.safetensors --to q8");
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("warning"), "{output:?}");
}

#[test]
fn info_has_no_empty_lines() {
    let place = Place::new("info-lines");
    place.write("full.safetensors", &quantisable(DType::F32));
    for file in ["tiny", "full"] {
        let out = place.good(&format!("info --model {file}.safetensors"));
        // A label alone would say nothing.
        assert!(out.lines().all(|line| line.split_whitespace().nth(1).is_some()), "{out}");
    }
}

#[test]
fn info_and_quantize_take_files_of_every_family() {
    let place = Place::new("families");
    let wan = "tiny.pt --heads 2 --text-len 16 --size 64x64";
    for (checkpoint, family, words) in [
        (wan, "wan", ["at most 16 rows of 24", "dit.blocks", "picture     64 x 64"]),
        ("taehv.pth", "decoder", ["TAEHV", "4 channels to 8 x 8 pixels and 4 frames", "taehv.decoder"]),
        ("vae.pth", "decoder", ["Wan 2.1 VAE, both ways", "4 channels to 8 x 8 pixels and 4 frames", "vae.encoder"]),
        ("umt5.pth", "umt5", ["400 known, prompts of at most 512", "a table for each layer", "umt5.blocks"]),
    ] {
        let (name, options) = checkpoint.split_once(' ').unwrap_or((checkpoint, ""));
        let convert = |file: &str, to| place.good(&format!("convert {} {file} {options} --to {to}", shown(name)));
        let info = |file: &str| place.json(&format!("info --json --model {file}"));
        convert("full.safetensors", "f32");
        let out = place.good("info --model full.safetensors");
        for part in words.into_iter().chain([format!("(family {family}, format 1)").as_str()]) {
            assert!(out.contains(part), "{part} is not in\n{out}");
        }
        let json = info("full.safetensors");
        assert_eq!(json["config"]["family"], family);
        assert_eq!(json["file_bytes"], place.read("full.safetensors").len());
        assert_eq!((&json["by_type"][0]["name"], json["by_type"].as_array().unwrap().len()), (&"f32".into(), 1));
        for to in ["f16", "q8"] {
            convert("direct.safetensors", to);
            let quantize = format!("quantize full.safetensors {to}.safetensors --to {to}");
            if family == "decoder" && to == "q8" {
                let refused = place.run(&quantize);
                let message = common::text(&refused.stderr);
                assert_eq!((refused.status.code(), message.lines().count()), (Some(2), 1), "{message}");
                assert!(message.contains("stored as f32 or f16, not q8"), "{message}");
                assert!(!place.path("q8.safetensors").exists());
                continue;
            }
            place.good(&quantize);
            let [direct, found] = ["direct.safetensors", &format!("{to}.safetensors")].map(info);
            assert_eq!(found["by_type"], direct["by_type"]);
            assert!(found["by_type"].to_string().contains(&format!("\"{to}\"")), "{found}");
            std::fs::remove_file(place.path(&format!("{to}.safetensors"))).unwrap();
        }
    }
    let mut odd = place.read("full.safetensors");
    let at = odd.windows(6).position(|bytes| bytes == b"\"umt5\\").unwrap();
    odd[at + 1] = b'x';
    place.write("odd.safetensors", &odd);
    let refused = common::text(&place.run("info --model odd.safetensors").stderr);
    assert!(
        refused.contains("family \"xmt5\", expected world, wan, matrix-game, waypoint, decoder, umt5"),
        "{refused}"
    );
}

#[test]
fn without_a_terminal_play_records_a_tour() {
    let place = Place::new("tour");
    let out = place.command("--frames 12").env("CAUSEWAY_MODEL", "tiny.safetensors").output().unwrap();
    assert_eq!(common::text(&out.stdout), "out/tour.gif\n");
    assert!(place.read("out/tour.gif").starts_with(b"GIF89a"));
    let again = place.good(&format!("play {CPU} --frames 12 --record again.gif"));
    assert_eq!(again, "again.gif\n");
    assert_eq!(place.read("again.gif"), place.read("out/tour.gif"), "the same seed must give the same film");
    place.good(&format!("play {CPU} --frames 12 --record other.gif --seed 1"));
    assert_ne!(place.read("again.gif"), place.read("other.gif"), "another seed must give another film");
}

#[test]
fn recordings_hold_what_was_asked_for() {
    let place = Place::new("recordings");
    let record = |out: &str| place.good(&format!("play {CPU} --frames 10 --record {out} --scale 2"));

    record("film.gif");
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let film = place.read("film.gif");
    let mut decoder = options.read_info(film.as_slice()).unwrap();
    assert_eq!((decoder.width(), decoder.height()), (128, 128));
    let mut delays = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        delays.push(frame.delay);
    }
    assert_eq!(delays, [5; 10], "20 frames a second are 5 hundredths each");

    record("folder");
    let mut names: Vec<_> = std::fs::read_dir(place.path("folder")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 10);
    assert_eq!((names[0].to_str(), names[9].to_str()), (Some("000000.png"), Some("000009.png")));
    let (first, size) = pixels(&place.read("folder/000000.png"));
    assert_eq!(size, (128, 128));
    assert_eq!(first[..3], first[3..6], "pixels are enlarged by whole factors");
    assert_eq!(first[..6], first[3 * 128..][..6], "and so are rows");

    // A sheet of 10 frames has two rows of 8 columns, at half the scale, with gaps of 2.
    record("sheet.png");
    let (sheet, size) = pixels(&place.read("sheet.png"));
    assert_eq!(size, (8 * 66 - 2, 2 * 66 - 2));
    let (last, _) = pixels(&place.read("folder/000009.png"));
    assert_eq!(sheet[3 * (66 * size.0 + 66)..][..3], last[..3], "the tenth cell is the tenth frame");
    assert_eq!(place.list(), ["film.gif", "folder", "sheet.png", "tiny.safetensors"]);
}

fn pixels(file: &[u8]) -> (Vec<u8>, (usize, usize)) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    (data, (info.width as usize, info.height as usize))
}

/// An encoder that writes down what it is given stands in for the real one.
#[cfg(unix)]
#[test]
fn a_movie_gives_every_frame_to_the_encoder() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new("movie");
    std::fs::create_dir(place.path("bin")).unwrap();
    place.write("bin/ffmpeg", b"#!/bin/sh\nprintf '%s\\n' \"$*\" >arguments\nfor out; do :; done\ncat >\"$out\"\n");
    std::fs::set_permissions(place.path("bin/ffmpeg"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = place.command(&format!("play {CPU} --frames 7 --record film.mp4 --scale 3"));
    let output = command.env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.read("film.mp4").len(), 7 * 3 * 192 * 192);
    let arguments = common::text(&place.read("arguments"));
    assert!(arguments.contains("-s 192x192 -r 20 "), "{arguments}");
    assert_eq!(place.list(), ["arguments", "bin", "film.mp4", "tiny.safetensors"]);
}

#[test]
fn a_start_picture_is_what_the_world_begins_with() {
    let place = Place::new("start");
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 100, 50);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[200; 100 * 50]).unwrap();
    place.write("start.png", &file);
    place.good(&format!("play {CPU} --frames 2 --record with --start-image start.png"));
    place.good(&format!("play {CPU} --frames 2 --record without"));
    assert_ne!(place.read("with/000000.png"), place.read("without/000000.png"));
}

#[test]
fn events_and_actions_change_the_picture() {
    let place = Place::new("conditions");
    let mut films = Vec::new();
    for (name, options) in [
        ("plain", "--action 0,0,0,0,0"),
        ("walk", "--action 1,0,0,0,0"),
        ("back", "--action -1,0,0,0,0"),
        ("night", "--action 0,0,0,0,0 --event night"),
    ] {
        place.good(&format!("play {CPU} --frames 6 --record {name} {options}"));
        films.push(place.read(&format!("{name}/000005.png")));
    }
    for (i, film) in films.iter().enumerate() {
        assert!(films[..i].iter().all(|other| other != film), "film {i} is like an earlier one");
    }
    // By number, as on the keyboard.
    place.good(&format!("play {CPU} --frames 6 --record third --action 0,0,0,0,0 --event 3"));
    assert_eq!(place.read("third/000005.png"), films[3]);
}

#[test]
fn bench_demo_measures_speed_and_memory() {
    let place = Place::new("bench-demo");
    let json = place.json(&format!("bench demo {CPU} --frames 20 --json"));
    assert_eq!(json["frames"], 20);
    assert!(json["fps_median"].as_f64().unwrap() > 0.0);
    assert!(json["fps_p95"].as_f64() <= json["fps_median"].as_f64());
    let names: Vec<_> = json["passes"].as_array().unwrap().iter().map(|pass| pass["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["condition", "noise", "denoise", "decode", "show.0", "commit"]);
    assert_eq!(json["steady_allocations"], 0, "a steady frame must not allocate");
    let (allocated, planned) = (&json["allocated_bytes"], &json["memory"]["total"]);
    let ratio = allocated.as_f64().unwrap() / planned.as_f64().unwrap();
    // Names and tables of the plan itself are not part of what it plans; they are small even beside a tiny model.
    assert!((1.0..1.1).contains(&ratio), "{allocated} allocated, {planned} planned");
    let out = place.good(&format!("bench demo {CPU} --frames 5 --size 96x64"));
    assert!(out.contains("96x64, f32 weights, random weights"), "{out}");
}

#[test]
fn bench_attention_compares_two_ways() {
    let place = Place::new("bench-attention");
    let json = place.json(&format!("bench attention {CPU} --history 16 --route 2 --json"));
    assert_eq!(json["route"], 2);
    let shapes = json["shapes"].as_array().unwrap();
    let tokens: Vec<_> = shapes.iter().map(|shape| shape["tokens"].as_u64().unwrap()).collect();
    assert_eq!(tokens, [tokens[0], 3 * tokens[0], 12 * tokens[0]]);
    for shape in shapes {
        for way in ["dense", "routed"] {
            assert!(shape[way]["attention_ms"].as_f64() > Some(0.0), "{shape}");
            assert!(shape[way]["denoise_ms"].as_f64() > Some(0.0), "{shape}");
        }
        assert!(shape["attention_faster"].as_f64() > Some(0.0), "{shape}");
    }
    let json = place.json(&format!("bench attention {CPU} --history 16 --route 2 --size 32x32 --json"));
    assert_eq!(json["shapes"].as_array().unwrap().len(), 1);
}

#[test]
fn bench_frame_cost_compares_two_frames() {
    let place = Place::new("bench-frame-cost");
    let json = place.json(&format!("bench frame-cost {CPU} --early 30 --late 120 --json"));
    assert_eq!((&json["points"][0]["frame"], &json["points"][1]["frame"]), (&30.into(), &120.into()));
    let heap = |at: usize| json["points"][at]["heap_bytes"].as_f64().unwrap();
    assert!((heap(1) - heap(0)).abs() < 4096.0, "memory grows: {json}");
}

#[test]
fn bench_pump_counts_every_pump() {
    let place = Place::new("bench-pump");
    // With so large a budget every pump ends with a frame.
    let json = place.json(&format!("bench pump {CPU} --frames 90 --load 1 --rate 200 --budget 1000000 --json"));
    let counts = json["histogram"].as_array().unwrap().iter().map(|bin| bin["count"].as_u64().unwrap());
    assert_eq!((counts.sum::<u64>(), &json["pumps"]), (90, &90.into()));
    assert_eq!(json["delivered"], 90);
    let out = place.good(&format!("bench pump {CPU} --frames 1 --load 0"));
    assert!(out.contains("within 2.50 ms: ") && out.contains("without the world"), "{out}");
}

/// The self-test passes on this machine, for every instruction set and GPU it has.
#[test]
fn doctor_finds_nothing_wrong() {
    let place = Place::new("doctor");
    place.write("torn", b"causeway tiers 1\n");
    let json = place.json("doctor --json --tuned torn");
    assert_eq!(json["failures"], 0);
    // A file that no GPU can use is told of with what happens instead; sessions get what they get without it.
    for gpu in json["gpus"].as_array().unwrap().iter().filter(|gpu| gpu["tier"].is_string()) {
        assert_eq!(gpu["tuned"], "torn is not used: it is torn; the table of tiers decides instead");
    }
    let tests = json["tests"].as_array().unwrap();
    assert!(tests.iter().any(|test| test["name"] == "portable"), "{json}");
    for test in tests {
        let kernels = test["kernels"].as_object().unwrap();
        let operators: BTreeSet<_> = kernels.keys().map(|kernel| kernel.split(' ').next().unwrap()).collect();
        assert_eq!(operators.len(), Op::COUNT, "every operator is tested: {operators:?}");
        for form in ["linear q4", "conv2d f16", "attention f16", "attention q8 routed", "commit q8", "channel_norm"] {
            assert!(kernels.contains_key(form), "{form} is not in {:?}", kernels.keys());
        }
    }
}

#[test]
fn help_names_every_command() {
    let place = Place::new("help");
    let out = place.good("--help");
    for command in ["play", "info", "plan", "quantize", "bench", "doctor"] {
        assert!(out.contains(&format!("\n  {command} ")), "{command} is not in\n{out}");
    }
    assert!(place.good("--version").starts_with("causeway "));
}
