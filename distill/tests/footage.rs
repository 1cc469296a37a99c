//! From somebody's footage to a world that plays, by the commands of docs/training.md.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use causeway_distill::footage::recording::{RecordingInfo, Shard};
use causeway_runtime::{Budget, Model, Pump, Session, SessionOptions};

const SIDE: usize = 32;

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("causeway-footage-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        Self(dir)
    }

    /// Runs the trainer here.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-distill"));
        command.args(arguments).current_dir(&self.0).output().expect("the trainer")
    }

    /// Writes a recipe of three stages for a denoiser of `layers` blocks and windows of `frames` frames.
    fn recipe(&self, layers: usize, frames: usize) {
        let text = format!(
            "out = 'run'\ndata.folder = 'data'\n\
             model = {{ name = 'mine', dim = 24, heads = 1, layers = {layers}, ffn_dim = 48, channels = 4, widths = [8, 8, 6, 6] }}\n\
             defaults = {{ budget = {{ steps = 2 }}, batch = 2, frames = {frames}, worlds = 1, horizon = 11 }}\n\
             stage = [{{ method = 'codec' }}, {{ method = 'teacher' }}, {{ method = 'consistency' }}]\n"
        );
        std::fs::write(self.0.join("recipe.toml"), text).expect("a recipe");
    }

    /// Footage of a square that goes where the player wants.
    fn film(&self, name: &str, frames: usize) {
        self.episode(name, 0, frames);
    }

    /// An episode of it, as shard number `index`.
    fn episode(&self, name: &str, index: usize, frames: usize) {
        let info = RecordingInfo {
            width: SIDE,
            height: SIDE,
            fps: 15.0,
            latch: 1,
            actions: vec!["left".into(), "right".into()],
            events: vec!["day".into()],
            license: "CC0-1.0".into(),
            credits: "a square".into(),
            source: "a test".into(),
            seed: 0,
        };
        let mut shard = Shard::default();
        let mut at = SIDE / 2;
        for frame in 0..frames {
            let right = frame / 7 % 2 == 0;
            at = if right { (at + 1).min(SIDE - 4) } else { at.saturating_sub(1) };
            let lit = |i: usize| (at..at + 4).contains(&(i % SIDE)) && (12..16).contains(&(i / SIDE));
            shard.frames.extend((0..SIDE * SIDE).flat_map(|i| if lit(i) { [250, 200, 40] } else { [20, 40, 60] }));
            shard.actions.extend(if right { [0.0, 1.0] } else { [1.0, 0.0] });
            shard.events.push(0);
            shard.episode_starts.push(u8::from(frame == 0));
        }
        shard.write(&self.0.join("data").join(name), index, &info).expect("a shard");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn good(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn complaint(output: Output) -> String {
    assert!(!output.status.success(), "what cannot work did");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn play(path: &Path) {
    let model = Model::open(path).expect("a model file");
    assert_eq!((model.config().name.as_str(), model.config().credits.as_str()), ("mine", "a square"));
    let options = SessionOptions { ..SessionOptions::default() };
    let mut session = Session::new(&model, &causeway_runtime::Device::cpu(0), options).expect("a session");
    session.set_action(&[0.0, 1.0]).expect("two actions");
    for _ in 0..6 {
        while session.pump(Budget::Frame).expect("a frame") != Pump::Frame {}
        session.release();
    }
}

#[test]
fn a_recipe_makes_a_world_that_plays() {
    let folder = Folder::new("world");
    folder.film("train", 60);
    folder.film("held", 60);
    folder.recipe(1, 4);
    good(folder.run(&["train", "recipe.toml"]));
    for file in ["recipe.toml", "config.json", "metrics.jsonl", "loss.png", "codec/codec.png", "teacher/teacher-2.png"]
    {
        assert!(folder.0.join("run").join(file).is_file(), "{file} is missing");
    }
    good(folder.run(&["export", "--out", "run", "--to", "mine.safetensors"]));
    play(&folder.0.join("mine.safetensors"));
    let table = folder.run(&["compare", "--out", "run", "--worlds", "1", "--frames", "16"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("Stage consistency, 1 held-out worlds"));
    good(table);

    // Another budget for one stage goes on where the run is; the rest stays.
    good(folder.run(&["train", "recipe.toml", "--stage", "codec", "--minutes", "0.001"]));
    // What does not fit is refused, in words.
    let half = complaint(folder.run(&["train", "recipe.toml", "--dtype", "bf16"]));
    assert!(half.contains("the CPU's own passes: expected precision f32, found bf16"), "{half}");
    let unknown = complaint(folder.run(&["train", "recipe.toml", "--stage", "magic"]));
    assert!(unknown.contains("no stage magic; it has codec, teacher, consistency"), "{unknown}");
    folder.recipe(2, 4);
    let other = complaint(folder.run(&["train", "recipe.toml"]));
    assert!(other.contains("config.json: another model"), "{other}");
    folder.recipe(1, 80);
    let short = complaint(folder.run(&["train", "recipe.toml"]));
    assert!(short.contains("the longest episode has 60 frames, the recipe needs 81"), "{short}");
}

/// Clips for trainers elsewhere: none goes over from one episode to the next, and every frame has its row.
#[test]
fn a_recording_goes_out_as_clips_with_captions_and_a_table() {
    let folder = Folder::new("film");
    folder.episode("train", 0, 20);
    folder.episode("train", 1, 20);
    good(folder.run(&["film", "--data", "data/train", "--to", "clips", "--frames", "12"]));
    let clips = folder.0.join("clips");
    let read = |name: &str| std::fs::read(clips.join(name)).expect(name);
    let list: serde_json::Value = serde_json::from_slice(&read("videos2caption.json")).expect("JSON");
    let list = list.as_array().expect("a list");
    let frames: Vec<_> = list.iter().map(|clip| clip["num_frames"].as_u64().expect("a number")).collect();
    assert_eq!(frames, [12, 8, 12, 8]);
    for (number, clip) in list.iter().enumerate() {
        assert_eq!(clip["path"], format!("{number:06}.avi"));
        assert_eq!(
            (&clip["cap"][0], &clip["fps"], &clip["resolution"]["width"]),
            (&"day".into(), &15.0.into(), &SIDE.into())
        );
        // A clip's pixels and little more.
        let (bytes, pixels) =
            (read(&format!("videos/{number:06}.avi")).len(), 3 * SIDE * SIDE * frames[number] as usize);
        assert!((pixels..pixels + 1000).contains(&bytes), "{bytes} bytes for {pixels}");
    }
    assert_eq!(std::fs::read_dir(clips.join("videos")).expect("videos").count(), 4);

    let table = String::from_utf8(read("actions.csv")).expect("a table");
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!((rows[0], rows.len()), ("path,frame,left,right,event", 1 + 20 + 20));
    // The square turns after seven frames; an episode begins anew.
    assert_eq!(rows[1..][6..8], ["000000.avi,6,0,1,day", "000000.avi,7,1,0,day"]);
    assert_eq!((rows[1 + 19], rows[1 + 20]), ("000001.avi,7,0,1,day", "000002.avi,0,0,1,day"));
}
