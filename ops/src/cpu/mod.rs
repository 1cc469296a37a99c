//! The CPU backend: one arena, packed weights, operators' kernels, a [`Parallel`] to run them on.
//!
//! Results do not depend on the number of threads: work is split over outputs, never over a sum.

mod activate;
#[cfg(feature = "waypoint")]
mod add;
mod attention;
mod block;
mod channel_norm;
mod commit;
mod context;
mod conv2d;
mod copy;
mod cross_attention;
mod embed;
mod from_pixels;
mod gather;
mod isa;
#[cfg(feature = "matrix-game")]
mod join;
mod kernels;
mod layer_norm;
#[cfg(feature = "waypoint")]
mod lerp;
mod linear;
mod load;
mod lookup;
mod modulation;
mod noise;
mod parts;
mod patchify;
mod prefer;
mod remember;
#[cfg(feature = "waypoint")]
mod rms_norm;
mod rms_norm_rope;
mod route;
mod scatter;
mod scratch;
mod shared;
mod simd;
mod solve;
mod split;
#[cfg(feature = "matrix-game")]
mod temporal_attention;
mod timings;
mod to_pixels;
mod unpatchify;
mod weights;

use alloc::{sync::Arc, vec::Vec};
use core::{cell::Cell, ops::Range};

use self::{
    block::Block,
    context::{ALL, Context, Place},
    scratch::{Need, Scratch},
    simd::Level,
    timings::Timings,
    weights::Prepared,
};
use crate::{
    backend::{Backend, BackendError, Memory, find_weight},
    buffer::{BufferId, BufferKind},
    parallel::{Parallel, Serial},
    params::Params,
    plan::{PassId, Plan},
    planner::Layout,
    quant::WeightSource,
};

pub use self::{isa::Isa, load::CpuLoad, weights::CpuWeights};

/// How a [`CpuBackend`] computes.
#[derive(Clone)]
pub struct CpuOptions {
    /// Instruction set; None takes the fastest this machine has.
    pub isa: Option<Isa>,
    /// Threads. Kernels split work over outputs only, so results do not depend on it.
    pub parallel: Arc<dyn Parallel>,
    /// Most bytes that the backend may hold.
    pub memory_cap: Option<usize>,
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self { isa: None, parallel: Arc::new(Serial), memory_cap: None }
    }
}

/// Runs a plan on the CPU. After creation `run` makes no heap allocation.
pub struct CpuBackend {
    plan: Plan,
    layout: Layout,
    memory: Memory,
    level: Level,
    parallel: Arc<dyn Parallel>,
    /// All buffers but constants; behind them what a node keeps from one part to the next.
    arena: Block,
    constants: Block,
    /// Where each buffer lies in `arena` or `constants`.
    places: Vec<Place>,
    weights: Arc<CpuWeights>,
    scratch: Scratch,
    /// Contents of the buffer being read, and its bytes once a read has begun.
    staging: Block,
    reading: Option<usize>,
    timings: Timings,
    /// The node that was last run in part, and the rows that are prepared for it in shared scratch.
    ready: Option<(PassId, usize, [usize; 2])>,
}

/// Arena offsets are multiples of this many elements: one cache line.
const ALIGN: usize = 16;

/// Exact bytes that a [`CpuBackend`] of `plan` holds, without allocating them.
///
/// # Errors
/// A weight is missing or has another shape, or the instruction set is not available.
pub fn memory(plan: &Plan, weights: &dyn WeightSource, options: &CpuOptions) -> Result<Memory, BackendError> {
    Ok(measure(plan, weights, options)?.1)
}

