//! Tokens to embeddings, in steps of a layer's pieces.

use alloc::{boxed::Box, vec::Vec};
use core::ops::Deref;

use causeway_ops::{Backend, BackendError, Params, backend::Memory, plan::PassId};

use super::{EncodeError, layers::Layers, prompts::Prompts, trial};
use crate::{
    clock::Clock,
    config::Umt5Sizes,
    device::{Device, Loading},
    file::Umt5File,
    model::Umt5Plan,
};

/// Microseconds of work that are submitted at once.
const SLICE: u64 = 2_000;

/// What an encoder may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Holds one layer of weights at a time, which each encoding reads anew, instead of keeping all once they have been read.
    pub stream: bool,
    /// Most tokens of a prompt; the encoder's by default.
    pub tokens: Option<usize>,
    /// Most prompts at once.
    pub prompts: usize,
    /// Most bytes that it may hold.
    pub memory_cap: Option<usize>,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { stream: true, tokens: None, prompts: 1, memory_cap: None }
    }
}

/// A text encoder on a device. All prompts of an encoding pass a layer before the next one, so weights are read once for all of them.
///
/// `M` is a reference to the file, or whatever leads to it.
///
/// ```no_run
/// use causeway_runtime::{Device, TextEncoder, clock::SystemClock, file::Umt5File, text::TextOptions};
///
/// # fn f(tokens: Vec<u32>) -> Result<(), Box<dyn std::error::Error>> {
/// let file = Umt5File::open("umt5.safetensors")?;
/// let mut encoder = TextEncoder::new(&file, &Device::auto(Device::cpu(0)), TextOptions::default())?;
/// encoder.begin(&[tokens])?;
/// while !encoder.pump(2_000, &SystemClock::default())? {
///     // A frame of the game.
/// }
/// let rows = encoder.rows(0)?; // [tokens, dim], what `Session::set_prompt` takes
/// # Ok(()) }
/// ```
pub struct TextEncoder<M> {
    layers: Layers<M>,
    /// Most tokens, most prompts.
    most: (usize, usize),
    memory: Memory,
    encoding: Option<Encoding>,
}

/// Prompts under way, or done.
struct Encoding {
    prompts: Prompts,
    layer: usize,
    stage: Stage,
}

enum Stage {
    /// The layer's backend is to be made.
    Next,
    /// It is being made; whether it is one that keeps weights.
    Loading(Loading, bool),
    /// A prompt is in it.
    Running(Running),
}

/// A prompt in a layer.
struct Running {
    backend: Box<dyn Backend>,
    prompt: usize,
    pass: PassId,
    node: usize,
    part: usize,
    /// Its result is on its way.
    reading: bool,
}

/// What came of a step.
enum Stepped {
    Went,
    /// The device is at work, and there is nothing to do but wait.
    Waits,
    Done,
}

impl<'f, M: Deref<Target = Umt5File<'f>>> TextEncoder<M> {
    /// Checks everything; weights are read by [`Self::pump`].
    ///
    /// # Errors
    /// `NoPrompts` and `Length` for options that no prompt fits, `MemoryCap`, `Model` and `Backend` where the device cannot run the encoder.
    pub fn new(file: M, device: &Device, options: TextOptions) -> Result<Self, EncodeError> {
        let layers = Layers::new(file, device, !options.stream)?;
        let sizes = layers.sizes();
        let most = (options.tokens.unwrap_or(sizes.length), options.prompts);
        check_length(0, most.0, sizes.length)?;
        if most.1 == 0 {
            return Err(EncodeError::NoPrompts);
        }
        let memory = need(&layers, most)?;
        if let Some(cap) = options.memory_cap.filter(|&cap| cap < memory.total()) {
            return Err(EncodeError::MemoryCap { needed: memory.total(), cap });
        }
        Ok(Self { layers, most, memory, encoding: None })
    }

    /// Bytes held at most: weights, activations, the prompts. While weights are read, a piece of the file comes on top.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Most tokens of a prompt.
    pub fn most_tokens(&self) -> usize {
        self.most.0
    }

    /// Sizes of the encoder.
    pub fn sizes(&self) -> Umt5Sizes {
        self.layers.sizes()
    }

    /// Bytes of the file that the next encoding reads, beside the embeddings of its tokens.
    pub fn read_bytes(&self) -> usize {
        (0..self.layers()).filter(|&layer| !self.layers.is_here(layer)).map(|layer| self.layers.bytes(layer)).sum()
    }

