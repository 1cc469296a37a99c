//! A training process that is killed again and again ends with the numbers of one that was left alone, bit for bit.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use causeway_distill::rng::Rng;
use causeway_distill::run::recipe::Recipe;
use serde_json::Value;

const KILLS: usize = 20;

/// Trains the tiny recipe in `dir`: every stage of the trainer, checkpoints every three steps.
fn spawn(dir: &Path) -> Child {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/tiny.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-distill"));
    command.arg("train").arg(recipe).arg("--out").arg(dir).stdin(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the trainer")
}

/// Notes so far; a line that is being written may be torn.
fn notes(dir: &Path) -> usize {
    std::fs::read(dir.join("metrics.jsonl")).map_or(0, |text| text.iter().filter(|&&c| c == b'\n').count())
}

/// Trains in `dir`, killing the process until there have been [`KILLS`] over all folders, or it has ended by itself.
fn broken(dir: &Path, rng: &mut Rng, kills: &mut usize) {
    loop {
        let mut child = spawn(dir);
        // Half of them after some more notes, wherever the machine's speed puts that; the others early, in whatever is going on.
        let goal = notes(dir) + if rng.below(2) == 0 { 1 + rng.below(16) } else { 0 };
        let pause = Duration::from_micros(rng.below(60_000) as u64);
        while *kills < KILLS && notes(dir) < goal && child.try_wait().expect("its state").is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if *kills < KILLS {
            std::thread::sleep(pause);
            // SIGKILL: nothing of the process can react to it.
            child.kill().expect("killing");
        }
        let status = child.wait().expect("its end");
        match status.code() {
            None => *kills += 1,
            Some(code) => {
                assert_eq!(code, 0, "after {kills} kills the trainer failed");
                return;
            }
        }
    }
}

/// Trains in `dir` until some steps are noted, then asks for an end as Ctrl-C does.
fn interrupt(dir: &Path) {
    let mut child = spawn(dir);
    while notes(dir) < 5 && child.try_wait().expect("its state").is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let asked = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().expect("kill");
    assert!(asked.success() && child.wait().expect("its end").success(), "the trainer did not stop by itself");
    // Everything that was noted is saved.
    let last = curve(dir).last().cloned().unwrap_or_default();
    let stage = last["stage"].as_str().expect("a stage");
    let counters = arrays(&dir.join(format!("{stage}.state.safetensors"))).remove(0).1;
    let saved = f64::from_le_bytes(counters.try_into().expect("the step alone"));
    assert_eq!(Some(saved), last["step"].as_f64(), "in stage {stage}");
}

/// All notes but for the clock.
fn curve(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("metrics.jsonl")).expect("metrics");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect();
    lines.iter_mut().for_each(|line| line["seconds"] = Value::Null);
    lines
}

/// The bytes of every array of a checkpoint, but for the clock.
fn arrays(path: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(path).expect("a checkpoint");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a whole file");
    let mut out: Vec<_> = file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect();
    out.iter_mut().filter(|(name, _)| name == "counters").for_each(|(_, counters)| counters.truncate(8));
    out.sort();
    out
}

#[test]
fn twenty_kills_change_nothing() {
    let root = std::env::temp_dir().join(format!("causeway-killed-{}", std::process::id()));
    let whole = root.join("whole");
    assert!(spawn(&whole).wait().expect("its end").success(), "the trainer failed");
    let expected = curve(&whole);
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/tiny.toml");
    let recipe = Recipe::read(&recipe).expect("a recipe");
    let stages: Vec<&str> = recipe.stages.iter().map(|stage| stage.name.as_str()).collect();
    for &stage in &stages {
        let steps: Vec<u64> = expected
            .iter()
            .filter(|line| line["stage"] == stage && line["loss"].is_f64())
            .filter_map(|line| line["step"].as_u64())
            .collect();
        assert_eq!(steps, (1..=12).collect::<Vec<_>>(), "{stage} lacks the loss of a step");
        assert!(whole.join(stage).is_dir(), "{stage} drew nothing");
    }

    let (mut rng, mut kills, mut folders) = (Rng::new(11), 0, Vec::<PathBuf>::new());
    // A run may end before its turn to be killed comes; then another begins.
    while kills < KILLS {
        let dir = root.join(format!("broken-{}", folders.len()));
        if folders.is_empty() {
            interrupt(&dir);
        }
        broken(&dir, &mut rng, &mut kills);
        folders.push(dir);
    }
    for dir in folders {
        let found = curve(&dir);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "in {}", dir.display());
        }
        assert_eq!(found.len(), expected.len());
        for stage in &stages {
            let file = format!("{stage}.state.safetensors");
            assert!(arrays(&dir.join(&file)) == arrays(&whole.join(&file)), "{file} differs in {}", dir.display());
        }
        let recipe = |dir: &Path| std::fs::read_to_string(dir.join("recipe.toml")).expect("the recipe");
        let tail = |text: String| text.lines().skip(1).map(String::from).collect::<Vec<_>>();
        assert_eq!(tail(recipe(&dir)), tail(recipe(&whole)), "the recipes differ in more than their folder");
    }
    std::fs::remove_dir_all(root).expect("the test's own folder");
}