/// Scratch that the most demanding node needs, and all memory.
fn measure(plan: &Plan, weights: &dyn WeightSource, options: &CpuOptions) -> Result<(Need, Memory), BackendError> {
    let level = choose(options)?;
    let mut packed = weights::book(plan);
    let mut quantised = Vec::with_capacity(plan.weights.len());
    for weight in &plan.weights {
        let view = find_weight(weight, weights)?;
        packed += weights::bytes(weight, &view, level);
        quantised.push(weights::as_bytes(weight, &view));
    }
    let (need, memory) = beside(plan, &quantised, level, options);
    Ok((need, Memory { weights: packed, ..memory }))
}

/// The same without the weights, of which `quantised` says whether each is kept as bytes.
fn beside(plan: &Plan, quantised: &[bool], level: Level, options: &CpuOptions) -> (Need, Memory) {
    let layout = Layout::new(plan, ALIGN);
    let nodes = plan.passes.iter().flat_map(|pass| &pass.nodes);
    let need = nodes.map(|op| kernels::need(op, level, quantised)).fold(Need::default(), Need::max);
    let state = layout.state * size_of::<u32>();
    let activations = Block::bytes_for(layout.total + need.kept) - state + Block::bytes_for(constant_words(plan));
    let tables = plan.buffers.len() * (size_of::<Place>() + size_of::<Option<usize>>()) + Timings::bytes(plan);
    let overhead = need.bytes(options.parallel.threads()) + Block::bytes_for(staging_words(plan)) + tables;
    (need, Memory { weights: 0, state, activations, overhead })
}

/// Refuses what is more than the cap.
fn check(memory: Memory, options: &CpuOptions) -> Result<(), BackendError> {
    match options.memory_cap.filter(|&cap| cap < memory.total()) {
        Some(cap) => Err(BackendError::MemoryCap { needed: memory.total(), cap }),
        None => Ok(()),
    }
}

fn choose(options: &CpuOptions) -> Result<Level, BackendError> {
    let isa = options.isa.unwrap_or_else(Isa::best);
    Level::new(isa).ok_or_else(|| BackendError::Isa(isa.name().into()))
}

fn constant_words(plan: &Plan) -> usize {
    let words =
        |kind: &BufferKind| if let BufferKind::Constant(data) = kind { data.len().next_multiple_of(ALIGN) } else { 0 };
    plan.buffers.iter().map(|buffer| words(&buffer.kind)).sum()
}

/// Staging holds the largest output.
fn staging_words(plan: &Plan) -> usize {
    plan.buffers.iter().filter(|b| b.kind == BufferKind::Output).map(|b| b.len).max().unwrap_or(0)
}

/// Says once that the kernels are not optimised.
#[cfg(unoptimised)]
fn slow() {
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.load(Relaxed) {
        SAID.store(true, Relaxed);
        log::warn!(
            "this build's kernels are not optimised and some 30 times slower: put `[profile.dev.package.causeway-ops]` and \
             `opt-level = 3` into the Cargo.toml of your workspace"
        );
    }
}

