//! Prompts in words through the C interface: the same rows as by the Rust interface, in steps, and a sentence for each mistake.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_runtime::{
    Budget, DecoderFile, Device, Model, Session, SessionOptions, TextEncoder,
    clock::NoClock,
    file::Umt5File,
    session::{Change, Condition},
    text::{TextOptions, TextTokenizer},
};
use causeway_tests::{
    machine,
    stream::{hash, next_frame},
    wan::{SEED, Student, encoder, golden, write_encoder},
};

const WORDS: &str = "Two  foxes, １２ ﬁsh & a café";

fn hashed(values: &[f32]) -> String {
    format!("{:016x}", hash(&values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()))
}

#[test]
fn words_become_rows_in_steps() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("words-files");
    let student = Student::write(&folder);
    let tokenizer = golden("umt5-tokenizer.json");
    let json = fs::read(&tokenizer).unwrap();
    let whole = encoder(&folder);
    let bare = write_encoder(folder.join("bare.safetensors"), "umt5-shared.safetensors", &[]);

    let file = Umt5File::open(&whole).unwrap();
    let (tokens, _) = TextTokenizer::new(&json).unwrap().tokens(WORDS, 16).unwrap();
    let mut text = TextEncoder::new(&file, &Device::cpu(0), TextOptions::default()).unwrap();
    text.begin(&[tokens]).unwrap();
    while !text.pump(u64::MAX, &NoClock).unwrap() {}
    let rows = text.rows(0).unwrap();
    let told = format!("{} 24 {}", rows.len() / 24, hashed(rows));
    let (model, codec) = (Model::open(&student.model).unwrap(), DecoderFile::open(&student.codec).unwrap());
    let options = SessionOptions { seed: SEED, ..SessionOptions::default() };
    let mut session = Session::with_codec(&model, &codec, &Device::cpu(0), options).unwrap();
    session.set_prompt(0, rows).unwrap();
    session.queue(Change::to(Condition::Prompt(0))).unwrap();
    let mut expected = vec![told.clone(), told];
    expected.extend((0..5).map(|_| format!("{:016x}", hash(&next_frame(&mut session, Budget::Frame)))));

    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/text.c", "words");
    for stream in ["0", "1"] {
        let mut command = Command::new(&program);
        command.args([&student.model, &student.codec, &whole, &bare, &tokenizer]).args([stream, WORDS]);
        let printed = common::run(&mut command);
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "stream {stream}");
        // It knows fewer instructions, so its bits are others.
        if stream == "0" {
            common::watch(&command);
        }
    }
    // causeway.hpp, which says it once.
    if !machine::has(&[&machine::CPP]) {
        return;
    }
    for standard in ["-std=c++17", "-std=c++17 -fno-exceptions -fno-rtti"] {
        let program = common::compile("g++", standard, "ffi/tests/programs/words.cpp", "words-cpp");
        let mut command = Command::new(program);
        let printed = common::run(command.args([&student.model, &student.codec, &whole]).arg(WORDS));
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected[1..], "{standard}");
    }
}
