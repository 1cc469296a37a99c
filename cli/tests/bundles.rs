//! Bundles: one file with denoiser, codec and prompts plays as its parts do, and gives them back.

mod common;

use causeway_runtime::import::Checkpoint;
use common::{Place, golden, save, shown, tensors, text};

/// A folder with the tiny network, a codec, two prompts and a bundle of them.
fn place(name: &str) -> Place {
    let folder = Place::new(name);
    folder.good(&format!("convert {} m.safetensors --heads 2 --text-len 16 --size 64x64 --to f32", shown("tiny.pt")));
    folder.good(&format!("convert {} c.safetensors --to f32", shown("taehv.pth")));
    let all = tensors(golden("parity.safetensors"));
    let (day, night) = (&all["chunks.context"], &all["sink.context"]);
    save(folder.path("day.safetensors"), &[("context", day)]);
    save(folder.path("night.safetensors"), &[("context", night)]);
    save(folder.path("both.safetensors"), &[("context", day), ("context2", night)]);
    folder.good(
        "bundle --model m.safetensors --decoder c.safetensors --prompt day=day.safetensors --prompt night=night.safetensors --out b.safetensors",
    );
    folder
}

/// A file says what it holds; a byte that changed on its way is found by reading all of it, in a bundle in the part where it lies.
#[test]
fn damage_is_found_by_the_fingerprint() {
    let folder = place("bundle-verify");
    for (file, said) in [("m", "the file: "), ("c", "the file: "), ("b", "denoiser: "), ("b", "codec: ")] {
        let found = folder.good(&format!("info {file}.safetensors --verify"));
        assert!(found.contains(said) && found.contains("as its header says"), "{found}");
        let about = folder.json(&format!("info {file}.safetensors --json"));
        let about = if file == "b" { &about["denoiser"] } else { &about };
        assert_eq!(about["fingerprint"].as_str().map(str::len), Some(32));
    }
    for (file, part) in [("m", "the file"), ("b", "codec")] {
        let mut bytes = folder.read(&format!("{file}.safetensors"));
        // In the bundle the codec comes before the prompts, which are small.
        let at = bytes.len() - if file == "b" { 20_000 } else { 5 };
        bytes[at] ^= 1;
        folder.write("damaged.safetensors", &bytes);
        let output = folder.run("info damaged.safetensors --verify");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("{part} is damaged")), "{said}");
    }
}

#[test]
fn a_bundle_gives_its_parts_back_byte_for_byte() {
    let folder = place("bundle-split");
    folder.good("bundle --split b.safetensors --out parts");
    for (part, file) in [("denoiser", "m"), ("codec", "c"), ("prompt-day", "day"), ("prompt-night", "night")] {
        let found = folder.read(&format!("parts/{part}.safetensors"));
        assert!(found == folder.read(&format!("{file}.safetensors")), "{part}");
    }
    let about = folder.good("info b.safetensors");
    for part in ["a bundle", "day (", "night (", "family wan", "family decoder"] {
        assert!(about.contains(part), "{part} is not in\n{about}");
    }
    // It is a safetensors file, in which the tensors have their names.
    let read = Checkpoint::open(folder.path("b.safetensors")).unwrap();
    for name in ["prompt.night", "dit.head.head.weight", "taehv.decoder.1.weight"] {
        assert!(read.entries().iter().any(|entry| entry.name == name), "{name}");
    }
}

/// The keys of a bundle switch prompts: a recording of it is the video of these prompts with that switch.
#[test]
fn a_bundle_plays_as_its_parts_do() {
    let folder = place("bundle-play");
    let run = "--seed 3 --backend cpu --threads 2";
    folder.good(&format!("play --model b.safetensors --record played --frames 26 --scale 1 {run}"));
    // The second prompt is asked for when picture 13 is next, and comes with the chunk after the one of pictures 9 to 20.
    assert_eq!(folder.json("info m.safetensors --json")["config"]["dit"]["chunk"], 3);
    let at = 6;
    folder.good(&format!(
        "generate --model m.safetensors --decoder c.safetensors --prompt both.safetensors --record made --frames 26 {run} --switch {at}:recache"
    ));
    for frame in 0..26 {
        let name = |folder: &str| format!("{folder}/{frame:06}.png");
        assert!(folder.read(&name("played")) == folder.read(&name("made")), "frame {frame}");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused_and_nothing_is_written() {
    let folder = place("bundle-refused");
    let before = folder.read("b.safetensors");
    let narrow = (vec![2, 8], vec![0.5; 16]);
    save(folder.path("narrow.safetensors"), &[("context", &narrow)]);
    save(folder.path("empty.safetensors"), &[("other", &narrow)]);
    for (arguments, expected) in [
        ("--decoder c.safetensors", "--model"),
        ("--model c.safetensors", "family \"decoder\""),
        ("--model m.safetensors --decoder m.safetensors", "family \"wan\", expected decoder"),
        ("--model tiny.safetensors --decoder c.safetensors", "holds its codec"),
        ("--model m.safetensors --prompt narrow=narrow.safetensors", "rows of 8"),
        ("--model m.safetensors --prompt empty=empty.safetensors", "no tensor `context`"),
        ("--model m.safetensors --prompt day=day.safetensors --prompt day=night.safetensors", "prompt.day"),
        ("--model m.safetensors --prompt a/b=day.safetensors", "letters, digits"),
        ("--model m.safetensors --prompt day", "expected a name and a file"),
        ("--model m.safetensors --prompt day=gone.safetensors", "gone.safetensors"),
        ("--split m.safetensors", "is no bundle"),
    ] {
        let output = folder.run(&format!("bundle {arguments} --out b.safetensors"));
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{arguments}: {said}");
        assert!(folder.read("b.safetensors") == before, "{arguments}");
    }
}

/// Words in the place of stored prompts: with an encoder a bundle plays what is said, and one without prompts what says nothing.
#[cfg(feature = "text")]
#[test]
fn a_bundle_plays_words() {
    let folder = place("bundle-words");
    let (encoder, tokenizer) = (shown("umt5-shared.safetensors"), shown("umt5-tokenizer.json"));
    folder.good(&format!("convert {encoder} umt5.safetensors --to f32 --tokenizer {tokenizer}"));
    folder.good("bundle --model m.safetensors --decoder c.safetensors --out bare.safetensors");
    folder.good("embed --model umt5.safetensors --prompt fox --out fox.safetensors --backend cpu");
    folder.good(
        "bundle --model m.safetensors --decoder c.safetensors --prompt fox=fox.safetensors --out fox-b.safetensors",
    );
    let film = |model: &str, options: &str| {
        folder.good(&format!("play --model {model} --backend cpu --record x.gif --frames 9 {options}"));
        std::fs::read(folder.path("x.gif")).unwrap()
    };
    let words = "--text-encoder umt5.safetensors";
    let said = film("bare.safetensors", &format!("{words} --prompt fox"));
    assert!(said == film("fox-b.safetensors", ""), "stored or said: the same film");
    assert!(said != film("bare.safetensors", words), "saying nothing is another prompt");
    for (arguments, expected) in [
        ("--model bare.safetensors", "prompt"),
        (&format!("{words} --prompt fox"), "for models that take prompts"),
        ("--model bare.safetensors --prompt fox", "--text-encoder"),
    ] {
        let output = folder.run(&format!("play {arguments} --backend cpu --record y.gif --frames 4"));
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && err.contains(expected), "{arguments}: {err}");
    }
}
