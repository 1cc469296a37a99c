//! Runs the program in a folder of its own, on tiny model files.
#![allow(dead_code, reason = "not every test file uses everything")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use causeway_ops::quant::DType;
use causeway_tests::tiny::{model_bytes, quantisable_config, tiny_model_bytes};

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

    /// The JSON that a run which must succeed prints.
    pub fn json(&self, arguments: &str) -> serde_json::Value {
        let out = self.good(arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments}: {error}\n{out}"))
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A model whose matrices can be quantised.
pub fn quantisable(dtype: DType) -> Vec<u8> {
    model_bytes(&quantisable_config(), dtype, 2)
}
