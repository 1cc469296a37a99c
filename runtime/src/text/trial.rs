//! How fast a device computes an encoder's products.

use alloc::{vec, vec::Vec};

use causeway_ops::{
    Params, PlanBuilder,
    op::{Activation, Linear},
    plan::{BufferKind, Element, WeightRole},
    quant::{DType, TensorView, WeightSource},
    stored::Bytes,
};

use super::EncodeError;
use crate::{clock::Clock, config::Umt5Sizes, device::Device, model::ModelError};

/// Rows of the product, and most columns: large enough for a device's usual speed, small enough for a query.
const ROWS: usize = 64;
const MOST: usize = 1024;
const WEIGHT: &str = "trial";

/// A matrix of zeros.
struct Zeros {
    shape: [usize; 2],
    bytes: Vec<u8>,
}

impl WeightSource for Zeros {
    fn tensor(&self, _: &str) -> Option<TensorView<'_>> {
        Some(TensorView { dtype: DType::F16, shape: &self.shape, data: Bytes::Here(&self.bytes), scales: None })
    }
}

/// Floating-point operations per second of a linear layer on `device`, the best of four.
pub(super) fn flops_per_second(device: &Device, sizes: &Umt5Sizes, clock: &dyn Clock) -> Result<f32, EncodeError> {
    let [inputs, outputs] = [sizes.dim, sizes.ffn_dim].map(|width| width.min(MOST));
    let mut b = PlanBuilder::new();
    let x = b.buffer("x", Element::F32, ROWS * inputs, BufferKind::Input);
    let y = b.buffer("y", Element::F32, ROWS * outputs, BufferKind::Output);
    let pass = b.pass("product");
    let weight = b.weight(WEIGHT, &[outputs, inputs], WeightRole::Matrix);
    let (bias, activation, gate, residual) = (None, Activation::None, None, false);
    b.push(Linear { x, weight, bias, y, rows: ROWS, inputs, outputs, activation, residual, gate });
    let plan = b.build().map_err(ModelError::from)?;
    let flops = plan.cost(pass, 0..1).flops as f32;

    let zeros = Zeros { shape: [outputs, inputs], bytes: vec![0; 2 * outputs * inputs] };
    let mut backend = device.load(&zeros, &plan, None, 0)?.plain();
    let mut product = vec![0.0f32; ROWS * outputs];
    let mut best = u64::MAX;
    for _ in 0..4 {
        let start = clock.micros();
        backend.run(pass, 0..1, &Params::default())?;
        backend.read(y, bytemuck::cast_slice_mut(&mut product))?;
        best = best.min(clock.micros().saturating_sub(start));
    }
    // A clock that stands still measures nothing.
    Ok(flops * 1e6 / best.max(1) as f32)
}
