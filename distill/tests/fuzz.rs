//! The trainer's parsers of files from elsewhere, on spoiled files: no panic, no long wait, and memory that follows from the file's size
//! (see tests/tests/fuzz.rs for those of the runtime, and for `CAUSEWAY_FUZZ`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use causeway_distill::footage::data::Episodes;
use causeway_distill::footage::recording::{Recording, RecordingInfo, Shard};
use causeway_distill::run::folder::Folder;
use causeway_distill::run::preset::Sizes;
use causeway_distill::run::recipe::Recipe;
use causeway_distill::train::landed::Landed;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::checkpoint;
use causeway_tests::counting::{Counting, peak};
use causeway_tests::fuzz::{executions, run};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Most memory of a parser: this for each byte of the file, and some in any case.
const BYTES_PER_BYTE: usize = 48;
const FREE_BYTES: usize = 6 << 20;
/// Longest that an answer may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);

/// One at a time: memory is counted for the process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder, in memory where there is such a place, that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = root.join(format!("causeway-fuzz-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Gives `open` spoiled copies of `bases`, as many as is this parser's share of all, and holds it to what is promised.
fn parser(name: &str, bases: &[Vec<u8>], mut open: impl FnMut(&[u8]) -> Result<(), String>) {
    let mut most = 0;
    let outcome = run(name, bases, executions() / 8, |bytes| {
        let (opened, peak) = peak(|| open(bytes));
        assert!(peak <= FREE_BYTES + BYTES_PER_BYTE * bytes.len(), "{peak} bytes for a file of {}", bytes.len());
        most = most.max(peak);
        if let Err(text) = &opened {
            assert!(text.lines().count() == 1 && text.len() < 3000, "{text}");
        }
        opened.is_ok()
    });
    println!("{name}: most memory {most} bytes");
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(outcome.taken > outcome.files / 50, "hardly any file is taken: {outcome:?}");
    assert!(outcome.taken < outcome.files, "nothing is refused: {outcome:?}");
}

/// Frames of a shard.
const FRAMES: usize = 3;

fn info() -> RecordingInfo {
    RecordingInfo {
        width: 16,
        height: 16,
        fps: 20.0,
        latch: 1,
        actions: ["go", "stop"].map(String::from).into(),
        events: ["day", "night"].map(String::from).into(),
        license: "MIT".into(),
        credits: "none".into(),
        source: "test".into(),
        seed: 7,
    }
}

/// A shard as the trainer writes it, and one as others may: actions in bytes, no poses.
fn shards(place: &Place) -> Vec<Vec<u8>> {
    let shard = Shard {
        frames: vec![100; FRAMES * 16 * 16 * 3],
        actions: vec![0.5; FRAMES * 2],
        events: vec![0, 1, 1],
        poses: vec![1.0; FRAMES * 4],
        episode_starts: vec![1, 0, 1],
    };
    shard.write(&place.0, 0, &info()).expect("a shard");
    let whole = fs::read(place.path("00000.safetensors")).expect("a shard");
    let view = |shape: &[usize], data| TensorView::new(Dtype::U8, shape.to_vec(), data).expect("a tensor");
    let views = [
        ("frames", view(&[FRAMES, 16, 16, 3], &shard.frames)),
        ("actions", view(&[FRAMES, 2], &[1; FRAMES * 2])),
        ("events", view(&[FRAMES], &shard.events)),
        ("episode_starts", view(&[FRAMES], &shard.episode_starts)),
    ];
    let json = serde_json::to_string(&info()).expect("JSON");
    vec![whole, serialize(views, Some([("recording".into(), json)].into())).expect("a file")]
}