    /// About how many seconds a prompt of so many tokens is computed for, reading left out: from a short trial of one layer's largest
    /// product on this device, some milliseconds long.
    ///
    /// # Errors
    /// A length that no prompt has, a device that fails.
    pub fn seconds(&self, tokens: usize, clock: &dyn Clock) -> Result<f32, EncodeError> {
        let sizes = self.layers.sizes();
        check_length(0, tokens, sizes.length)?;
        let Umt5Plan { plan, passes, .. } = Umt5Plan::new(&sizes, &[tokens])?;
        let nodes = plan.pass(passes[0].layer).nodes.len();
        let flops = plan.cost(passes[0].layer, 0..nodes).flops as f32 * sizes.layers as f32;
        Ok(flops / trial::flops_per_second(self.layers.device(), &sizes, clock)?)
    }

    /// Begins with prompts, each with its end token and without padding; what was under way is given up.
    ///
    /// # Errors
    /// Prompts that the encoder or the options do not allow, embeddings that cannot be read: then what was under way goes on.
    pub fn begin(&mut self, prompts: &[Vec<u32>]) -> Result<(), EncodeError> {
        let (tokens, most) = self.most;
        if prompts.len() > most {
            return Err(EncodeError::TooMany { found: prompts.len(), most });
        }
        prompts.iter().enumerate().try_for_each(|(n, prompt)| check_length(n, prompt.len(), tokens))?;
        let prompts = Prompts::new(self.layers.file(), prompts)?;
        self.encoding = Some(Encoding { prompts, layer: 0, stage: Stage::Next });
        Ok(())
    }

    /// Layers done of the encoding under way.
    pub fn layer(&self) -> usize {
        self.encoding.as_ref().map_or(0, |encoding| encoding.layer)
    }

    /// Layers in all.
    pub fn layers(&self) -> usize {
        self.layers.sizes().layers
    }

    /// Works for about `micros` microseconds of `clock`, at least one step; whether all layers are done.
    ///
    /// # Errors
    /// `NotDone` where nothing was begun; a backend that fails, or weights that cannot be read: the encoding is given up then.
    pub fn pump(&mut self, micros: u64, clock: &dyn Clock) -> Result<bool, EncodeError> {
        let encoding = self.encoding.as_mut().ok_or(EncodeError::NotDone)?;
        let start = clock.micros();
        loop {
            match encoding.step(&mut self.layers) {
                Ok(Stepped::Done) => return Ok(true),
                Ok(Stepped::Went) => {}
                #[cfg(feature = "std")]
                Ok(Stepped::Waits) => std::thread::yield_now(),
                #[cfg(not(feature = "std"))]
                Ok(Stepped::Waits) => {}
                Err(error) => {
                    self.encoding = None;
                    return Err(error.into());
                }
            }
            if clock.micros().checked_sub(start).is_none_or(|spent| spent >= micros) {
                return Ok(false);
            }
        }
    }

    /// The embeddings of a prompt [tokens, dim].
    ///
    /// # Errors
    /// `NotDone` before all layers are done, and for a prompt that there is not.
    pub fn rows(&self, prompt: usize) -> Result<&[f32], EncodeError> {
        let done = self.encoding.as_ref().filter(|encoding| encoding.layer == self.layers());
        let prompt = done.and_then(|encoding| encoding.prompts.list.get(prompt)).ok_or(EncodeError::NotDone)?;
        Ok(&prompt.x[..prompt.passes.rows * self.layers.sizes().dim])
    }
}

fn check_length(prompt: usize, found: usize, most: usize) -> Result<(), EncodeError> {
    if (1..=most).contains(&found) { Ok(()) } else { Err(EncodeError::Length { prompt, found, most }) }
}

/// Bytes of the heaviest layer, or of all where they stay, with so many prompts of so many tokens, all of different lengths.
fn need<'f, M: Deref<Target = Umt5File<'f>>>(
    layers: &Layers<M>,
    (tokens, prompts): (usize, usize),
) -> Result<Memory, EncodeError> {
    let sizes = layers.sizes();
    let lengths: Vec<usize> = (1..=tokens).rev().take(prompts).collect();
    let plan = Umt5Plan::new(&sizes, &lengths)?;
    let (mut most, mut weights) = (Memory::default(), 0);
    for layer in 0..sizes.layers {
        let memory = layers.memory(layer, &plan.plan)?;
        weights += memory.weights;
        if memory.total() > most.total() {
            most = memory;
        }
    }
    let holders = layers.holders()?;
    if holders > 0 {
        most.weights = weights;
    }
    most.overhead += holders + Prompts::bytes(&plan, prompts);
    Ok(most)
}

