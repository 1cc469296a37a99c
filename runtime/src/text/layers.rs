//! Weights of an encoder's layers on a device: one layer at a time, or all of them once they have been read.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::ops::Deref;

use causeway_ops::{
    Backend, BackendError, Plan,
    backend::Memory,
    quant::{TensorView, WeightSource},
};

use crate::{
    config::Umt5Sizes,
    device::{Device, Loading},
    file::Umt5File,
    model::{ModelError, Umt5Plan},
};

/// The plan's weights in a layer of a file.
struct LayerWeights<'m, 'f> {
    file: &'m Umt5File<'f>,
    layer: usize,
    /// What the device knows the layer's weights by, where they stay.
    handle: Option<&'m Arc<()>>,
}

impl WeightSource for LayerWeights<'_, '_> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.file.tensor(&Umt5Plan::in_file(name, self.layer))
    }

    fn handles(&self, visit: &mut dyn FnMut(&Arc<()>)) {
        if let Some(handle) = self.handle {
            visit(handle);
        }
    }
}

/// A layer whose weights stay.
struct Stays {
    handle: Arc<()>,
    /// Holds them: a backend for a prompt of one token, which all others share them with.
    holder: Option<Box<dyn Backend>>,
}

/// The layers of a file.
pub(super) struct Layers<M> {
    file: M,
    device: Device,
    /// Empty where a layer's weights go with it.
    stay: Vec<Stays>,
    /// The holders' plan.
    smallest: Plan,
}

impl<'f, M: Deref<Target = Umt5File<'f>>> Layers<M> {
    pub fn new(file: M, device: &Device, stay: bool) -> Result<Self, ModelError> {
        let sizes = file.config().encoder;
        let count = if stay { sizes.layers } else { 0 };
        let stay = (0..count).map(|_| Stays { handle: Arc::default(), holder: None }).collect();
        Ok(Self { file, device: device.clone(), stay, smallest: Umt5Plan::new(&sizes, &[1])?.plan })
    }

    pub fn file(&self) -> &Umt5File<'f> {
        &self.file
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn sizes(&self) -> Umt5Sizes {
        self.file.config().encoder
    }

    fn weights(&self, layer: usize) -> LayerWeights<'_, 'f> {
        LayerWeights { file: &self.file, layer, handle: self.stay.get(layer).map(|stays| &stays.handle) }
    }

    /// What a layer's backend for `plan` adds.
    pub fn memory(&self, layer: usize, plan: &Plan) -> Result<Memory, BackendError> {
        self.device.memory(&self.weights(layer), plan)
    }

    /// What the holders add beside weights.
    pub fn holders(&self) -> Result<usize, BackendError> {
        let one = self.device.memory(&self.weights(0), &self.smallest)?;
        Ok(self.stay.len() * (one.total() - one.weights))
    }

    /// Whether the layer's weights need not be read.
    pub fn is_here(&self, layer: usize) -> bool {
        self.stay.get(layer).is_some_and(|stays| stays.holder.is_some())
    }

    /// Bytes that a layer takes in the file.
    pub fn bytes(&self, layer: usize) -> usize {
        let weights = self.weights(layer);
        let size = |view: TensorView<'_>| view.data.len() + view.scales.map_or(0, |scales| scales.len());
        self.smallest.weights.iter().filter_map(|weight| weights.tensor(&weight.name)).map(size).sum()
    }

    /// Begins to load what is wanted next for `plan`: the holder of a layer whose weights shall stay, and then the layer.
    pub fn load(&self, layer: usize, plan: &Plan) -> Result<(Loading, bool), BackendError> {
        let holder = self.stay.get(layer).is_some_and(|stays| stays.holder.is_none());
        let plan = if holder { &self.smallest } else { plan };
        Ok((self.device.begin(&self.weights(layer), plan.clone(), None, 0)?, holder))
    }

    /// A short step of loading.
    pub fn step(&self, layer: usize, loading: &mut Loading) -> Result<Option<Box<dyn Backend>>, BackendError> {
        Ok(loading.step(&self.weights(layer))?.map(|made| made.plain()))
    }

    /// Keeps a layer's weights.
    pub fn keep(&mut self, layer: usize, holder: Box<dyn Backend>) {
        if let Some(stays) = self.stay.get_mut(layer) {
            stays.holder = Some(holder);
        }
    }
}
