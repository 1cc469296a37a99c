//! Text to embeddings, a layer at a time.
//!
//! All prompts pass a layer before the next one is loaded, so the encoder's weights are read once, and memory holds one layer of
//! them whatever the encoder's size.
//!
//! ```no_run
//! use causeway_runtime::{Device, TextEncoding, file::Umt5File};
//!
//! # fn f(tokens: Vec<u32>) -> Result<(), Box<dyn std::error::Error>> {
//! let model = Umt5File::open("umt5.safetensors")?;
//! let mut encoding = TextEncoding::new(&model, &Device::auto(Device::cpu(0)), &[tokens], None)?;
//! while encoding.layer() < encoding.layers() {
//!     encoding.step()?;
//! }
//! let embeddings = encoding.finish(); // of each prompt [tokens, dim], what `Session::set_prompt` takes
//! # Ok(()) }
//! ```

use alloc::{vec, vec::Vec};

use causeway_ops::{
    Backend, BackendError, Params,
    backend::Memory,
    plan::PassId,
    quant::{TensorView, WeightSource},
    stored::ReadError,
};

use crate::{
    config::Umt5Sizes,
    device::Device,
    file::Umt5File,
    model::{ModelError, Umt5Passes, Umt5Plan},
};

/// Why text was not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// There is nothing to encode.
    #[error("there are no prompts")]
    NoPrompts,
    /// A prompt of no tokens, or of too many.
    #[error("prompt {prompt} has {found} tokens, expected 1 to {most}")]
    Length {
        /// Which prompt, counted from 0.
        prompt: usize,
        /// Its tokens.
        found: usize,
        /// Most tokens of a prompt.
        most: usize,
    },
    /// A token that the encoder does not know: the tokenizer belongs to another encoder.
    #[error("token {at} of prompt {prompt} is {found}, the encoder knows {known} tokens: another encoder's tokenizer?")]
    Token {
        /// Which prompt, counted from 0.
        prompt: usize,
        /// Which token of it.
        at: usize,
        /// Its number.
        found: u32,
        /// Tokens of the encoder.
        known: usize,
    },
    /// The cap is too small.
    #[error("encoding needs {needed} bytes, the memory cap is {cap}")]
    MemoryCap {
        /// Bytes needed.
        needed: usize,
        /// Bytes granted.
        cap: usize,
    },
    /// The encoder cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The backend refused or failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Prompts on their way through an encoder.
pub struct TextEncoding<'m> {
    model: &'m Umt5File<'m>,
    plan: Umt5Plan,
    device: Device,
    prompts: Vec<Prompt>,
    layer: usize,
    memory: Memory,
}

struct Prompt {
    passes: Umt5Passes,
    /// The residual stream, as large as the plan's buffer.
    x: Vec<f32>,
}

impl<'m> TextEncoding<'m> {
    /// Looks the tokens up, each prompt with its end token and without padding; holds at most `memory_cap` bytes on `device`.
    ///
    /// # Errors
    /// Prompts that the encoder cannot take, a memory cap that is too small, a device that refuses.
    pub fn new(
        model: &'m Umt5File<'m>,
        device: &Device,
        prompts: &[Vec<u32>],
        memory_cap: Option<usize>,
    ) -> Result<Self, EncodeError> {
        let sizes = &model.config().encoder;
        check(prompts, sizes)?;
        let mut lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let plan = Umt5Plan::new(sizes, &lengths)?;
        let device = device.clone();
        let mut this = Self { model, plan, device, prompts: Vec::new(), layer: 0, memory: Memory::default() };
        this.memory = this.need(prompts.len())?;
        if let Some(cap) = memory_cap.filter(|&cap| cap < this.memory.total()) {
            return Err(EncodeError::MemoryCap { needed: this.memory.total(), cap });
        }
        for tokens in prompts {
            let prompt = this.look_up(tokens).map_err(|error| BackendError::unread(EMBEDDING, error))?;
            this.prompts.extend(prompt);
        }
        Ok(this)
    }

    /// Layers done.
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// Layers in all.
    pub fn layers(&self) -> usize {
        self.model.config().encoder.layers
    }

    /// Bytes held at most: the heaviest layer's weights, activations, all prompts. While weights are read, a piece of the file comes on top.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Takes all prompts through the next layer.
    ///
    /// # Errors
    /// A backend that fails.
    pub fn step(&mut self) -> Result<(), EncodeError> {
        self.step_watched(|| Ok(()))
    }

