//! Prompts, changes of condition and latents through the C interface: equal to the Rust interface, and a sentence for each mistake.

mod common;

use std::{fs, path::Path, process::Command, sync::OnceLock};

use causeway_runtime::{
    Budget, DecoderFile, Device, Model, Output, Session, SessionOptions,
    session::{Change, Condition},
};
use causeway_tests::{
    stream::{hash, next_frame},
    tiny::tiny_model_bytes,
    wan::{SEED, Student, write_encoder},
};

fn folder() -> &'static Path {
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("students");
        fs::create_dir_all(&folder).unwrap();
        folder
    })
}

fn student() -> &'static Student {
    static STUDENT: OnceLock<Student> = OnceLock::new();
    STUDENT.get_or_init(|| Student::write(folder()))
}

/// What a program prints; it runs once more under valgrind, which must find nothing.
fn watched(program: &Path, arguments: &[&Path], more: &[&str]) -> String {
    let mut command = Command::new(program);
    let printed = common::run(command.args(arguments).args(more));
    common::watch(&command);
    printed
}

#[test]
fn latents_are_those_of_the_rust_interface_and_refused_calls_lose_none() {
    const FRAMES: usize = 7;
    let student = student();
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/latents.c", "latents");
    let files = [&student.model, &student.codec, &student.prompts[0]].map(|path| path.as_path());
    let printed = watched(&program, &files, &[&FRAMES.to_string()]);

    let model = Model::open(&student.model).unwrap();
    let options = SessionOptions { seed: SEED, output: Output::Latents, ..SessionOptions::default() };
    let mut session = Session::new(&model, &Device::cpu(0), options).unwrap();
    session.set_prompt(0, &student.prompt(0)).unwrap();
    session.queue(Change::to(Condition::Prompt(0))).unwrap();
    let mut values = vec![0f32; session.latent_shape().iter().product()];
    let mut frame = |n: usize| {
        session.pump(Budget::Frame).unwrap();
        assert_eq!(session.latent(&mut values).unwrap().frame, n as u64);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        format!("{n} {:016x}", hash(&bytes))
    };
    assert_eq!(printed.lines().collect::<Vec<_>>(), (0..FRAMES).map(&mut frame).collect::<Vec<_>>());
}

/// Who comes too early is waited for.
#[test]
fn a_stream_waits_for_its_first_prompt() {
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/waits.c", "waits");
    assert_eq!(watched(&program, &[&student().bundle], &[]).trim(), "5 24 7 24");
}

/// A world saved and loaded, and what cannot be loaded, or set.
#[test]
fn games_are_saved_and_loaded() {
    const SAID: [(&str, &str, &str); 17] = [
        ("too little memory", "CW_ERROR_BUFFER_TOO_SMALL", "the saved game has"),
        ("loaded", "CW_OK", ""),
        ("likeness above 40", "", ""),
        ("other weights", "CW_ERROR_SNAPSHOT_OF_ANOTHER", "belongs to other weights"),
        ("damaged", "CW_ERROR_SNAPSHOT", "its checksum is another one"),
        ("newer", "CW_ERROR_SNAPSHOT", "of a newer version of this library"),
        ("short", "CW_ERROR_SNAPSHOT", "it ends too early"),
        ("a snapshot", "CW_ERROR_SNAPSHOT", "does not begin with the mark of a saved game"),
        ("damaged frames of a snapshot", "CW_ERROR_SNAPSHOT", ""),
        ("damaged state of a snapshot", "CW_ERROR_SNAPSHOT", "its checksum is another one"),
        ("the same as it was", "CW_OK", ""),
        ("a row", "CW_OK", ""),
        ("too many rows", "CW_ERROR_ARGUMENT", "2 rows of actions were given; a chunk of this stream takes at most 1"),
        ("rows of another length", "CW_ERROR_ARGUMENT", "has 5 entries, 6 were given"),
        ("no rows", "CW_ERROR_ARGUMENT", "has 5 entries, 0 were given"),
        ("beyond all measure", "CW_ERROR_ARGUMENT", "this model takes numbers from -1000 to 1000"),
        ("a prompt of no bundle", "CW_ERROR_ARGUMENT", "there is no prompt 0; this file stores 0"),
    ];
    let folder = folder();
    let paths = [1, 2].map(|seed| {
        let path = folder.join(format!("world-{seed}.safetensors"));
        fs::write(&path, tiny_model_bytes(seed)).unwrap();
        path
    });
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/saves.c", "saves");
    let printed = watched(&program, &[&paths[0], &paths[1]], &[]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), SAID.len(), "{printed}");
    for (line, (what, status, part)) in lines.iter().zip(SAID) {
        assert!(line.starts_with(what) && line.contains(status) && line.contains(part), "{what}: {line}");
    }
}

