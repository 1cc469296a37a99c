//! Trainable tensors by name, kept on the host as one flat `f32` array.
//!
//! A training step uploads them as fresh autodiff leaves for each worker and reads flat gradients back: a few megabytes
//! against seconds of arithmetic. In return workers share no graph nodes, the optimizer is one loop over one array, and a
//! checkpoint is a handful of arrays that no library version or parameter identity can invalidate.

use std::collections::HashMap;

use burn::tensor::{Device, FloatDType, Gradients, Tensor, TensorData};

use crate::net::fast::kernels::{Kernels, Values};
use crate::net::precision::Precision;
use crate::rng::Rng;

/// How a tensor starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zeros.
    Zero,
    /// All ones.
    One,
    /// Rows of an adaptive norm [1, 6, dim]: gates (rows 2 and 5) one, shifts and scales zero.
    Gates,
    /// Normal with this standard deviation.
    Normal(f32),
}

/// One named tensor to create: model-file name, shape, start.
pub struct Spec {
    /// Name in the model file.
    pub name: String,
    /// Shape in the model file.
    pub shape: Vec<usize>,
    /// Start values.
    pub init: Init,
}

impl Spec {
    /// A tensor called `name` of `shape`, started by `init`.
    pub fn new(name: impl Into<String>, shape: &[usize], init: Init) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), init }
    }
}

/// Place of one tensor in the flat array.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Name in the model file.
    pub name: String,
    /// Shape in the model file.
    pub shape: Vec<usize>,
    /// First element in the flat array.
    pub offset: usize,
}

impl Entry {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All tensors of one network.
#[derive(Clone, Debug)]
pub struct Weights {
    entries: Vec<Entry>,
    index: HashMap<String, usize>,
    /// Values of all entries, one after the other.
    pub data: Values,
    /// What the hand-written passes multiply them with; networks made of this one inherit it.
    pub kernels: Kernels,
}

impl Weights {
    fn empty(data: Values, kernels: Kernels) -> Self {
        Self { entries: Vec::new(), index: HashMap::new(), data, kernels }
    }

    /// Creates and initialises the tensors of `specs`, in order, from `seed`.
    pub fn init(specs: &[Spec], seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut out = Self::empty(Values::default(), Kernels::default());
        for spec in specs {
            let entry = Entry { name: spec.name.clone(), shape: spec.shape.clone(), offset: out.data.len() };
            let len = entry.len();
            match spec.init {
                Init::Zero => out.data.resize(entry.offset + len, 0.0),
                Init::One => out.data.resize(entry.offset + len, 1.0),
                Init::Gates => {
                    let row = len / 6;
                    out.data.extend((0..len).map(|i| if (i / row) % 3 == 2 { 1.0 } else { 0.0 }));
                }
                Init::Normal(std) => out.data.extend((0..len).map(|_| rng.normal() * std)),
            }
            out.index.insert(entry.name.clone(), out.entries.len());
            out.entries.push(entry);
        }
        out
    }

    /// The same network, multiplied by `kernels`.
    #[must_use]
    pub fn on(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// The same tensors with other values.
    ///
    /// # Panics
    /// When `data` has another length: a bug of the caller.
    pub fn with(&self, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), self.data.len());
        Self { entries: self.entries.clone(), index: self.index.clone(), data: data.into(), kernels: self.kernels }
    }

    /// These tensors followed by those of `other`, whose names get `prefix`.
    pub fn beside(&self, other: &Self, prefix: &str) -> Self {
        let mut out = self.clone();
        for entry in &other.entries {
            let name = format!("{prefix}{}", entry.name);
            out.index.insert(name.clone(), out.entries.len());
            out.entries.push(Entry { name, shape: entry.shape.clone(), offset: self.data.len() + entry.offset });
        }
        out.data.extend_from_slice(&other.data);
        out
    }

    /// The tensors after the first `entries`, by themselves.
    pub fn behind(&self, entries: usize) -> Self {
        let start = self.entries.get(entries).map_or(self.data.len(), |entry| entry.offset);
        let mut out = Self::empty(self.data[start..].to_vec().into(), self.kernels);
        for entry in &self.entries[entries..] {
            out.index.insert(entry.name.clone(), out.entries.len());
            out.entries.push(Entry { offset: entry.offset - start, ..entry.clone() });
        }
        out
    }

    /// The entries in flat order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Values of one tensor, if there is one of that name.
    pub fn tensor(&self, name: &str) -> Option<(&Entry, &[f32])> {
        let entry = &self.entries[*self.index.get(name)?];
        Some((entry, &self.data[entry.offset..entry.offset + entry.len()]))
    }

    /// Uploads every tensor to `device`; tracked leaves where the device has autodiff.
    pub fn leaves(&self, device: &Device) -> Leaves {
        let tensors = self
            .entries
            .iter()
            .map(|e| {
                let values = self.data[e.offset..e.offset + e.len()].to_vec();
                let leaf = Tensor::<1>::from_data(TensorData::new(values, [e.len()]), device);
                let leaf = if device.is_autodiff() { leaf.require_grad() } else { leaf };
                (e.name.clone(), (leaf, e.shape.clone()))
            })
            .collect();
        Leaves { tensors, device: device.clone(), precision: Precision::F32 }
    }

    /// Adds the gradients of `leaves` to `flat` and returns how many tensors had one.
    pub fn gather(&self, leaves: &Leaves, grads: &mut Gradients, flat: &mut [f32]) -> usize {
        let mut found = 0;
        for e in &self.entries {
            let Some(grad) = leaves.tensors[&e.name].0.grad_remove(grads) else { continue };
            found += 1;
            let values = floats(grad);
            for (sum, g) in flat[e.offset..e.offset + e.len()].iter_mut().zip(values) {
                *sum += g;
            }
        }
        found
    }
}

/// Reads a tensor back as `f32` values in row-major order.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().expect("the trainer works in f32 throughout")
}

/// The uploaded tensors of one network on one worker.
pub struct Leaves {
    tensors: HashMap<String, (Tensor<1>, Vec<usize>)>,
    device: Device,
    precision: Precision,
}

impl Leaves {
    /// The same tensors, multiplied in `precision`.
    #[must_use]
    pub fn in_precision(&self, precision: Precision) -> Self {
        Self { tensors: self.tensors.clone(), device: self.device.clone(), precision }
    }

    /// `a` [n, m] times `b` [m, k].
    pub fn product(&self, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        match self.precision.dtype() {
            Some(dtype) => a.cast(dtype).matmul(b.cast(dtype)).cast(FloatDType::F32),
            None => a.matmul(b),
        }
    }

    /// The tensor `name` viewed as rank `D`. A model-file shape with more dimensions has its trailing ones merged
    /// (a patch embedding [dim, c, 1, 2, 2] read as a matrix is [dim, c*4]).
    ///
    /// # Panics
    /// When the network was not created with this name: a bug in the network's own tensor list.
    pub fn get<const D: usize>(&self, name: &str) -> Tensor<D> {
        let (leaf, shape) = self.tensors.get(name).unwrap_or_else(|| panic!("no tensor named {name}"));
        let mut dims = [1; D];
        for (i, &n) in shape.iter().enumerate() {
            dims[i.min(D - 1)] *= n;
        }
        leaf.clone().reshape(dims)
    }

    /// Where the tensors are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A constant (untracked) tensor on the same device.
    pub fn constant<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}