    /// As [`Self::step`]. `watch` is called before each prompt and may end the encoding with an error; it cannot be gone on with then.
    ///
    /// # Errors
    /// A backend that fails, those of `watch`.
    pub fn step_watched<E: From<EncodeError>>(&mut self, mut watch: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        if self.layer == self.layers() {
            return Ok(());
        }
        let sizes = self.model.config().encoder;
        let weights = LayerWeights { model: self.model, layer: self.layer };
        let failed = |error: BackendError| E::from(error.into());
        let mut backend = self.device.load(&weights, &self.plan.plan, None, 0).map_err(failed)?.plain();
        let table = Umt5Plan::in_file(if sizes.shared_bias { SHARED_BIAS } else { OWN_BIAS }, self.layer);
        let bias = match self.model.tensor(&table) {
            Some(view) => view.to_f32().map_err(|error| failed(BackendError::unread(&table, error)))?,
            None => Vec::new(),
        };
        let last = self.layer + 1 == sizes.layers;
        for prompt in &mut self.prompts {
            let Umt5Passes { rows, layer, norm } = prompt.passes;
            watch()?;
            let bias = self.plan.bias(&sizes, &bias, rows);
            let mut compute = || {
                backend.write(self.plan.bias, bytemuck::cast_slice(&bias))?;
                backend.write(self.plan.x, bytemuck::cast_slice(&prompt.x))?;
                run(backend.as_mut(), layer)?;
                if last {
                    run(backend.as_mut(), norm)?;
                }
                backend.read(self.plan.x, bytemuck::cast_slice_mut(&mut prompt.x))
            };
            compute().map_err(failed)?;
        }
        self.layer += 1;
        Ok(())
    }

    /// The embeddings of each prompt [tokens, dim]; complete once all layers are done.
    pub fn finish(self) -> Vec<Vec<f32>> {
        let dim = self.model.config().encoder.dim;
        let embedding = |mut prompt: Prompt| {
            prompt.x.truncate(prompt.passes.rows * dim);
            prompt.x
        };
        self.prompts.into_iter().map(embedding).collect()
    }

    fn look_up(&self, tokens: &[u32]) -> Result<Option<Prompt>, ReadError> {
        let passes = self.plan.passes.iter().find(|passes| passes.rows == tokens.len());
        let (Some(&passes), Some(table)) = (passes, self.model.tensor(EMBEDDING)) else { return Ok(None) };
        let mut x = vec![0.0; self.plan.plan.buffer(self.plan.x).len];
        for (row, &token) in x.chunks_exact_mut(table.cols()).zip(tokens) {
            table.row(token as usize, row)?;
        }
        Ok(Some(Prompt { passes, x }))
    }

    /// Bytes of the heaviest layer.
    fn need(&self, prompts: usize) -> Result<Memory, EncodeError> {
        let mut most = Memory::default();
        for layer in 0..self.layers() {
            let memory = self.device.memory(&LayerWeights { model: self.model, layer }, &self.plan.plan)?;
            if memory.total() > most.total() {
                most = memory;
            }
        }
        let [x, bias] = [self.plan.x, self.plan.bias].map(|id| 4 * self.plan.plan.buffer(id).len);
        // A backend keeps its own copy of the plan.
        most.overhead += prompts * x + bias + 2 * self.plan.plan.bytes();
        Ok(most)
    }
}

/// The plan's weights in a layer of a file.
struct LayerWeights<'m> {
    /// The file.
    model: &'m Umt5File<'m>,
    /// Number of the layer.
    layer: usize,
}

impl WeightSource for LayerWeights<'_> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.model.tensor(&Umt5Plan::in_file(name, self.layer))
    }
}

const EMBEDDING: &str = "umt5.token_embedding.weight";
const SHARED_BIAS: &str = "umt5.pos_embedding.embedding.weight";
const OWN_BIAS: &str = "layer.pos_embedding.embedding.weight";

fn run(backend: &mut dyn Backend, pass: PassId) -> Result<(), BackendError> {
    let nodes = backend.plan().pass(pass).nodes.len();
    backend.run(pass, 0..nodes, &Params::default())
}

fn check(prompts: &[Vec<u32>], sizes: &Umt5Sizes) -> Result<(), EncodeError> {
    if prompts.is_empty() {
        return Err(EncodeError::NoPrompts);
    }
    for (prompt, tokens) in prompts.iter().enumerate() {
        let (found, most, known) = (tokens.len(), sizes.length, sizes.vocabulary);
        if !(1..=most).contains(&found) {
            return Err(EncodeError::Length { prompt, found, most });
        }
        if let Some(at) = tokens.iter().position(|&token| token as usize >= known) {
            return Err(EncodeError::Token { prompt, at, found: tokens[at], known });
        }
    }
    Ok(())
}
