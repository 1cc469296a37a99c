//! A run that lands in one small file goes on elsewhere from where it stood.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use causeway_distill::run::folder::{Folder, FolderError};
use causeway_distill::run::pipeline::{Pipeline, PipelineError};
use causeway_distill::run::recipe::Recipe;
use causeway_distill::train::landed::Landed;
use causeway_distill::train::state::StateError;
use half::f16;

/// A teacher and then one from longer windows, `steps` steps each, and a student that the second teaches.
fn recipe(out: &Path, [teacher, long]: [u64; 2], from: Option<&Path>, dim: usize) -> Recipe {
    let text = format!(
        r#"out = "x"
        [data.world]
        seed = 1
        frames = 80
        held = 60
        [model]
        name = "tiny"
        dim = {dim}
        heads = 1
        layers = 1
        ffn_dim = 48
        freq_dim = 16
        codec = "linear"
        channels = 6
        prediction = "clean"
        steps = [2, 1]
        [defaults]
        batch = 2
        frames = 4
        warmup = 3
        worlds = 1
        horizon = 12
        inspect = {{ steps = 100 }}
        optimizer = "muon"
        [[stage]]
        method = "codec"
        budget = {{ steps = 1 }}
        [[stage]]
        method = "teacher"
        budget = {{ steps = {teacher} }}
        [[stage]]
        method = "teacher"
        name = "long"
        budget = {{ steps = {long} }}
        [[stage]]
        method = "consistency"
        budget = {{ steps = 2 }}
        "#
    );
    let recipe = Recipe::parse(&text, Path::new("test")).expect("a recipe");
    Recipe { out: out.into(), from: from.map(PathBuf::from), ..recipe }
}

fn run(recipe: &Recipe, stage: Option<&str>) -> Result<(), PipelineError> {
    let stop = AtomicBool::new(false);
    let device = Device::flex();
    Pipeline::open(recipe, &device, true, &stop)?.run(stage).map(|_| ())
}

#[test]
fn a_landed_run_goes_on_where_it_stood() {
    let dir = std::env::temp_dir().join(format!("causeway-landed-{}", std::process::id()));
    let (first, second) = (dir.join("first"), dir.join("second"));
    let begun = recipe(&first, [4, 5], None, 24);
    for stage in ["codec", "teacher", "long"] {
        run(&begun, Some(stage)).expect("a run");
    }
    let file = dir.join("landed.safetensors");
    let bytes = Landed::write(&Folder::open(&first).expect("a folder"), &file).expect("it lands");
    assert_eq!(bytes, std::fs::metadata(&file).expect("a file").len());

    // The state is what it was, rounded, without moments; the stage before is over and needed no more.
    let more = recipe(&second, [4, 9], Some(&file), 24);
    run(&more, Some("codec")).expect("nothing to do");
    let (here, there) = (Folder::open(&first).expect("a folder"), Folder::open(&second).expect("a folder"));
    let long = |folder: &Folder| {
        let stage = folder.recipe.stage("long").expect("a stage");
        folder.state(stage).expect("a state").expect("a state")
    };
    let (stood, landed) = (long(&here), long(&there));
    let rounded = |x: &[f32]| x.iter().map(|&x| f16::from_f32(x).to_f32()).collect::<Vec<_>>();
    assert_eq!(rounded(&stood.ema), landed.ema);
    assert_eq!(rounded(&stood.weights.data), *landed.weights.data);
    assert_ne!(landed.ema, *landed.weights.data);
    assert_eq!((landed.step, landed.begun), (5, 5));
    // As a decimal number it may be off in its last digit.
    assert!((landed.seconds - stood.seconds).abs() < 1e-9);
    assert!(landed.first.iter().chain(&landed.second).all(|&x| x == 0.0));
    assert!(bytes < 7 * stood.ema.len() as u64, "{bytes} bytes for {} weights", stood.ema.len());

    // It goes on, warms up again, and ends; what was over is not trained again. The folder knows what it began from.
    run(&Recipe { from: None, ..more.clone() }, None).expect("the run goes on");
    assert!(!second.join("codec.state.safetensors").exists(), "a codec was fitted anew");
    assert!(!second.join("teacher.state.safetensors").exists());
    let there = Folder::open(&second).expect("a folder");
    assert_eq!(long(&there).step, 9);
    let metrics = std::fs::read_to_string(second.join("metrics.jsonl")).expect("metrics");
    let lines = metrics.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let rates: Vec<(u64, f64)> = lines
        .filter(|line| line["stage"] == "long" && line.get("rate").is_some())
        .map(|line| (line["step"].as_u64().unwrap_or(0), line["rate"].as_f64().unwrap_or(0.0)))
        .collect();
    assert_eq!(rates.iter().map(|r| r.0).collect::<Vec<_>>(), [6, 7, 8, 9]);
    assert!(rates[0].1 < rates[1].1, "a warm-up: {rates:?}");

    // Of a stage that is over only what later ones need lands again.
    let again = dir.join("again.safetensors");
    Landed::write(&there, &again).expect("it lands");
    let landed = Landed::open(&again).expect("a landed run");
    assert_eq!([landed.step("codec"), landed.step("long"), landed.step("consistency")], [Some(0), Some(9), Some(2)]);
    assert!(landed.passed("teacher") && landed.step("teacher").is_none());

    // Whichever is further counts, the folder or the file.
    let older = Folder::open(&first).expect("a folder");
    let older = Recipe { from: Some(again.clone()), ..older.recipe.clone() };
    let model = there.config.clone();
    assert_eq!(long(&Folder::create(&older, model).expect("a folder")).step, 9);
    let newer = Recipe { from: Some(file.clone()), ..there.recipe.clone() };
    assert_eq!(long(&Folder::create(&newer, there.config.clone()).expect("a folder")).step, 9);

    // Other models and other files are refused.
    let other = recipe(&dir.join("third"), [4, 9], Some(&file), 32);
    assert!(matches!(run(&other, None), Err(PipelineError::Folder(FolderError::Content { .. }))));
    let other = recipe(&dir.join("fourth"), [4, 9], Some(&first.join("long.state.safetensors")), 24);
    let error = run(&other, None).expect_err("a checkpoint is no landed run");
    assert!(matches!(&error, PipelineError::Folder(FolderError::State(StateError::Format { .. }))), "{error}");
    assert!(error.to_string().contains("not a landed run"), "{error}");
    std::fs::remove_dir_all(&dir).expect("a folder");
}
