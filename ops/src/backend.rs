//! What runs a plan.

use alloc::{format, string::String};
use core::ops::Range;

use crate::{
    buffer::{BufferId, Weight},
    memory::Refused,
    params::Params,
    plan::{PassId, Plan},
    quant::{TensorView, WeightSource},
    stored::ReadError,
};

/// Bytes that a backend holds for a plan, exact before anything is allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Weights in the layout the backend computes with.
    pub weights: usize,
    /// State: ring KV cache, codec memory.
    pub state: usize,
    /// Aliased scratch, inputs and outputs, constants.
    pub activations: usize,
    /// Per-thread scratch, staging and tables of the backend itself.
    pub overhead: usize,
}

impl Memory {
    /// Sum of all purposes.
    pub fn total(&self) -> usize {
        self.weights + self.state + self.activations + self.overhead
    }
}

/// What a backend that is being made is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStage {
    /// Weights are brought into the layout of the device, counted in bytes of that.
    Weights,
    /// Kernels are compiled, counted in kernels.
    Pipelines,
}

/// How far a backend that is being made is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadProgress {
    /// What it is at.
    pub stage: LoadStage,
    /// So much of it is done ...
    pub done: usize,
    /// ... of so much.
    pub total: usize,
}

/// What can go wrong while loading or running a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The model file lacks a tensor the plan reads, or it has another shape.
    #[error("weight `{name}`: {what}")]
    Weight {
        /// Tensor name.
        name: String,
        /// What was expected and found.
        what: String,
    },
    /// The bytes of a tensor cannot be read any more: the file was shortened after it was opened, or the disk fails.
    #[error("weight `{name}` cannot be read: {what}")]
    WeightLost {
        /// Tensor name.
        name: String,
        /// The reader's reason.
        what: String,
    },
    /// The plan needs more memory than the caller granted.
    #[error("the plan needs {needed} bytes, the memory cap is {cap}")]
    MemoryCap {
        /// Bytes the plan needs.
        needed: usize,
        /// Bytes granted.
        cap: usize,
    },
    /// The system, or the host's allocator, has no memory.
    #[error("{bytes} bytes could not be allocated")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The CPU lacks the instruction set asked for.
    #[error("this CPU cannot run `{0}` code")]
    Isa(String),
    /// No GPU adapter fits.
    #[error("no GPU adapter: {0}")]
    NoAdapter(String),
    /// The GPU lacks something the plan needs.
    #[error("the GPU cannot run this plan: {0}")]
    Unsupported(String),
    /// The GPU device was lost; create a new backend and restore a snapshot.
    #[error("the GPU device was lost: {0}")]
    DeviceLost(String),
    /// A host buffer has the wrong size.
    #[error("buffer `{buffer}` takes {expected} bytes, the host gave {found}")]
    Size {
        /// Buffer name.
        buffer: String,
        /// Bytes expected.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
}

impl BackendError {
    /// The weight `name` cannot be read.
    pub fn unread(name: &str, error: ReadError) -> Self {
        match error {
            ReadError::Lost(what) => Self::WeightLost { name: name.into(), what },
            ReadError::OutOfMemory(bytes) => Self::OutOfMemory { bytes },
        }
    }
}

impl From<Refused> for BackendError {
    fn from(Refused(bytes): Refused) -> Self {
        BackendError::OutOfMemory { bytes }
    }
}

/// Finds a plan's weight and checks that its shape and byte counts fit.
///
/// # Errors
/// [`BackendError::Weight`].
pub(crate) fn find_weight<'a>(weight: &Weight, source: &'a dyn WeightSource) -> Result<TensorView<'a>, BackendError> {
    let error = |what: String| BackendError::Weight { name: weight.name.clone(), what };
    let view = source.tensor(&weight.name).ok_or_else(|| error("is missing".into()))?;
    let len = weight.shape.iter().product();
    if view.len() != len || view.shape.first() != weight.shape.first() {
        return Err(error(format!("has shape {:?}, the plan needs {:?}", view.shape, weight.shape)));
    }
    let scales = view.scales.map_or(0, |scales| scales.len());
    if view.dtype.data_bytes(len) != Some(view.data.len()) || view.dtype.scale_bytes(len) != scales {
        return Err(error(format!("has {} + {scales} bytes, which do not fit {}", view.data.len(), view.dtype)));
    }
    Ok(view)
}

/// What a backend handed to its device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Submitted {
    /// How many times.
    pub times: u64,
    /// What all of it was estimated to take, in microseconds.
    pub micros: f64,
}

/// Runs a plan. One backend holds one plan's buffers: one stream.
pub trait Backend: Send {
    /// The plan this backend was created for.
    fn plan(&self) -> &Plan;

