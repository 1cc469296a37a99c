//! Which kernels multiply, and what they make of the two sides of a linear layer.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use super::bf16::{Bf16, Panels, Rows, Start};
use super::matrix::{self, View};
use super::{activation, vector};

/// The kernels of a network's products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// Single precision: the same numbers on every run of the trainer so far.
    #[default]
    F32,
    /// Factors rounded to bf16, sums in single precision.
    Bf16(Bf16),
}

impl Kernels {
    /// The fastest ones that this CPU has.
    pub fn fastest() -> Self {
        Bf16::detect().map_or(Self::F32, Self::Bf16)
    }

    /// [`matrix::product`] by these kernels; `a` and `b` have unit distance between columns or, transposed, between rows.
    pub fn product(self, add: bool, [m, k, n]: [usize; 3], a: View<'_>, b: View<'_>, dst: &mut [f32], dst_row: usize) {
        let Self::Bf16(bf16) = self else { return matrix::product(add, [m, k, n], a, b, dst, dst_row) };
        let start = if add { Start::There } else { Start::Zero };
        let right = match b {
            View(b, distance, 1) => bf16.panels(&bf16.rows(b, distance, [k, n])),
            View(b, _, distance) => bf16.transposed(&bf16.rows(b, distance, [n, k])),
        };
        match a {
            View(a, distance, 1) => bf16.product(&bf16.rows(a, distance, [m, k]), &right, start, dst, dst_row),
            View(a, _, distance) => {
                let left = bf16.panels(&bf16.rows(a, distance, [k, m]));
                bf16.transposed_product(&left, &right, start, dst, dst_row);
            }
        }
    }

    /// The left side of several products by packed factors, [m, k]; nothing is made of it where there are none.
    pub fn left(self, a: View<'_>, [m, k]: [usize; 2]) -> Left {
        match self {
            Self::F32 => Left(None),
            Self::Bf16(bf16) => Left(Some((bf16, bf16.rows(a.0, a.1, [m, k])))),
        }
    }

    /// Softmax of `row` in place.
    #[inline(always)]
    pub fn softmax(self, row: &mut [f32]) {
        match self {
            Self::F32 => activation::softmax(row),
            Self::Bf16(bf16) => vector::softmax(bf16, row),
        }
    }

    /// GELU(tanh).
    pub fn gelu(self, x: &[f32]) -> Vec<f32> {
        let Self::Bf16(bf16) = self else { return activation::gelu(x) };
        let mut y = vec![0.0; x.len()];
        vector::gelu(bf16, x, &mut y);
        y
    }

    /// Turns the gradient of [`Self::gelu`]'s result into that of x, in place.
    pub fn gelu_back(self, x: &[f32], dy: &mut [f32]) {
        match self {
            Self::F32 => activation::gelu_back(x, dy),
            Self::Bf16(bf16) => vector::gelu_back(bf16, x, dy),
        }
    }

    /// Rows of `columns` values as these kernels read them.
    pub fn input(self, x: Vec<f32>, columns: usize) -> Input {
        match self {
            Self::F32 => Input::F32(x),
            Self::Bf16(bf16) => Input::Bf16(bf16, bf16.rows(&x, columns, [x.len() / columns, columns])),
        }
    }
}

/// Rows packed once for several products.
pub struct Left(Option<(Bf16, Rows)>);

impl Left {
    /// dst = start + rows b; `dst` has `distance` between rows. Panics for kernels that pack nothing.
    pub fn product(&self, b: &Panels, start: Start<'_>, dst: &mut [f32], distance: usize) {
        let (bf16, rows) = self.0.as_ref().expect("factors are packed by the kernels that read them");
        bf16.product(rows, b, start, dst, distance);
    }
}

/// Rows that linear layers read, packed once for all of them.
pub enum Input {
    /// As they are.
    F32(Vec<f32>),
    /// Rounded.
    Bf16(Bf16, Rows),
}

/// Side of a layer that its weight [out, in] is packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Rows times the transposed weight.
    Forward,
    /// Gradients of the result times the weight.
    Back,
}

/// A network's values, and what kernels have made of them since they last changed.
#[derive(Default)]
pub struct Values {
    values: Vec<f32>,
    packed: Mutex<HashMap<(usize, Side), Arc<Panels>>>,
}

impl Values {
    /// The weight [out, in] at offset `at`, packed for `side`; by whoever asks first.
    pub fn packed(&self, bf16: Bf16, at: usize, [out, inputs]: [usize; 2], side: Side) -> Arc<Panels> {
        let find = || self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find().get(&(at, side)) {
            return known.clone();
        }
        let rows = bf16.rows(&self.values[at..at + out * inputs], inputs, [out, inputs]);
        let panels = Arc::new(match side {
            Side::Forward => bf16.transposed(&rows),
            Side::Back => bf16.panels(&rows),
        });
        find().insert((at, side), panels.clone());
        panels
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Self { values, packed: Mutex::default() }
    }
}

impl Clone for Values {
    fn clone(&self) -> Self {
        self.values.clone().into()
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.values.fmt(f)
    }
}

impl Deref for Values {
    type Target = Vec<f32>;

    fn deref(&self) -> &Vec<f32> {
        &self.values
    }
}

impl DerefMut for Values {
    /// Whoever may change values makes what was packed of them stale.
    fn deref_mut(&mut self) -> &mut Vec<f32> {
        self.packed.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        &mut self.values
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = &'a f32;
    type IntoIter = std::slice::Iter<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.iter()
    }
}
