//! Everything a stage needs to go on exactly where it stopped: weights, moments, average, counters; and its file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use causeway_runtime::file::regular;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::net::weights::Weights;

/// Why a checkpoint or another trainer file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a checkpoint, or a damaged one.
    #[error("{path} is not a usable checkpoint: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A checkpoint of a network of another size.
    #[error("{path}: {name} holds {found} values, the network has {expected}; was it trained with another preset?")]
    Size {
        /// The file.
        path: PathBuf,
        /// The array.
        name: &'static str,
        /// Values in the file.
        found: usize,
        /// Values in the network.
        expected: usize,
    },
}

/// One network in training.
#[derive(Clone)]
pub struct State {
    /// The current weights.
    pub weights: Weights,
    /// Their running average, same order.
    pub ema: Vec<f32>,
    /// First moments.
    pub first: Vec<f32>,
    /// Second moments.
    pub second: Vec<f32>,
    /// Optimizer steps taken in this stage.
    pub step: u64,
    /// The step at which the moments began: past 0 where a landed run went on.
    pub begun: u64,
    /// Seconds spent in this stage.
    pub seconds: f64,
}

impl State {
    /// Starts a stage from `weights`.
    pub fn new(weights: Weights) -> Self {
        let n = weights.data.len();
        Self {
            ema: weights.data.to_vec(),
            weights,
            first: vec![0.0; n],
            second: vec![0.0; n],
            step: 0,
            begun: 0,
            seconds: 0.0,
        }
    }

    /// The averaged weights as a network of their own.
    pub fn averaged(&self) -> Weights {
        let mut weights = self.weights.clone();
        weights.data.copy_from_slice(&self.ema);
        weights
    }

    /// Writes the checkpoint; an interrupted write leaves the old file.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        let counters = [self.step as f64, self.seconds, self.begun as f64];
        let n = self.ema.len();
        let arrays =
            [("weights", &*self.weights.data), ("ema", &self.ema), ("first", &self.first), ("second", &self.second)];
        let mut views = Vec::new();
        let bytes: Vec<Vec<u8>> = arrays.iter().map(|(_, a)| bytes_of(a)).collect();
        for ((name, _), data) in arrays.iter().zip(&bytes) {
            views.push((*name, view(Dtype::F32, vec![n], data, path)?));
        }
        let counters: Vec<u8> = counters.iter().flat_map(|x| x.to_le_bytes()).collect();
        views.push(("counters", view(Dtype::F64, vec![3], &counters, path)?));
        let file = safetensors::serialize(views, None).map_err(|e| format(path, e))?;
        write_whole(path, &file)
    }

    /// Reads a checkpoint into a network of the same tensors.
    ///
    /// # Errors
    /// Any [`StateError`].
    pub fn load(mut weights: Weights, path: &Path) -> Result<Self, StateError> {
        let file = read_whole(path)?;
        let file = SafeTensors::deserialize(&file).map_err(|e| format(path, e))?;
        let n = weights.data.len();
        let read = |name: &'static str| {
            let values = floats_in(&file, name).ok_or_else(|| format(path, format!("no f32 array {name}")))?;
            match values.len() == n {
                true => Ok(values),
                false => Err(StateError::Size { path: path.into(), name, found: values.len(), expected: n }),
            }
        };
        weights.data = read("weights")?.into();
        let (ema, first, second) = (read("ema")?, read("first")?, read("second")?);
        let counters = file.tensor("counters").map_err(|e| format(path, e))?;
        let mut numbers = counters.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default()));
        // A run that never landed has only two.
        let (Some(step), Some(seconds), begun) = (numbers.next(), numbers.next(), numbers.next().unwrap_or(0.0)) else {
            return Err(format(path, "counters are missing"));
        };
        if !(is_step(step) && is_step(begun) && begun <= step && is_time(seconds)) {
            return Err(format(path, format_args!("counters {step}, {seconds}, {begun} are none of a run")));
        }
        Ok(Self { weights, ema, first, second, step: step as u64, begun: begun as u64, seconds })
    }
}

/// Whether a file's number may be a count of steps, which an `f64` holds exactly.
pub(crate) fn is_step(x: f64) -> bool {
    (0.0..(1u64 << 53) as f64).contains(&x)
}

/// Whether a file's number may be the seconds of a stage.
pub(crate) fn is_time(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

/// The little-endian bytes of `values`.
pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// An `F32` tensor of a safetensors file as values, `None` where it is missing or of another type.
pub fn floats_in(file: &SafeTensors<'_>, name: &str) -> Option<Vec<f32>> {
    let tensor = file.tensor(name).ok()?;
    let values = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap_or_default());
    (tensor.dtype() == Dtype::F32).then(|| tensor.data().chunks_exact(4).map(values).collect())
}

/// The bytes of the regular file `path`: a pipe would be waited for without an end.
///
/// # Errors
/// [`StateError::Io`].
pub fn read_whole(path: &Path) -> Result<Vec<u8>, StateError> {
    regular::read(path).map_err(|source| StateError::Io { path: path.into(), source })
}

/// As [`read_whole`]; `None` if there is no such file.
///
/// # Errors
/// [`StateError::Io`].
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match regular::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Io { path: path.into(), source }),
    }
}

/// Writes `bytes` beside `path`, syncs, and renames; makes the folder where there is none.
///
/// # Errors
/// [`StateError::Io`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    causeway_runtime::file::write_whole(path, bytes).map_err(|source| StateError::Io { path: path.into(), source })
}

pub(crate) fn view<'a>(
    dtype: Dtype,
    shape: Vec<usize>,
    data: &'a [u8],
    path: &Path,
) -> Result<TensorView<'a>, StateError> {
    TensorView::new(dtype, shape, data).map_err(|e| format(path, e))
}

pub(crate) fn format(path: &Path, reason: impl ToString) -> StateError {
    StateError::Format { path: path.into(), reason: reason.to_string() }
}
