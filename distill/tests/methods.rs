//! Every method in one run: stopped once, resumed, and each of its denoisers exported and played.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use causeway_distill::footage::recording::{RecordingInfo, Shard};
use causeway_distill::run::export::{ExportError, export};
use causeway_distill::run::folder::FolderError;
use causeway_distill::run::pipeline::{Pipeline, PipelineError};
use causeway_distill::run::recipe::{Data, Recipe};
use causeway_runtime::{Budget, Model, Pump, Session, SessionOptions};

/// A folder that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("causeway-methods-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The recipe of seconds, in `dir`.
fn recipe(dir: &Path) -> Recipe {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/tiny.toml");
    Recipe { out: dir.into(), ..Recipe::read(&path).expect("a good recipe") }
}

fn play(path: &Path, steps: usize) {
    let model = Model::open(path).expect("a model file");
    let options = SessionOptions { steps: Some(steps), ..SessionOptions::default() };
    let mut session = Session::new(&model, &causeway_runtime::Device::cpu(0), options).expect("a session");
    for _ in 0..6 {
        while session.pump(Budget::Frame).expect("a frame") != Pump::Frame {}
        session.release();
    }
}

#[test]
fn all_methods_make_worlds_that_play() {
    let folder = Scratch::new("all");
    let (recipe, device, stop) = (recipe(&folder.0), Device::flex(), AtomicBool::new(false));
    // A stop in the middle of a stage whose state has two networks.
    let half = recipe.stages.iter().position(|s| s.name == "streaming").expect("the stage");
    let stopped = std::thread::scope(|scope| {
        let marks = folder.0.join("streaming.state.safetensors");
        let stop = &stop;
        scope.spawn(move || {
            while !marks.exists() && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let result = Pipeline::open(&recipe, &device, true, stop).expect("a run").run(None);
        stop.store(true, Ordering::Relaxed);
        result.expect("training")
    });
    let place = stopped.as_deref().map(|name| recipe.stages.iter().position(|s| s.name == name).expect("a stage"));
    assert!(place.is_none_or(|place| place >= half), "stopped in {stopped:?}");
    stop.store(false, Ordering::Relaxed);
    let mut pipeline = Pipeline::open(&recipe, &device, true, &stop).expect("the same run");
    assert_eq!(pipeline.run(None).expect("training"), None);

    for stage in &recipe.stages {
        let sheets = std::fs::read_dir(folder.0.join(&stage.name)).expect("a folder of sheets");
        assert!(sheets.count() > 0, "{} drew nothing", stage.name);
        assert!(folder.0.join(format!("{}.state.safetensors", stage.name)).is_file());
    }
    // A critic begins as the score that knows the data.
    let opened = pipeline.folder();
    for name in ["dmd", "self"] {
        let stage = opened.recipe.stage(name).expect("the stage");
        let begun = opened.begin(stage, None).expect("networks");
        let (student, teacher) = (stage.start.as_deref().map(|name| opened.named(name)), opened.teacher(stage));
        let (student, teacher) = (student.expect("a name").expect("a student"), teacher.expect("a teacher"));
        let (own, rest) = begun.data.split_at(student.data.len());
        assert!(own == &student.data[..] && rest[..own.len()] == teacher.data[..], "{name}");
        assert_ne!(student.data[..], teacher.data[..], "{name}: no test");
    }
    let path = folder.0.join("world.safetensors");
    for stage in recipe.stages.iter().filter(|s| s.method.is_causal()) {
        export(&mut pipeline, &device, Some(&stage.name), &path, None).expect("a model file");
        play(&path, 2);
    }
    // Without a name the newest, in as many steps as the recipe allows; its average, not that of the critic behind it.
    export(&mut pipeline, &device, None, &path, None).expect("a model file");
    let model = Model::open(&path).expect("a model file");
    assert_eq!(model.config().provenance.command, "causeway-distill train, stage dmd");
    assert_eq!(model.config().schedule.default_steps, 2);
    let (stage, weights) = pipeline.folder().newest().expect("a denoiser");
    assert_eq!(
        (stage.name.as_str(), weights.entries().len()),
        ("dmd", pipeline.folder().fresh_denoiser().entries().len())
    );
    play(&path, 1);

    let error = export(&mut pipeline, &device, Some("bidirectional"), &path, None).expect_err("no world");
    assert!(matches!(error, ExportError::Folder(FolderError::Unplayable { .. })), "{error}");
    let error = export(&mut pipeline, &device, Some("magic"), &path, None).expect_err("no stage");
    assert!(matches!(error, ExportError::Folder(FolderError::Missing { .. })), "{error}");
}

#[test]
fn nothing_changes_in_a_world_of_one_event() {
    let folder = Scratch::new("event");
    let info = RecordingInfo {
        width: 64,
        height: 64,
        fps: 20.0,
        latch: 1,
        actions: vec!["go".into()],
        events: vec!["day".into()],
        license: String::new(),
        credits: String::new(),
        source: String::new(),
        seed: 0,
    };
    let mut shard = Shard { frames: vec![0; 40 * 64 * 64 * 3], ..Shard::default() };
    (shard.actions, shard.events) = (vec![0.0; 40], vec![0; 40]);
    shard.episode_starts = (0..40).map(|i| u8::from(i == 0)).collect();
    for name in ["train", "held"] {
        shard.write(&folder.0.join("data").join(name), 0, &info).expect("a shard");
    }
    let recipe = Recipe { data: Data::Folder(folder.0.join("data")), ..recipe(&folder.0.join("run")) };
    let error = Pipeline::open(&recipe, &Device::flex(), true, &AtomicBool::new(false)).err().expect("a refusal");
    assert!(matches!(error, PipelineError::Events { found: 1, .. }), "{error}");
    assert!(error.to_string().contains("stage streaming tunes on changes of event"), "{error}");
}
