//! Files that cannot be written or read end the program with a sentence, and nothing half written is left.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("causeway-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder");
        Self(dir)
    }

    /// Runs the trainer here under `limit`, a command of the shell.
    fn run(&self, limit: &str, arguments: &str) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_causeway-distill")]);
        command.args(arguments.split(' ')).current_dir(&self.0).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
        let began = Instant::now();
        while child.try_wait().expect("its state").is_none() {
            if began.elapsed() > Duration::from_secs(120) {
                child.kill().expect("killing");
                panic!("{arguments} waits without an end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait_with_output().expect("its end")
    }

    fn good(&self, arguments: &str) {
        let output = self.run(":", arguments);
        assert!(output.status.success(), "{arguments}: {output:?}");
    }

    /// Runs what must be refused with one sentence that has `wanted` in it.
    fn bad(&self, limit: &str, arguments: &str, wanted: &str) {
        let output = self.run(limit, arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {output:?}");
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with("causeway-distill: ") && last.contains(wanted), "{arguments}: {text}");
    }

    /// A recipe of few steps in `recipe.toml`.
    fn recipe(&self, steps: usize) {
        let text = format!(
            r#"out = "run"
            [data]
            folder = "data"
            [model]
            name = "tiny"
            dim = 24
            heads = 1
            layers = 1
            ffn_dim = 48
            freq_dim = 16
            codec = "linear"
            channels = 6
            steps = [2, 1]
            [defaults]
            budget = {{ steps = {steps} }}
            batch = 2
            frames = 4
            worlds = 1
            horizon = 12
            threads = 1
            checkpoint = {{ steps = 1 }}
            [[stage]]
            method = "codec"
            [[stage]]
            method = "teacher"
            "#
        );
        fs::write(self.0.join("recipe.toml"), text).expect("a recipe");
    }

    /// All files and what is in them.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.0, &mut found);
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn collect(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.insert(path, bytes);
        }
    }
}

/// Larger than notes and recipes, smaller than shards, checkpoints and models, whether the shell counts 512 or 1024 bytes.
const LIMIT: &str = "ulimit -f 32";

#[test]
fn files_over_the_limit() {
    const LARGE: &str = "File too large";
    let place = Place::new("limit");
    place.recipe(2);
    let before = place.files();
    place.bad(LIMIT, "record --out data/train --frames 40 --shard 40", LARGE);
    place.bad(LIMIT, "record --out data/train --frames 40 --shard 10", LARGE);
    assert_eq!(place.files(), before);

    place.good("record --out data/train --frames 40 --shard 40");
    place.good("record --out data/held --seed 2 --frames 40 --shard 40");
    let before = place.files();
    // Over what is there.
    place.bad(LIMIT, "record --out data/train --seed 3 --frames 40 --shard 40", LARGE);
    assert_eq!(place.files(), before);
    place.bad(LIMIT, "train recipe.toml", LARGE);
    let known = |path: &Path| before.contains_key(path) || [".toml", ".json"].iter().any(|end| ends(path, end));
    let left: Vec<_> = place.files().into_keys().filter(|path| !known(path)).collect();
    assert!(left.is_empty(), "{left:?}");

    place.good("train recipe.toml");
    place.good("export --out run --to model.safetensors");
    let before = place.files();
    place.bad(LIMIT, "export --out run --to model.safetensors", LARGE);
    place.bad(LIMIT, "land --out run --to model.safetensors", LARGE);
    place.bad(LIMIT, "land --out run --to new/landed.safetensors", LARGE);
    assert_eq!(place.files(), before);
    assert!(!place.0.join("new").exists());

    // A checkpoint that cannot be saved leaves the one before, from which the run goes on.
    place.recipe(4);
    place.bad(LIMIT, "train recipe.toml", LARGE);
    let after = place.files();
    assert!(after.keys().eq(before.keys()), "{:?}", after.keys());
    for (path, bytes) in before.iter().filter(|(path, _)| ends(path, ".safetensors")) {
        assert!(after[path] == *bytes, "{} has changed", path.display());
    }
    place.good("train recipe.toml");
}

fn ends(path: &Path, end: &str) -> bool {
    path.to_string_lossy().ends_with(end)
}

#[test]
fn what_is_no_regular_file() {
    let place = Place::new("irregular");
    let pipe = |name: &str| {
        let made = Command::new("mkfifo").arg(place.0.join(name)).status().expect("mkfifo");
        assert!(made.success());
    };
    place.recipe(1);
    place.good("record --out data/train --frames 40 --shard 40");
    place.good("record --out data/held --seed 2 --frames 40 --shard 40");
    place.good("train recipe.toml");
    pipe("pipe");
    place.bad(":", "train pipe --out new", "a pipe or a device, expected a regular file");
    place.bad(":", "train recipe.toml --out new --from pipe", "a pipe or a device, expected a regular file");
    fs::remove_dir_all(place.0.join("new")).expect("a folder");
    for name in ["teacher.state.safetensors", "metrics.jsonl", "config.json", "recipe.toml"] {
        let path = place.0.join("run").join(name);
        let bytes = fs::read(&path).expect("a file");
        let refused = |what: &str| {
            let wanted = format!("{what}, expected a regular file");
            if name != "recipe.toml" {
                place.bad(":", "train recipe.toml", &wanted);
            }
            if name != "metrics.jsonl" {
                place.bad(":", "export --out run --to model.safetensors", &wanted);
                place.bad(":", "land --out run --to landed.safetensors", &wanted);
            }
            fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).expect("it goes");
        };
        fs::remove_file(&path).expect("it goes");
        pipe(&format!("run/{name}"));
        refused("it is a pipe or a device");
        fs::create_dir(&path).expect("a folder");
        refused("it is a folder");
        fs::write(&path, bytes).expect("a file");
    }
    assert!(!place.0.join("model.safetensors").exists() && !place.0.join("landed.safetensors").exists());
    place.good("export --out run --to model.safetensors");
}