/// What was done, the status, and a part of the sentence.
const TABLE: [(&str, &str, &str); 68] = [
    ("no codec", "CW_ERROR_OPTION", "has no codec in its file"),
    ("a denoiser for a codec", "CW_ERROR_ARGUMENT", "`codec` is a file that holds a denoiser"),
    ("a text encoder for a codec", "CW_ERROR_ARGUMENT", "`codec` is a file that holds a text encoder"),
    ("a device for a codec", "CW_ERROR_HANDLE", "a device was given where a model was expected"),
    ("a codec that was closed", "CW_ERROR_HANDLE", "this model was destroyed"),
    ("a codec for a world", "CW_ERROR_OPTION", "has a codec in its own file"),
    ("a session of a codec", "CW_ERROR_ARGUMENT", "this file holds a codec; a session runs a denoiser"),
    ("a session of a text encoder", "CW_ERROR_ARGUMENT", "this file holds a text encoder; a session runs a denoiser"),
    ("width without height", "CW_ERROR_ARGUMENT", "`width` is 64 and `height` 0; give both or neither"),
    ("height without width", "CW_ERROR_ARGUMENT", "`width` is 0 and `height` 64; give both or neither"),
    ("a width between two patches", "CW_ERROR_OPTION", "sides must be multiples of 16 and 16"),
    ("another size of a world", "CW_ERROR_OPTION", "this model makes 64 x 64 and no other"),
    ("sampler", "CW_ERROR_ARGUMENT", "4 is no sampler; there are CW_SAMPLER_MODEL"),
    ("sampler steps", "CW_ERROR_ARGUMENT", "`sampler_steps` is 1001; at most 1000"),
    ("output", "CW_ERROR_ARGUMENT", "1 is no output; there are CW_OUTPUT_PIXELS"),
    ("recache", "CW_ERROR_ARGUMENT", "`recache` is 2; it is 0 or 1"),
    ("prompt slots", "CW_ERROR_OPTION", "1025 slots for prompts, expected 1 to 1024"),
    ("prompt rows", "CW_ERROR_OPTION", "17 rows of text do not fit a length of 16"),
    ("prompt slots of a world", "CW_ERROR_OPTION", "this model reads no prompts"),
    ("guidance", "CW_ERROR_OPTION", "guidance is NaN, expected a number"),
    ("guidance of a world", "CW_ERROR_OPTION", "this model reads no prompts"),
    ("chunk", "CW_ERROR_OPTION", "window is 5000; it counts the chunk of 5000"),
    ("first chunk", "CW_ERROR_OPTION", "the first chunk has 4 frames, expected 1 to 3"),
    ("a picture without an encoder", "CW_ERROR_OPTION", "only with a codec that encodes"),
    ("pump without a prompt", "CW_ERROR_STATE", "reads prompts and was given none"),
    ("prompt of another width", "CW_ERROR_ARGUMENT", "2 rows of 23; this session takes at most 16 rows of 24"),
    ("prompt of no width", "CW_ERROR_ARGUMENT", "this session takes at most 16 rows of 24"),
    ("prompt of too many rows", "CW_ERROR_ARGUMENT", "17 rows of 24; this session takes at most 16 rows of 24"),
    ("prompt of absurd size", "CW_ERROR_ARGUMENT", "which nothing has"),
    ("no prompt", "CW_ERROR_ARGUMENT", "the prompt is NULL"),
    ("slot of a prompt", "CW_ERROR_ARGUMENT", "there is no prompt slot 2; this session has 2"),
    ("prompt of a world", "CW_ERROR_CONDITION", "takes no prompts; it takes actions, events and mixes of events"),
    ("prompt that is no number", "CW_ERROR_ARGUMENT", "value 25 of the prompt is not a finite number"),
    ("no condition", "CW_ERROR_ARGUMENT", "the CwCondition is NULL"),
    ("condition of a wrong size", "CW_ERROR_STRUCT_SIZE", "CwCondition says struct_size 8"),
    ("kind", "CW_ERROR_ARGUMENT", "4 is no kind of condition; there are CW_CONDITION_EVENT"),
    ("way", "CW_ERROR_ARGUMENT", "4 is no way; there are CW_WAY_KEEP"),
    ("sink", "CW_ERROR_ARGUMENT", "2 is no sink; there are CW_SINK_KEPT"),
    ("recache without the option", "CW_ERROR_OPTION", "was not created with `recache`"),
    ("slot of a change", "CW_ERROR_ARGUMENT", "there is no prompt slot 2; this session has 2"),
    ("negative prompt without guidance", "CW_ERROR_CONDITION", "created without guidance"),
    ("event of a model without", "CW_ERROR_CONDITION", "takes no events; it takes prompts"),
    ("prompt in a world", "CW_ERROR_CONDITION", "takes no prompts; it takes actions, events and mixes of events"),
    ("event that there is not", "CW_ERROR_ARGUMENT", "there is no event 3; this model has: daylight, amber, night"),
    ("mix of sum 2", "CW_ERROR_ARGUMENT", "their sum is 2"),
    ("mix below 0", "CW_ERROR_ARGUMENT", "number 1 is -0.5"),
    ("mix that is no number", "CW_ERROR_ARGUMENT", "number 1 is NaN"),
    ("mix of too many", "CW_ERROR_ARGUMENT", "for each of 3 events, 0 or more and finite, of sum 1; 4 were given"),
    ("mix of nothing", "CW_ERROR_ARGUMENT", "NULL"),
    ("event by the old call", "CW_ERROR_CONDITION", "takes no events; it takes prompts"),
    ("action of a model without", "CW_ERROR_ARGUMENT", "has 0 entries, 1 were given"),
    ("start picture without an encoder", "CW_ERROR_OPTION", "cannot encode pictures"),
    ("prompt", "CW_OK", ""),
    ("other prompt", "CW_OK", ""),
    ("slot in use", "CW_ERROR_STATE", "prompt slot 0 is named by a change that waits"),
    ("withdraw", "CW_OK", ""),
    ("slot that was given back", "CW_OK", ""),
    ("frame", "CW_FRAME", ""),
    ("slot in use no more", "CW_OK", ""),
    ("withdraw what is in force", "CW_ERROR_STATE", "no change of ticket 1 waits"),
    ("withdraw what there is not", "CW_ERROR_STATE", "no change of ticket 1000 waits"),
    ("picture", "CW_OK", ""),
    ("frame", "CW_FRAME", ""),
    ("slot in use inside", "CW_ERROR_STATE", "prompt slot 1 is named by a change that waits"),
    ("withdraw inside", "CW_OK", ""),
    ("withdraw twice", "CW_ERROR_STATE", "no change of ticket 3 waits"),
    ("too many", "CW_ERROR_EVENTS_FULL", "64 changes are waiting"),
    ("pump without a negative prompt", "CW_ERROR_STATE", "leads away from a negative prompt, and none was given"),
];

