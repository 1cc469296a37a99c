//! The streams of prompts that hosts play (`causeway_tests::wan`), and `causeway generate`, which must make the same pictures.

use std::{path::Path, process::Command, sync::OnceLock};

use causeway_tests::{
    tour::Tour,
    wan::{Play, Student, golden, plays},
};

use crate::program::{below, run, scratch};

/// The files.
pub fn student() -> &'static Student {
    static STUDENT: OnceLock<Student> = OnceLock::new();
    STUDENT.get_or_init(|| Student::write(&scratch("student")))
}

/// Each stream, and what a host prints of it.
pub fn streams() -> &'static [(Play, Vec<String>)] {
    static STREAMS: OnceLock<Vec<(Play, Vec<String>)>> = OnceLock::new();
    STREAMS.get_or_init(|| {
        let print = |play: Play| {
            let printed = Play::printed(&play.pictures(student()));
            (play, printed)
        };
        plays().into_iter().map(print).collect()
    })
}

/// The command line, as cargo builds it for tests of its own: nothing is built where these were.
fn causeway(arguments: &str) -> Command {
    static BUILT: OnceLock<()> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).args(["test", "--quiet", "--workspace", "--test", "goldens", "--no-run"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        run(&mut cargo);
    });
    // Of the folders deps/.. of this test.
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("causeway");
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace());
    command
}

/// Colours of a PNG, RGBA.
fn pixels(picture: &Path) -> Vec<u8> {
    let file = std::io::BufReader::new(std::fs::File::open(picture).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    match reader.next_frame(&mut pixels).unwrap().color_type {
        png::ColorType::Rgba => pixels,
        png::ColorType::Rgb => pixels.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect(),
        other => panic!("{}: {other:?}", picture.display()),
    }
}

#[test]
fn generate_makes_the_pictures_that_hosts_show() {
    let (folder, student) = (scratch("generate"), student());
    for (n, (play, expected)) in streams().iter().enumerate() {
        let out = folder.join(n.to_string());
        let mut generate = causeway(&format!("generate --backend cpu {}", play.options()));
        generate.arg("--model").arg(&student.model).arg("--decoder").arg(&student.codec).arg("--record").arg(&out);
        // One prompt more than there are switches.
        generate.arg("--prompt").arg(&student.together[play.switches.len() - 1]);
        run(&mut generate);
        let pictures: Vec<_> = below(&out).iter().map(|path| pixels(path)).collect();
        assert_eq!(Play::printed(&pictures), *expected, "{play:?}");
    }
}

/// Each way of changing the prompt shows, and not before it is asked for.
#[test]
fn switches_show_from_their_picture_on() {
    for (play, printed) in streams() {
        let plain = Play { switches: Vec::new(), ..play.clone() };
        let plain = Play::printed(&plain.pictures(student()));
        let first = play.switches[0].0 as usize;
        assert_eq!(plain[..first], printed[..first], "{play:?}");
        assert!(plain[first..].iter().zip(&printed[first..]).all(|(a, b)| a != b), "{play:?}");
    }
    let all: std::collections::BTreeSet<_> = streams().iter().map(|(_, printed)| &printed[39]).collect();
    assert_eq!(all.len(), streams().len());
}

/// What is told in a game shows from its frame on, and what is typed is something else than what is stored.
#[test]
fn games_show_what_they_are_told() {
    let [stored, typed] = Tour::all(&scratch("tour")).map(|tour| tour.shown(None));
    assert_eq!(stored[..9], typed[..9]);
    assert!(stored[9..].iter().zip(&typed[9..]).all(|((n, a), (m, b))| n == m && a != b));
}

/// What docs/embedding.md says of prompts: `embed` makes a file of numbers behind a header, and a line of shell takes them out.
#[test]
fn prompts_come_from_embed() {
    let folder = scratch("embed");
    let convert = format!("convert {} umt5.safetensors --to f32", golden("umt5.pth").display());
    run(causeway(&convert).current_dir(&folder));
    let tokenizer = golden("umt5-tokenizer.json");
    let mut embed = causeway("embed --model umt5.safetensors --out fox.safetensors --prompt");
    run(embed.current_dir(&folder).arg("a red fox runs through the snow").arg("--tokenizer").arg(tokenizer));
    let docs = std::fs::read_to_string(crate::walk::repository("docs/embedding.md")).unwrap();
    let line = docs
        .lines()
        .find(|line| line.starts_with("tail -c"))
        .expect("docs/embedding.md has no line that begins with tail -c");
    run(Command::new("sh").current_dir(&folder).args(["-c", line]));
    let numbers = std::fs::read(folder.join("fox.f32")).unwrap();
    let file = std::fs::read(folder.join("fox.safetensors")).unwrap();
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + header]).unwrap();
    let shape: Vec<usize> = serde_json::from_value(header["context"]["shape"].clone()).unwrap();
    assert_eq!(numbers.len(), 4 * shape.iter().product::<usize>(), "{shape:?}");
    assert!(file.ends_with(&numbers) && shape[0] > 3);
}
