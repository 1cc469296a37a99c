//! What happens to the sums of a linear layer or a convolution before they are stored.

use super::{
    gemm::{Finish, MAX_SUMS},
    math,
};
use crate::{
    cpu::{
        simd::{MAX_LANES, Simd},
        split::Split,
    },
    op::Activation,
};

/// A modulation's gate: row r is multiplied by `vectors[r / rows_per_frame * stride ..][..outputs]`.
#[derive(Clone, Copy)]
pub(crate) struct Gates<'a> {
    pub(crate) vectors: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) rows_per_frame: usize,
}

/// `y = [y +] gate * act(sum + bias + before)`.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// Columns of y.
    pub(crate) outputs: usize,
    pub(crate) bias: Option<&'a [f32]>,
    /// Shaped like y.
    pub(crate) before: Option<&'a [f32]>,
    pub(crate) activation: Activation,
    pub(crate) gate: Option<Gates<'a>>,
    /// Adds to y.
    pub(crate) residual: bool,
}

impl Epilogue<'_> {
    /// Finishes one vector of sums: columns from `column` of `row`, as many as `y` has room for.
    #[inline(always)]
    fn apply<S: Simd>(&self, s: S, row: usize, column: usize, y: &mut [f32], sum: S::F) {
        let part = |vector: &[f32], from: usize| s.load(&vector[from..from + y.len()]);
        let mut sum = sum;
        if let Some(bias) = self.bias {
            sum = s.add(sum, part(bias, column));
        }
        if let Some(before) = self.before {
            sum = s.add(sum, part(before, row * self.outputs + column));
        }
        sum = math::activate(s, self.activation, sum);
        if let Some(gate) = self.gate {
            sum = s.mul(sum, part(gate.vectors, row / gate.rows_per_frame * gate.stride + column));
        }
        if self.residual {
            sum = s.add(sum, s.load(y));
        }
        s.store(y, sum);
    }
}

/// Stores a panel's sums.
pub(crate) struct Store<'a> {
    epilogue: &'a Epilogue<'a>,
    y: &'a Split<'a, f32>,
    /// Row of y that the left operand's first row makes.
    row: usize,
    /// First column of the panel.
    column: usize,
    /// Sums of a tile on their way to the epilogue.
    sums: [[f32; MAX_LANES]; MAX_SUMS],
}

impl<'a> Store<'a> {
    pub(crate) fn new(epilogue: &'a Epilogue<'a>, y: &'a Split<'a, f32>, row: usize, column: usize) -> Self {
        Self { epilogue, y, row, column, sums: [[0.0; MAX_LANES]; MAX_SUMS] }
    }

    /// First column of the panel.
    pub(crate) fn column(&self) -> usize {
        self.column
    }
}

impl<S: Simd, const V: usize> Finish<S, V> for Store<'_> {
    #[inline(always)]
    fn take<const R: usize>(&mut self, s: S, _row: usize, sums: &[[S::F; V]; R]) {
        for (out, sum) in self.sums.iter_mut().zip(sums.as_flattened()) {
            s.store(&mut out[..S::LANES], *sum);
        }
    }

    #[inline(always)]
    fn finish(&mut self, s: S, row: usize, rows: usize) {
        let outputs = self.epilogue.outputs;
        for (r, sums) in self.sums.chunks_exact(V).enumerate().take(rows) {
            let row = self.row + row + r;
            for (v, sum) in sums.iter().enumerate() {
                let column = self.column + v * S::LANES;
                if column < outputs {
                    // SAFETY: each element of y belongs to one row of one panel, which one piece of work computes.
                    let y = unsafe { self.y.part(row * outputs + column, S::LANES.min(outputs - column)) };
                    self.epilogue.apply(s, row, column, y, s.load(sum));
                }
            }
        }
    }
}
