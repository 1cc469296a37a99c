//! A run as it lands: one small file from which another machine can go on with it. It holds the averaged and the plain weights of the
//! stage in training in f16, the averages that later stages start from or are taught by, the codec, and how far each has come; no
//! moments, which the optimizer finds anew within a short warm-up.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use causeway_runtime::config::ModelConfig;
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use crate::net::weights::Weights;
use crate::train::state::{State, StateError, format, is_step, is_time, read_whole, view, write_whole};

/// A landed run, opened.
#[derive(Clone, Debug)]
pub struct Landed {
    note: Note,
    arrays: HashMap<String, Vec<f32>>,
}

/// What the file says of its arrays.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    /// The model.
    model: ModelConfig,
    /// How far each stage that is in the file has come.
    stages: BTreeMap<String, Progress>,
    /// Stages that are over and that nothing later needs.
    passed: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Progress {
    step: u64,
    seconds: f64,
}

/// Key of the file's metadata.
const KEY: &str = "landed";

impl Landed {
    /// Writes the file `path`: how far each stage of `model` has come that is in it, which are over and needed no more, and arrays by
    /// their names. Returns its bytes.
    pub(crate) fn save(
        path: &Path,
        model: ModelConfig,
        stages: impl IntoIterator<Item = (String, u64, f64)>,
        passed: Vec<String>,
        arrays: Vec<(String, Vec<f32>)>,
    ) -> Result<u64, StateError> {
        let stages = stages.into_iter().map(|(name, step, seconds)| (name, Progress { step, seconds })).collect();
        let note = Note { model, stages, passed };
        let bytes: Vec<(String, Vec<u8>)> = arrays
            .into_iter()
            .map(|(name, values)| (name, values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect()))
            .collect();
        let views = bytes
            .iter()
            .map(|(name, bytes)| Ok((name, view(Dtype::F16, vec![bytes.len() / 2], bytes, path)?)))
            .collect::<Result<Vec<_>, StateError>>()?;
        let text = serde_json::to_string(&note).map_err(|e| format(path, e))?;
        let file = safetensors::serialize(views, Some([(KEY.into(), text)].into())).map_err(|e| format(path, e))?;
        write_whole(path, &file)?;
        Ok(file.len() as u64)
    }

    /// Opens the file `path`.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read or is no such file.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let bytes = read_whole(path)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| format(path, e))?;
        let text = header.metadata().as_ref().and_then(|all| all.get(KEY));
        let text = text.ok_or_else(|| format(path, "not a landed run: its metadata has no `landed`"))?;
        let note: Note = serde_json::from_str(text).map_err(|e| format(path, e))?;
        for (stage, progress) in &note.stages {
            if !(is_step(progress.step as f64) && is_time(progress.seconds)) {
                let Progress { step, seconds } = progress;
                return Err(format(path, format_args!("{step} steps in {seconds} seconds of stage {stage:?}")));
            }
        }
        let file = SafeTensors::deserialize(&bytes).map_err(|e| format(path, e))?;
        let mut arrays = HashMap::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F16 {
                return Err(format(path, format!("{name:?} is {:?}, expected F16", view.dtype())));
            }
            let halves: Vec<f16> =
                view.data().chunks_exact(2).map(|b| f16::from_le_bytes(b.try_into().unwrap_or_default())).collect();
            arrays.insert(name.into(), halves.to_f32_vec());
        }
        Ok(Self { note, arrays })
    }

    /// The model that was trained.
    pub fn model(&self) -> &ModelConfig {
        &self.note.model
    }

    /// Steps that `stage` had taken; `None` where the file does not have it.
    pub fn step(&self, stage: &str) -> Option<u64> {
        self.note.stages.get(stage).map(|progress| progress.step)
    }

    /// Whether `stage` was over and is needed no more.
    pub fn passed(&self, stage: &str) -> bool {
        self.note.passed.iter().any(|name| name == stage)
    }

    /// `stage` as it landed, its networks like `networks`; `None` where it had not begun or was passed.
    ///
    /// # Errors
    /// [`StateError`] when it has other sizes.
    pub fn state(&self, stage: &str, networks: Weights, path: &Path) -> Result<Option<State>, StateError> {
        let Some(&Progress { step, seconds }) = self.note.stages.get(stage) else { return Ok(None) };
        let expected = networks.data.len();
        let read = |name: &'static str| self.arrays.get(&format!("{stage}.{name}")).map(|values| (name, values));
        let Some((name, ema)) = read("ema") else {
            return Err(format(path, format!("no array {stage}.ema")));
        };
        let (_, plain) = read("weights").unwrap_or((name, ema));
        for (name, values) in [(name, ema), ("weights", plain)] {
            if values.len() != expected {
                return Err(StateError::Size { path: path.into(), name, found: values.len(), expected });
            }
        }
        Ok(Some(State { step, seconds, begun: step, ema: ema.clone(), ..State::new(networks.with(plain.clone())) }))
    }
}