impl CpuBackend {
    /// A backend with the weights of another one, if its plan named the same ones and computes with the same instruction set. They are
    /// not counted against the memory cap, as they take nothing more.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn sharing(plan: Plan, weights: &Arc<CpuWeights>, options: CpuOptions) -> Option<Result<Self, BackendError>> {
        if !weights.fit(&plan, options.isa) {
            return None;
        }
        let level = weights.level;
        let quantised: Vec<bool> = weights.prepared.iter().map(|weight| matches!(weight, Prepared::Bytes(_))).collect();
        let (need, memory) = beside(&plan, &quantised, level, &options);
        let create = || Self::create(plan, weights.clone(), options.clone(), need, memory);
        Some(check(memory, &options).and_then(|()| create()))
    }

    /// What [`Self::sharing`] takes.
    pub fn weights(&self) -> &Arc<CpuWeights> {
        &self.weights
    }

    fn create(
        plan: Plan,
        weights: Arc<CpuWeights>,
        options: CpuOptions,
        need: Need,
        memory: Memory,
    ) -> Result<Self, BackendError> {
        #[cfg(unoptimised)]
        slow();
        let level = choose(&options)?;
        let layout = Layout::new(&plan, ALIGN);
        let arena = Block::zeroed(layout.total + need.kept)?;
        let mut constants = Block::zeroed(constant_words(&plan))?;
        let places = place(&plan, &layout, &mut constants);
        let scratch = Scratch::new(need, options.parallel.threads())?;
        let staging = Block::zeroed(staging_words(&plan))?;
        let timings = Timings::new(&plan);
        let parallel = options.parallel;
        Ok(Self {
            plan,
            layout,
            memory,
            level,
            parallel,
            arena,
            constants,
            places,
            weights,
            scratch,
            staging,
            reading: None,
            timings,
            ready: None,
        })
    }

    /// Runs some nodes, or parts of one. Returns the rows that shared scratch is prepared for.
    fn compute(
        &mut self,
        pass: PassId,
        nodes: Range<usize>,
        parts: Range<usize>,
        ready: [usize; 2],
        params: &Params,
    ) -> [usize; 2] {
        let (words, ready, whole) = (self.layout.total, Cell::new(ready), parts == ALL);
        let share = if whole { 1.0 } else { parts.len() as f32 / self.parts(pass, nodes.start) as f32 };
        let arena = self.arena.as_mut_slice::<u32>();
        let (arena, kept_words) = (arena.as_mut_ptr(), arena.len() - words);
        let context = Context {
            params,
            level: self.level,
            scratch: &self.scratch,
            arena,
            kept: arena.wrapping_add(words),
            kept_words,
            constants: self.constants.as_mut_slice().as_mut_ptr(),
            places: &self.places,
            weights: &self.weights.prepared,
            parallel: &*self.parallel,
            parts,
            ready: &ready,
        };
        let list = self.plan.passes.get(pass.0 as usize).map_or(&[][..], |pass| &pass.nodes);
        for (node, op) in list.iter().enumerate().take(nodes.end).skip(nodes.start) {
            if whole {
                // What is prepared is another node's.
                ready.set([0, 0]);
            }
            self.timings.time(pass, node, share, || kernels::run(op, &context));
        }
        ready.get()
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.level.isa()
    }

    /// Arena words of a buffer, if it has a place there and `found` bytes are its size.
    fn words(&self, id: BufferId, found: usize) -> Result<Range<usize>, BackendError> {
        let buffer = self.plan.buffer(id);
        match self.layout.offset(id) {
            Some(from) if found == 4 * buffer.len => Ok(from..from + buffer.len),
            place => {
                let expected = if place.is_some() { 4 * buffer.len } else { 0 };
                Err(BackendError::Size { buffer: buffer.name.clone(), expected, found })
            }
        }
    }

    fn size(&self, found: usize) -> Result<(), BackendError> {
        let expected = self.arena.bytes();
        if found == expected { Ok(()) } else { Err(BackendError::Size { buffer: "arena".into(), expected, found }) }
    }
}

/// Copies constants to their block and finds every buffer's place.
fn place(plan: &Plan, layout: &Layout, constants: &mut Block) -> Vec<Place> {
    let words = constants.as_mut_slice::<f32>();
    let mut next = 0;
    let buffers = plan.buffers.iter().zip(&layout.offsets);
    let places = buffers.map(|(buffer, offset)| match (&buffer.kind, offset) {
        (BufferKind::Constant(data), _) => {
            let from = next;
            next += data.len().next_multiple_of(ALIGN);
            words[from..from + data.len()].copy_from_slice(data);
            Place { constant: true, from, len: data.len() }
        }
        (_, Some(from)) => Place { constant: false, from: *from, len: buffer.len },
        (_, None) => Place { constant: false, from: 0, len: 0 },
    });
    places.collect()
}

impl Backend for CpuBackend {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn memory(&self) -> Memory {
        Memory { weights: self.weights.bytes / Arc::strong_count(&self.weights), ..self.memory }
    }