impl Encoding {
    fn step<'f, M: Deref<Target = Umt5File<'f>>>(&mut self, layers: &mut Layers<M>) -> Result<Stepped, BackendError> {
        if self.layer == layers.sizes().layers {
            return Ok(Stepped::Done);
        }
        match &mut self.stage {
            Stage::Next => {
                let (loading, holder) = layers.load(self.layer, &self.prompts.plan.plan)?;
                self.stage = Stage::Loading(loading, holder);
            }
            Stage::Loading(loading, holder) => {
                let Some(backend) = layers.step(self.layer, loading)? else { return Ok(Stepped::Went) };
                self.stage = if *holder {
                    layers.keep(self.layer, backend);
                    Stage::Next
                } else {
                    Stage::Running(Running::new(backend, &self.prompts, layers.file(), self.layer)?)
                };
            }
            Stage::Running(running) => {
                let last = self.layer + 1 == layers.sizes().layers;
                match running.step(&mut self.prompts, last)? {
                    Stepped::Done if running.prompt + 1 == self.prompts.list.len() => {
                        self.layer += 1;
                        self.stage = Stage::Next;
                    }
                    Stepped::Done => {
                        running.prompt += 1;
                        running.enter(&self.prompts, layers.file(), self.layer)?;
                    }
                    other => return Ok(other),
                }
            }
        }
        Ok(Stepped::Went)
    }
}

impl Running {
    fn new(
        backend: Box<dyn Backend>,
        prompts: &Prompts,
        file: &Umt5File<'_>,
        layer: usize,
    ) -> Result<Self, BackendError> {
        let pass = prompts.list[0].passes.layer;
        let mut running = Self { backend, prompt: 0, pass, node: 0, part: 0, reading: false };
        running.enter(prompts, file, layer)?;
        Ok(running)
    }

    /// Puts the prompt in, at the beginning of the layer.
    fn enter(&mut self, prompts: &Prompts, file: &Umt5File<'_>, layer: usize) -> Result<(), BackendError> {
        let (plan, prompt) = (&prompts.plan, &prompts.list[self.prompt]);
        (self.pass, self.node, self.part, self.reading) = (prompt.passes.layer, 0, 0, false);
        let bias = prompts.bias(file, layer, prompt.passes.rows)?;
        self.backend.write(plan.bias, bytemuck::cast_slice(&bias))?;
        self.backend.write(plan.x, bytemuck::cast_slice(&prompt.x))
    }

    /// A piece of a node, or some nodes. Done when the prompt's values are here.
    fn step(&mut self, prompts: &mut Prompts, last: bool) -> Result<Stepped, BackendError> {
        let x = prompts.plan.x;
        let prompt = &mut prompts.list[self.prompt];
        if self.reading {
            let here = self.backend.poll_read(bytemuck::cast_slice_mut(&mut prompt.x))?;
            return Ok(if here { Stepped::Done } else { Stepped::Waits });
        }
        if !self.backend.idle()? {
            return Ok(Stepped::Waits);
        }
        let nodes = self.backend.plan().pass(self.pass).nodes.len();
        let params = Params::default();
        match self.backend.parts(self.pass, self.node) {
            1 => {
                let some = self.backend.slice(self.pass, self.node, SLICE).clamp(1, nodes - self.node);
                self.backend.run(self.pass, self.node..self.node + some, &params)?;
                self.node += some;
            }
            parts => {
                self.backend.run_parts(self.pass, self.node, self.part..self.part + 1, &params)?;
                self.part = (self.part + 1) % parts;
                self.node += usize::from(self.part == 0);
            }
        }
        if self.node == nodes {
            self.node = 0;
            if last && self.pass != prompt.passes.norm {
                self.pass = prompt.passes.norm;
            } else {
                self.backend.begin_read(x)?;
                self.reading = true;
            }
        }
        Ok(Stepped::Went)
    }
}
