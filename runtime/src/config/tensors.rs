//! A list of tensors by name and shape, as a configuration makes one up.

use alloc::{format, string::String, vec::Vec};

/// Names and shapes in the order in which the tensors are written.
#[derive(Default)]
pub(super) struct List(pub(super) Vec<(String, Vec<usize>)>);

impl List {
    pub(super) fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    /// A layer whose weight is `shape` and whose bias has one value for each output.
    pub(super) fn layer(&mut self, name: &str, shape: &[usize]) {
        self.add(format!("{name}.weight"), shape);
        self.add(format!("{name}.bias"), &shape[..1]);
    }
}