    /// Bytes held.
    fn memory(&self) -> Memory;

    /// Runs (CPU) or submits (GPU) the nodes `nodes` of `pass`. Never waits for the GPU.
    fn run(&mut self, pass: PassId, nodes: Range<usize>, params: &Params) -> Result<(), BackendError>;

    /// In how many parts node `node` of `pass` can be run, at least 1. Parts are a property of the plan and of the machine's kernels, never
    /// of the number of threads: results are the same bits however parts are grouped.
    fn parts(&self, pass: PassId, node: usize) -> usize {
        let _ = (pass, node);
        1
    }

    /// Runs parts `parts` of one node. All parts in order, with the same `params` and no other node in between, are the same as running the
    /// node. Where a node has one part, it is run with its last part.
    fn run_parts(
        &mut self,
        pass: PassId,
        node: usize,
        parts: Range<usize>,
        params: &Params,
    ) -> Result<(), BackendError> {
        if parts.contains(&(self.parts(pass, node) - 1)) { self.run(pass, node..node + 1, params) } else { Ok(()) }
    }

    /// Replaces a buffer's contents.
    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), BackendError>;

    /// Reads a buffer's contents, waiting for submitted work.
    fn read(&mut self, buffer: BufferId, bytes: &mut [u8]) -> Result<(), BackendError>;

    /// Starts copying `buffer` towards the host without waiting; [`poll_read`](Self::poll_read) delivers it.
    fn begin_read(&mut self, buffer: BufferId) -> Result<(), BackendError>;

    /// Delivers the copy started by [`begin_read`](Self::begin_read): true when `bytes` was filled.
    fn poll_read(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError>;

    /// Keeps a copy of `buffer`, which holds frame number `frame`, where the host can take it without a way through the CPU. Does nothing
    /// where there is no such place. Does not wait.
    fn keep(&mut self, buffer: BufferId, frame: u64) -> Result<(), BackendError> {
        let _ = (buffer, frame);
        Ok(())
    }

    /// Which kernels run the plan, and on what: results are the same bits only where this is the same.
    fn tier(&self) -> &str;

    /// Where a buffer lies in what [`save`](Self::save) writes; None of constants, and of scratch that is never there whole.
    fn saved(&self, buffer: BufferId) -> Option<Range<usize>>;

    /// Whether scratch that nodes of a pass before `node` write does hold that when `node` is begun or gone on with. A GPU does some nodes together, when the
    /// last of them comes: until then the room is another buffer's.
    fn is_written(&self, buffer: BufferId, pass: PassId, node: usize) -> bool {
        let _ = (buffer, pass, node);
        true
    }

    /// Bytes of the arena: what [`save`](Self::save) writes and [`load`](Self::load) takes.
    fn arena_bytes(&self) -> usize;

    /// Copies the whole arena (state, inputs, outputs and scratch) out, waiting for submitted work. Together with the host's place
    /// in a pass it determines the future exactly.
    fn save(&mut self, bytes: &mut [u8]) -> Result<(), BackendError>;

    /// Begins what [`save`](Self::save) does, without waiting: of this moment, whatever is run afterwards. True when `bytes` hold it already, else
    /// [`poll_save`](Self::poll_save) delivers it.
    fn begin_save(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError> {
        self.save(bytes).map(|()| true)
    }

    /// Delivers what [`begin_save`](Self::begin_save) began: true when `bytes`, of the same size, were filled.
    fn poll_save(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError> {
        let _ = bytes;
        Ok(false)
    }

    /// Restores what [`save`](Self::save) wrote.
    fn load(&mut self, bytes: &[u8]) -> Result<(), BackendError>;

    /// Sets the whole arena to zero, as it was when the backend was created. Does not wait.
    fn clear(&mut self) -> Result<(), BackendError>;

    /// True when work submitted earlier has finished, so that more may be submitted without queueing up.
    fn idle(&mut self) -> Result<bool, BackendError>;

    /// How many nodes from `node` on make a slice of about `micros` microseconds, at least 1; `u64::MAX` asks for the whole pass.
    /// A CPU backend returns control after every node, so its slices are single nodes, or their parts ([`parts`](Self::parts)).
    fn slice(&self, pass: PassId, node: usize, micros: u64) -> usize {
        let _ = (pass, node, micros);
        1
    }

    /// What was handed to a GPU so far; nothing where work is done at once.
    fn submitted(&self) -> Submitted {
        Submitted::default()
    }

    /// Measured or estimated cost of a whole node in microseconds, for slicing; None before it is known.
    fn node_micros(&self, pass: PassId, node: usize) -> Option<f32> {
        let _ = (pass, node);
        None
    }
}
