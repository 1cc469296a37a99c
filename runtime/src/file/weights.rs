//! The weights of a stream, which may lie in two files.

use alloc::sync::Arc;

use causeway_ops::quant::{TensorView, WeightSource};

/// A denoiser's weights and, where it is a file of its own, a codec's. Their names differ.
#[derive(Clone, Copy)]
pub struct Weights<'a>([Option<&'a dyn WeightSource>; 2]);

impl<'a> Weights<'a> {
    /// Those of both.
    pub fn of(model: &'a dyn WeightSource, codec: Option<&'a dyn WeightSource>) -> Self {
        Self([Some(model), codec])
    }
}

impl WeightSource for Weights<'_> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.0.iter().flatten().find_map(|source| source.tensor(name))
    }

    fn handles(&self, visit: &mut dyn FnMut(&Arc<()>)) {
        self.0.iter().flatten().for_each(|source| source.handles(visit));
    }
}
