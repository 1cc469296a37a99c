//! What a machine can do at best: one large matrix product, one large copy.

use std::{sync::Arc, time::Instant};

use causeway_ops::{
    Backend, BackendError, BufferId, Params, PlanBuilder,
    cpu::{CpuBackend, CpuOptions},
    op::{Activation, Copy, Linear},
    parallel::ThreadPool,
    plan::{BufferKind, Element, PassId, WeightRole},
    quant::{DType, TensorView, WeightSource, quantise_q4, quantise_q8},
};

use crate::tools::synthetic::Random;

/// Runs measured; the best counts, since a floor is asked for.
const ROUNDS: usize = 5;
/// Width of the square matrix: that of the 1.3B model.
const WIDTH: usize = 1536;
/// Elements copied: larger than caches.
const COPIED: usize = 1 << 24;

/// Measured rates.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Floating-point operations a second of a matrix product.
    pub gemm: f64,
    /// Bytes a second read and written by a copy.
    pub copy: f64,
}

/// A square matrix of random weights.
struct Matrix {
    dtype: DType,
    data: Vec<u8>,
    scales: Vec<u8>,
}

impl Matrix {
    fn new(dtype: DType) -> Self {
        let mut random = Random(2);
        let values: Vec<f32> = (0..WIDTH * WIDTH).map(|_| random.unit() / (WIDTH as f32).sqrt()).collect();
        let (mut data, mut scales) = (Vec::new(), Vec::new());
        match dtype {
            DType::F32 => data.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            DType::F16 => data.extend(values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes())),
            DType::Q8 => quantise_q8(&values, &mut data, &mut scales),
            DType::Q4 => quantise_q4(&values, &mut data, &mut scales),
        }
        Self { dtype, data, scales }
    }
}

impl WeightSource for Matrix {
    fn tensor(&self, _name: &str) -> Option<TensorView<'_>> {
        let scales = self.dtype.is_quantised().then_some(self.scales.as_slice());
        Some(TensorView::here(self.dtype, &[WIDTH, WIDTH], &self.data, scales))
    }
}

/// Measures the CPU with `threads` threads, or the first GPU.
///
/// # Errors
/// There is no such GPU, or no memory.
pub fn measure(gpu: bool, threads: usize, dtype: DType, rows: usize) -> Result<Rates, BackendError> {
    let mut b = PlanBuilder::new();
    let mut buffer = |len, kind| b.buffer("", Element::F32, len, kind);
    let (x, y) = (buffer(rows * WIDTH, BufferKind::Input), buffer(rows * WIDTH, BufferKind::Output));
    let (from, to) = (buffer(COPIED, BufferKind::Input), buffer(COPIED, BufferKind::State));
    let last = buffer(1, BufferKind::Output);
    let weight = b.weight("w", &[WIDTH, WIDTH], WeightRole::Matrix);
    let gemm = b.pass("gemm");
    b.push(Linear {
        x,
        weight,
        bias: None,
        y,
        rows,
        inputs: WIDTH,
        outputs: WIDTH,
        activation: Activation::None,
        residual: false,
        gate: None,
    });
    b.push(Copy { x: y, x_offset: 0, y: last, y_offset: 0, len: 1 });
    let copy = b.pass("copy");
    b.push(Copy { x: from, x_offset: 0, y: to, y_offset: 0, len: COPIED });
    b.push(Copy { x: to, x_offset: 0, y: last, y_offset: 0, len: 1 });
    let plan = b.build().map_err(|error| BackendError::Unsupported(error.to_string()))?;
    let source = Matrix::new(dtype);
    let mut backend: Box<dyn Backend> = if gpu {
        #[cfg(feature = "gpu")]
        {
            use causeway_ops::gpu::{GpuBackend, GpuOptions};
            Box::new(GpuBackend::new(plan, &source, GpuOptions { software: true, ..GpuOptions::default() })?)
        }
        #[cfg(not(feature = "gpu"))]
        return Err(BackendError::NoAdapter("this build has no GPU backend".to_owned()));
    } else {
        let parallel = Arc::new(ThreadPool::new(threads));
        Box::new(CpuBackend::new(plan, &source, CpuOptions { parallel, ..CpuOptions::default() })?)
    };
    let mut random = Random(3);
    let values: Vec<f32> = (0..rows * WIDTH).map(|_| random.unit()).collect();
    backend.write(x, bytemuck::cast_slice(&values))?;
    // Touches every page.
    backend.write(from, &vec![1; 4 * COPIED])?;
    let flops = 2 * rows * WIDTH * WIDTH;
    Ok(Rates {
        gemm: flops as f64 / best(backend.as_mut(), gemm, last)?,
        copy: (8 * COPIED) as f64 / best(backend.as_mut(), copy, last)?,
    })
}

/// Seconds of the best run of a pass, which ends when `last` can be read.
fn best(backend: &mut dyn Backend, pass: PassId, last: BufferId) -> Result<f64, BackendError> {
    let mut best = f64::INFINITY;
    // The first round warms caches and pipelines, and is never the best.
    for _ in 0..=ROUNDS {
        let start = Instant::now();
        backend.run(pass, 0..2, &Params::default())?;
        backend.read(last, &mut [0; 4])?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