/// A recording of one spoiled shard, or of a good one and a spoiled one, up to the model that would be trained on it.
#[test]
fn recordings() {
    let _alone = alone();
    let place = Place::new("recording");
    let bases = shards(&place);
    let (good, folder) = (bases[0].clone(), place.0.clone());
    let mut both = false;
    parser("recordings", &bases, |bytes| {
        both = !both;
        fs::write(place.path("00000.safetensors"), if both { &good } else { bytes }).expect("a file");
        match both {
            true => fs::write(place.path("00001.safetensors"), bytes).expect("a file"),
            false => drop(fs::remove_file(place.path("00001.safetensors"))),
        }
        let all = Recording::open(&folder).map_err(|error| error.to_string())?;
        let read = |i: usize| all.frame(i).len() + all.action(i).len() + all.pose(i).len();
        assert!((0..all.len()).map(read).sum::<usize>() > 0);
        assert!(Episodes::new(&all.episode_starts).longest() <= all.len());
        all.info.fits(&info(), &folder).map_err(|error| error.to_string())?;
        Sizes::default().model(&all.info).map(drop).map_err(|error| error.to_string())
    });
}

/// A run folder with a state of each stage.
fn folder(place: &Place) -> Folder {
    let text = r#"out = "x"
        [data]
        folder = "data"
        [model]
        dim = 8
        heads = 1
        layers = 1
        ffn_dim = 16
        freq_dim = 8
        event_tokens = 1
        codec = "linear"
        square = 2
        channels = 4
        [defaults]
        budget = { steps = 5 }
        [[stage]]
        method = "codec"
        [[stage]]
        method = "teacher"
        "#;
    let recipe = Recipe::parse(text, Path::new("test")).expect("a recipe");
    let recipe = Recipe { out: place.path("run"), ..recipe };
    let model = recipe.model.model(&info()).expect("a model");
    let folder = Folder::create(&recipe, model).expect("a folder");
    for (stage, weights) in folder.recipe.stages.iter().zip([folder.fresh_codec(), folder.fresh_denoiser()]) {
        let mut state = State::new(weights);
        (state.step, state.seconds) = (5, 1.5);
        state.save(&checkpoint(folder.dir(), &stage.name)).expect("a state");
    }
    folder
}

/// A landed run, and the state that training would go on with.
#[test]
fn landed_runs() {
    let _alone = alone();
    let place = Place::new("landed");
    let (folder, path) = (folder(&place), place.path("landed.safetensors"));
    Landed::write(&folder, &path).expect("it lands");
    let bases = [fs::read(&path).expect("a file")];
    let networks = folder.fresh_denoiser();
    parser("landed runs", &bases, |bytes| {
        fs::write(&path, bytes).expect("a file");
        let landed = Landed::open(&path).map_err(|error| error.to_string())?;
        let _ = (landed.model() == &folder.config, landed.step("codec"), landed.passed("teacher"));
        let state = landed.state("teacher", networks.clone(), &path).map_err(|error| error.to_string())?;
        state.map(usable).ok_or("the stage is not in it".into())
    });
}

/// A checkpoint, and one without the counter that came later.
#[test]
fn states() {
    let _alone = alone();
    let place = Place::new("state");
    let folder = folder(&place);
    let path = checkpoint(folder.dir(), "teacher");
    let new = fs::read(&path).expect("a state");
    let old = {
        let file = SafeTensors::deserialize(&new).expect("a file");
        let counters: Vec<u8> = [5.0f64, 1.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        let counters = TensorView::new(Dtype::F64, vec![2], &counters).expect("a tensor");
        let others = file.iter().filter(|(name, _)| *name != "counters");
        serialize(others.chain([("counters", counters)]), None).expect("a file")
    };
    let networks = folder.fresh_denoiser();
    parser("states", &[new, old], |bytes| {
        fs::write(&path, bytes).expect("a file");
        State::load(networks.clone(), &path).map(usable).map_err(|error| error.to_string())
    });
}

/// Counters that a stage can go on counting from.
fn usable(state: State) {
    assert!(state.begun <= state.step && state.step < 1 << 53, "{} {}", state.begun, state.step);
    assert!(state.seconds.is_finite() && state.seconds >= 0.0, "{}", state.seconds);
}
