//! Every parser of files from elsewhere, on spoiled files: no panic, no long wait, and memory that follows from the file's size. How many
//! is said by `CAUSEWAY_FUZZ`; docs/reliability.md has how many were tried. (Model files have a million of their own: model_file/fuzz.rs.
//! Pictures and tokenizers are the program's: cli/src.)

use std::{fs, path::Path, sync::Mutex, time::Duration};

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, FileError, Model, Pump, Session, SessionOptions,
    file::{AnyFile, Bundler, PartKind},
    import::Checkpoint,
    session::Snapshot,
};
use causeway_tests::{
    counting::{Counting, peak},
    fuzz::{Place, executions, run},
    snapshots::{resealed, resealed_game},
    stream::one,
    tiny::{model_bytes, tiny_model_bytes, wan_config},
};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Most memory of a parser: this for each byte of the file, and some in any case.
const BYTES_PER_BYTE: usize = 48;
const FREE_BYTES: usize = 6 << 20;
/// Longest that an answer may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);

/// One at a time: memory is counted for the process.
static ALONE: Mutex<()> = Mutex::new(());

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/golden").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Opens spoiled copies of `names` as checkpoints and reads all tensors of those that open.
fn checkpoints(kind: &str, extension: &str, names: &[&str], share: u64) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let bases: Vec<_> = names.iter().map(|name| golden(name)).collect();
    let place = Place::new(&format!("{kind}.{extension}"));
    let mut most = 0;
    let outcome = run(kind, &bases, executions() / share, |bytes| {
        place.write(bytes);
        let (taken, peak) = peak(|| {
            let opened = Checkpoint::open(place.path());
            if let Err(error) = &opened {
                let text = error.to_string();
                assert!(text.lines().count() == 1 && text.len() < 3000, "{text}");
            }
            opened.is_ok_and(|file| {
                // What a file says it has must be there to be read, or the reading is an error.
                let read = |entry| file.read_all(entry).map(drop).is_ok();
                file.entries().iter().filter(|entry| entry.values() < 1 << 16).filter(|entry| read(entry)).count() > 0
            })
        });
        assert!(peak <= FREE_BYTES + BYTES_PER_BYTE * bytes.len(), "{peak} bytes for a file of {}", bytes.len());
        most = most.max(peak);
        taken
    });
    println!("{kind}: most memory {most} bytes");
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(outcome.taken > outcome.files / 50, "hardly any file is taken: {outcome:?}");
    assert!(outcome.taken < outcome.files, "nothing is refused: {outcome:?}");
}

#[test]
fn safetensors() {
    checkpoints(
        "safetensors",
        "safetensors",
        &["float8.safetensors", "formats.safetensors", "lora-kohya.safetensors"],
        4,
    );
}

#[test]
fn gguf() {
    checkpoints("gguf", "gguf", &["quants.gguf"], 4);
}

#[test]
fn torch() {
    let names = ["float8.pt", "views.pt", "formats.pt", "opaque2.pt", "opaque5.pt", "legacy.pt"];
    checkpoints("torch", "pt", &names, 4);
}

/// Bundles: what opens can be split, and its prompts read.
#[test]
fn bundles() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = Place::new("bundle.safetensors");
    let folder = place.path().parent().unwrap();
    let [model, prompt, out] = ["bundle-model", "bundle-prompt", "bundle-out"].map(|name| folder.join(name));
    let config = wan_config(1, 128, (2, 2));
    fs::write(&model, model_bytes(&config, DType::Q8, 1)).unwrap();
    let text = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 32], &[0; 3 * 32 * 4]).unwrap();
    fs::write(&prompt, safetensors::serialize([("context", text)], None).unwrap()).unwrap();
    let mut bundler = Bundler::default();
    bundler.add(PartKind::Denoiser, "", &model).unwrap();
    bundler.add(PartKind::Prompt, "day", &prompt).unwrap();
    bundler.add(PartKind::Prompt, "night", &prompt).unwrap();
    bundler.write(&out, |_| Ok(())).unwrap();
    let base = fs::read(&out).unwrap();
    let outcome = run("bundles", &[base], executions() / 8, |bytes| {
        // Bytes in memory must lie as numbers do.
        let (taken, peak) = peak(|| {
            let opened = AnyFile::from_filled(bytes.len(), |to| -> Result<(), FileError> {
                to.copy_from_slice(bytes);
                Ok(())
            });
            let Ok(AnyFile::Bundle(bundle)) = opened else { return false };
            let read = (0..bundle.prompts().len()).all(|index| bundle.prompt(index).is_ok());
            let split = |part| bundle.split(part, |_| Ok::<_, FileError>(()));
            read && bundle.parts().iter().all(|part| split(part).is_ok())
        });
        assert!(peak <= FREE_BYTES + BYTES_PER_BYTE * bytes.len(), "{peak} bytes for a bundle of {}", bytes.len());
        taken
    });
    [model, prompt, out].iter().for_each(|path| fs::remove_file(path).unwrap());
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(outcome.taken > 0 && outcome.taken < outcome.files, "{outcome:?}");
}

