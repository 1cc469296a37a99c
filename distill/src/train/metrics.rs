//! The figures of a run, `metrics.jsonl`: one line a step, and one for each look at the averaged weights.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::train::state::{State, StateError, read_if_there, write_whole};

/// The open file, as one stage writes it.
pub struct Metrics {
    stage: String,
    path: PathBuf,
    file: File,
    /// Whether the step that the stage goes on from has been looked at.
    pub looked: bool,
}

impl Metrics {
    /// Opens the file of the run folder `dir` for `stage`, whose checkpoint is at `step`. What a killed run noted past that
    /// will happen again, so it is dropped, as is a line that the kill tore.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn open(dir: &Path, stage: &str, step: u64) -> Result<Self, StateError> {
        let path = dir.join("metrics.jsonl");
        let fail = |source| StateError::Io { path: path.clone(), source };
        // Not `read_to_string`: a torn line may end inside a character.
        let bytes = read_if_there(&path)?.unwrap_or_default();
        let (mut kept, mut looked) = (String::new(), false);
        for line in String::from_utf8_lossy(&bytes).lines() {
            let Ok(json) = serde_json::from_str::<Value>(line) else { continue };
            let (own, at) = (json["stage"] == stage, json["step"].as_u64().unwrap_or(0));
            if own && at > step {
                continue;
            }
            looked |= own && at == step && json.get("loss").is_none();
            kept += line;
            kept.push('\n');
        }
        if kept.as_bytes() != bytes {
            write_whole(&path, kept.as_bytes())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        Ok(Self { stage: stage.into(), path, file, looked })
    }

    /// Notes figures of the step that `state` has reached.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn note(&mut self, state: &State, figures: &[(&str, f64)]) -> Result<(), StateError> {
        let mut line = serde_json::json!({ "stage": self.stage, "step": state.step, "seconds": state.seconds });
        for (key, value) in figures {
            line[*key] = (*value).into();
        }
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(|e| self.fail(e))
    }

    /// Waits until all lines are on disk: a checkpoint must not outlive the lines of its steps.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn sync(&self) -> Result<(), StateError> {
        self.file.sync_data().map_err(|e| self.fail(e))
    }

    fn fail(&self, source: std::io::Error) -> StateError {
        StateError::Io { path: self.path.clone(), source }
    }
}