#[test]
fn each_mistake_has_a_status_and_a_sentence() {
    let world = folder().join("world.safetensors");
    fs::write(&world, tiny_model_bytes(1)).unwrap();
    let text = write_encoder(folder().join("text.safetensors"), "umt5.pth", &[]);
    let student = student();
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/conditions.c", "wrong-conditions");
    let files = [&world, &student.model, &student.codec, &text].map(|path| path.as_path());
    let printed = watched(&program, &files, &[]);
    let mut lines = printed.lines();
    for (what, status, part) in TABLE {
        let line = lines.next().unwrap_or_default();
        let said = line.strip_prefix(&format!("{what}: {status}: "));
        assert!(said.is_some_and(|said| said.contains(part)), "{what}, expected {status}, {part}: {line}");
        // One sentence, of some length where there is one.
        assert!(said.is_some_and(|said| !said.contains('\n') && said.is_empty() == part.is_empty()), "{line}");
    }

    // Nothing of it had an effect.
    let model = Model::open(&student.model).unwrap();
    let codec = DecoderFile::open(&student.codec).unwrap();
    let options = SessionOptions { prompt_slots: Some(2), ..SessionOptions::default() };
    let mut session = Session::with_codec(&model, &codec, &Device::cpu(1), options).unwrap();
    session.set_prompt(0, &[0.5; 48]).unwrap();
    session.queue(Change::to(Condition::Prompt(0))).unwrap();
    let expected = format!("{:016x}", hash(&next_frame(&mut session, Budget::Frame)));
    assert_eq!(lines.collect::<Vec<_>>(), [expected]);
}

#[test]
fn changes_are_taken_back_while_a_worker_pumps() {
    let student = student();
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/withdraw.c", "withdraw");
    common::run(Command::new(program).args([&student.model, &student.codec, &student.prompts[0]]));
}
