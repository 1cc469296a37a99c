//! The few numbers that change from run to run of one pass.

/// Most groups of layers whose rings show different frames. Four, since so many numbers are a vector of a GPU's uniform.
pub const GROUPS: usize = 4;

/// Per-run parameters: everything that varies while a plan stays the same. GPU kernels read it as a uniform
/// (`shaders/wgsl/shared/params.wgsl`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    /// Low and high half of the stream's noise seed.
    pub seed: [u32; 2],
    /// Logical number of the chunk's first latent frame.
    pub frame: u32,
    /// Index of the denoise step. The chunk's first noise is draw 0, the fresh noise after denoise step i is draw i + 1.
    pub step: u32,
    /// Number of visible history frames of each group of layers: valid rows at the front of its frame table.
    pub history: [u32; GROUPS],
    /// Most of these that a query of each group keeps, where it has a route; 0 for as many as the route has room for.
    pub route: [u32; GROUPS],
    /// Row of the plan's table of noise levels: what [`Lookup`](crate::op::Lookup) takes.
    pub level: u32,
    /// Share of noise in the latents before this step, in [0, 1].
    pub sigma: f32,
    /// Classifier-free guidance, g of [`Solve`](crate::op::Solve): 1 is the answer to the prompt alone.
    pub guidance: f32,
    /// Weight of the latents in the sample of [`Solve`](crate::op::Solve).
    pub keep: f32,
    /// Weights of the sample of [`Solve`](crate::op::Solve): from, newer, older, clean.
    pub correct: [f32; 4],
    /// Weights of the next latents of [`Solve`](crate::op::Solve): sample, clean, newer, fresh noise.
    pub predict: [f32; 4],
    /// 1 where routes keep no newest frame by force, after a cut.
    pub cut: u32,
    /// Zeros: a uniform's size is a multiple of 16.
    pub reserved: [u32; 3],
}
