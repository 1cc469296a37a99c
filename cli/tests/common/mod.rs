//! Runs the program in a folder of its own, on tiny model files.
#![allow(dead_code, reason = "not every test file uses everything")]

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use causeway_ops::quant::DType;
use causeway_runtime::import::{Checkpoint, Entry};
use causeway_tests::tiny::{model_bytes, quantisable_config, tiny_model_bytes};

pub mod play;
pub mod published;
pub mod torch;

/// A folder with `tiny.safetensors` in it.
pub struct Place {
    folder: PathBuf,
}

impl Place {
    /// An empty folder but for the model; `name` is the test's.
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let place = Self { folder };
        place.write("tiny.safetensors", &tiny_model_bytes(1));
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names of everything in the folder, sorted.
    pub fn list(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The program, in this folder, with these arguments separated by spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
        command.args(arguments.split_whitespace()).current_dir(&self.folder);
        command.env_remove("CAUSEWAY_MODEL").env_remove("CARGO_MANIFEST_DIR");
        // Without it graphics drivers write to standard error.
        command.env("XDG_RUNTIME_DIR", &self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn start(&self, arguments: &str) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Standard output of a run that must succeed.
    pub fn good(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments}: {:?}\n{out}\n{err}", output.status);
        out
    }

    /// Ctrl-C in the middle of something long, half a second after it began: exit code 130, one line, and nothing left behind.
    #[cfg(unix)]
    pub fn interrupt(&self, arguments: &str) {
        let before = self.list();
        let mut child = self.start(arguments);
        std::thread::sleep(Duration::from_millis(500));
        let output = self.signal(&mut child, "INT", arguments);
        assert_eq!(output.status.code(), Some(130), "{arguments}: {output:?}");
        assert_eq!(text(&output.stderr), "causeway: interrupted\n");
        assert_eq!(self.list(), before, "{arguments}");
    }

    /// Ctrl-C in the middle of a recording, once it has begun: exit code 130, and `kept` is all that is left, the frames there were.
    #[cfg(unix)]
    pub fn interrupt_recording(&self, arguments: &str, kept: &str) {
        let mut expected = self.list();
        expected.push(kept.to_owned());
        expected.sort();
        let mut child = self.start(arguments);
        let partial = |name: &String| name.starts_with(kept) && name.ends_with(".partial");
        wait_for(|| self.list().iter().any(partial), arguments);
        std::thread::sleep(Duration::from_millis(1500));
        let output = self.signal(&mut child, "INT", arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{arguments}: {message}");
        assert!(message.starts_with(&format!("{kept}: the first ")), "{arguments}: {message}");
        assert!(message.ends_with(" frames\ncauseway: interrupted\n"), "{arguments}: {message}");
        assert_eq!(self.list(), expected, "{arguments}");
    }

    /// Sends a signal to a program and waits for its end.
    #[cfg(unix)]
    pub fn signal(&self, child: &mut Child, name: &str, what: &str) -> Output {
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
        assert!(killed.unwrap().success());
        wait_for(|| child.try_wait().unwrap().is_some(), what);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        child.stdout.take().map(|mut pipe| pipe.read_to_end(&mut out));
        child.stderr.take().map(|mut pipe| pipe.read_to_end(&mut err));
        Output { status: child.wait().unwrap(), stdout: out, stderr: err }
    }

    /// The JSON that a run which must succeed prints.
    pub fn json(&self, arguments: &str) -> serde_json::Value {
        let out = self.good(arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments}: {error}\n{out}"))
    }
}

fn wait_for(mut happens: impl FnMut() -> bool, what: &str) {
    for _ in 0..1000 {
        if happens() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}: nothing happened for 20 seconds");
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A model whose matrices can be quantised.
pub fn quantisable(dtype: DType) -> Vec<u8> {
    model_bytes(&quantisable_config(), dtype, 2)
}

/// Shape and values.
pub type Tensor = (Vec<usize>, Vec<f32>);
pub type Tensors = BTreeMap<String, Tensor>;

pub fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/parity/golden").join(name)
}

pub fn shown(name: &str) -> String {
    golden(name).display().to_string()
}

pub fn tensors(path: PathBuf) -> Tensors {
    let file = Checkpoint::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read = |entry: &Entry| (entry.name.clone(), (entry.shape.clone(), file.read_all(entry).unwrap()));
    file.entries().iter().filter(|entry| entry.encoding.block().is_some()).map(read).collect()
}

/// Largest difference relative to the largest expected value.
pub fn error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|x| x.is_finite()));
    let scale = expected.iter().fold(0.0f32, |top, x| top.max(x.abs()));
    found.iter().zip(expected).fold(0.0f32, |top, (x, y)| top.max((x - y).abs())) / scale
}

/// A safetensors file of some tensors.
pub fn save(path: PathBuf, tensors: &[(&str, &Tensor)]) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        header.insert(
            (*name).into(),
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = serde_json::Value::from(header).to_string();
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()).unwrap();
}

/// The inputs and outputs of a rollout, and what the tiny checkpoints do not say about themselves.
pub const TINY: &str = "--in in.safetensors --out out.safetensors --heads 2 --text-len 16";

/// Inputs of a recorded rollout as a file `in.safetensors`.
pub fn inputs(folder: &Place, all: &Tensors, case: &str) {
    let part = |name: &str| &all[&format!("{case}.{name}")];
    let list = [("noise", part("noise")), ("renoise", part("renoise")), ("context", part("context"))];
    save(folder.path("in.safetensors"), &list);
}

/// Peak signal to noise ratio in dB; the peak is the largest expected value.
pub fn psnr(found: &[f32], expected: &[f32]) -> f64 {
    let peak = expected.iter().fold(0.0f32, |top, x| top.max(x.abs()));
    let squares = found.iter().zip(expected).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
    20.0 * (f64::from(peak) / (squares / found.len() as f64).sqrt()).log10()
}