/// The next two frames.
fn play_on(session: &mut Session) {
    for _ in 0..2 {
        while session.pump(Budget::Frame).expect("it plays on") == Pump::Pending {}
        while session.release() {}
    }
}

/// Snapshots: refused, or restored; either way the session goes on from a good one exactly as it would have.
#[test]
fn snapshots() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let bytes = tiny_model_bytes(1);
    let model = Model::from_bytes(&bytes).unwrap();
    let options = SessionOptions::default();
    let mut session = Session::new(&model, &one(), options).unwrap();
    let mut bases = Vec::new();
    for nodes in [3, 40, 200, 500] {
        let _ = session.pump(Budget::Nodes(nodes)).unwrap();
        bases.push(session.snapshot().unwrap().as_bytes().to_vec());
        session.release();
    }
    let good = Snapshot::from_bytes(bases[1].clone());
    // As they are only what nobody changed is taken; with the checksum made anew what is taken plays on, and is made of numbers.
    let mut now = session.snapshot().unwrap().as_bytes().to_vec();
    let outcome = run("snapshots", &bases, executions(), |bytes| {
        let (taken, peak) = peak(|| session.restore_bytes(bytes).is_ok());
        assert!(peak <= 1 << 20, "{peak} bytes for a snapshot of {}", bytes.len());
        assert!(!taken || bases.iter().any(|base| base == bytes), "damage was not seen");
        if taken {
            now = bytes.to_vec();
        }
        taken
    });
    assert!(session.snapshot().unwrap().as_bytes() == now, "a refused snapshot changed something");
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    let outcome = run("sealed-snapshots", &bases, executions() / 8, |bytes| {
        let sealed = resealed(bytes.to_vec());
        let (taken, peak) = peak(|| session.restore(&sealed).is_ok());
        assert!(peak <= 1 << 20, "{peak} bytes for a snapshot of {}", bytes.len());
        if taken {
            play_on(&mut session);
        }
        taken
    });
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(outcome.taken > 0 && outcome.taken < outcome.files, "{outcome:?}");
    session.restore(&good).unwrap();
    assert_eq!(session.snapshot().unwrap().as_bytes(), bases[1]);
}

/// Saved games: refused and nothing touched, or loaded and played on.
#[test]
fn saved_games() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let bytes = tiny_model_bytes(1);
    let model = Model::from_bytes(&bytes).unwrap();
    let mut session = Session::new(&model, &one(), SessionOptions::default()).unwrap();
    let mut bases = Vec::new();
    for nodes in [3, 400, 2000, 4000] {
        let mut left = nodes;
        while left > 0 {
            let before = session.stats().nodes;
            let _ = session.pump(Budget::Nodes(left)).unwrap();
            left = left.saturating_sub((session.stats().nodes - before).max(1) as usize);
            session.release();
        }
        bases.push(session.save().unwrap().as_bytes().to_vec());
    }
    let mut before = session.snapshot().unwrap();
    let outcome = run("saved-games", &bases, executions(), |bytes| {
        let (taken, peak) = peak(|| session.load_bytes(bytes).is_ok());
        assert!(peak <= 1 << 20, "{peak} bytes for a game of {}", bytes.len());
        assert!(!taken || bases.iter().any(|base| base == bytes), "damage was not seen");
        if taken {
            before = session.snapshot().unwrap();
        }
        taken
    });
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(session.snapshot().unwrap() == before, "a refused game changed something");
    let outcome = run("sealed-games", &bases, executions() / 8, |bytes| {
        let sealed = resealed_game(bytes.to_vec());
        let (taken, peak) = peak(|| session.load(&sealed).is_ok());
        assert!(peak <= 1 << 20, "{peak} bytes for a game of {}", bytes.len());
        if taken {
            play_on(&mut session);
        }
        taken
    });
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(outcome.taken > 0 && outcome.taken < outcome.files, "{outcome:?}");
}