    fn run(&mut self, pass: PassId, nodes: Range<usize>, params: &Params) -> Result<(), BackendError> {
        self.ready = None;
        self.compute(pass, nodes, ALL, [0, 0], params);
        Ok(())
    }

    fn parts(&self, pass: PassId, node: usize) -> usize {
        let op = self.plan.passes.get(pass.0 as usize).and_then(|pass| pass.nodes.get(node));
        op.and_then(|op| kernels::parts(op, self.level)).map_or(1, |parts| parts.count())
    }

    fn run_parts(
        &mut self,
        pass: PassId,
        node: usize,
        parts: Range<usize>,
        params: &Params,
    ) -> Result<(), BackendError> {
        let count = self.parts(pass, node);
        let parts = parts.start.min(count)..parts.end.min(count);
        if parts.len() == count {
            return self.run(pass, node..node + 1, params);
        }
        if !parts.is_empty() {
            // Rows that earlier parts prepared are good as long as nothing else was done.
            let ready =
                self.ready.take().filter(|ready| (ready.0, ready.1) == (pass, node)).map_or([0, 0], |ready| ready.2);
            let ready = self.compute(pass, node..node + 1, parts, ready, params);
            self.ready = Some((pass, node, ready));
        }
        Ok(())
    }

    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), BackendError> {
        let words = self.words(buffer, bytes.len())?;
        self.ready = None;
        bytemuck::cast_slice_mut(&mut self.arena.as_mut_slice::<u32>()[words]).copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, buffer: BufferId, bytes: &mut [u8]) -> Result<(), BackendError> {
        let words = self.words(buffer, bytes.len())?;
        bytes.copy_from_slice(bytemuck::cast_slice(&self.arena.as_slice::<u32>()[words]));
        Ok(())
    }

    /// Copies at once, so later runs may overwrite the buffer. Buffers larger than every output make the staging memory grow.
    fn begin_read(&mut self, buffer: BufferId) -> Result<(), BackendError> {
        let bytes = 4 * self.plan.buffer(buffer).len;
        let words = self.words(buffer, bytes)?;
        if self.staging.bytes() < bytes {
            self.staging = Block::zeroed(words.len())?;
        }
        self.staging.as_mut_slice::<u32>()[..words.len()].copy_from_slice(&self.arena.as_slice()[words]);
        self.reading = Some(bytes);
        Ok(())
    }

    fn poll_read(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError> {
        let Some(expected) = self.reading else { return Ok(false) };
        if bytes.len() != expected {
            return Err(BackendError::Size { buffer: "read".into(), expected, found: bytes.len() });
        }
        bytes.copy_from_slice(&self.staging.as_slice()[..expected]);
        self.reading = None;
        Ok(true)
    }

    fn tier(&self) -> &str {
        self.level.isa().name()
    }

    fn saved(&self, buffer: BufferId) -> Option<Range<usize>> {
        let from = self.layout.offset(buffer)?;
        Some(4 * from..4 * (from + self.plan.buffer(buffer).len))
    }

    fn arena_bytes(&self) -> usize {
        self.arena.bytes()
    }

    fn save(&mut self, bytes: &mut [u8]) -> Result<(), BackendError> {
        self.size(bytes.len())?;
        bytes.copy_from_slice(self.arena.as_slice());
        Ok(())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), BackendError> {
        self.size(bytes.len())?;
        self.ready = None;
        self.arena.as_mut_slice().copy_from_slice(bytes);
        Ok(())
    }

    fn clear(&mut self) -> Result<(), BackendError> {
        self.arena.as_mut_slice::<u8>().fill(0);
        (self.reading, self.ready) = (None, None);
        Ok(())
    }

    fn idle(&mut self) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn node_micros(&self, pass: PassId, node: usize) -> Option<f32> {
        self.timings.micros(pass, node)
    }
}
