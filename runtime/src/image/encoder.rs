//! A picture through the layers of a tower, of which one is held at a time.

use alloc::{format, vec, vec::Vec};

use causeway_ops::{
    BackendError,
    backend::Memory,
    quant::{TensorView, WeightSource},
};

use super::bicubic;
use crate::{
    codec::decoder::run_pass,
    config::ClipSizes,
    device::Device,
    file::ClipFile,
    model::ClipPlan,
    session::{SessionError, finite},
};

/// The plan's weights in a layer of a file.
struct LayerWeights<'m, 'f> {
    file: &'m ClipFile<'f>,
    layer: usize,
}

impl WeightSource for LayerWeights<'_, '_> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.file.tensor(&ClipPlan::in_file(name, self.layer))
    }
}

/// An image encoder on a device. It reads the weights of a layer when that layer's turn comes, and forgets them after it: a picture is
/// encoded once for a whole game.
///
/// ```no_run
/// use causeway_runtime::{Device, ImageEncoder, SessionError, file::ClipFile};
///
/// # fn f(planes: Vec<f32>) -> Result<(), Box<dyn std::error::Error>> {
/// let file = ClipFile::open("clip.safetensors")?;
/// let encoder = ImageEncoder::new(&file, &Device::auto(Device::cpu(0)), None)?;
/// // [rows, dim], what `Session::set_prompt` takes of a game
/// let rows = encoder.encode(&planes, (640, 352), |_layer| Ok::<(), SessionError>(()))?;
/// # Ok(()) }
/// ```
pub struct ImageEncoder<'m, 'f> {
    file: &'m ClipFile<'f>,
    device: Device,
    plan: ClipPlan,
    memory: Memory,
    memory_cap: Option<usize>,
}

impl<'m, 'f> ImageEncoder<'m, 'f> {
    /// Checks everything; weights are read by [`Self::encode`], which holds at most `memory_cap` bytes.
    ///
    /// # Errors
    /// A memory cap that is too small (with the exact need), a device that cannot run the tower.
    pub fn new(file: &'m ClipFile<'f>, device: &Device, memory_cap: Option<usize>) -> Result<Self, SessionError> {
        let plan = ClipPlan::new(&file.config().encoder)?;
        let mut memory = device.memory(&LayerWeights { file, layer: 0 }, &plan.plan)?;
        memory.overhead += Self::own(&plan);
        if let Some(cap) = memory_cap.filter(|&cap| cap < memory.total()) {
            return Err(BackendError::MemoryCap { needed: memory.total(), cap }.into());
        }
        Ok(Self { file, device: device.clone(), plan, memory, memory_cap })
    }

    /// Bytes held beside a backend: the plan, and rows between two layers.
    fn own(plan: &ClipPlan) -> usize {
        plan.plan.bytes() + 4 * plan.plan.buffer(plan.x).len
    }

    /// Bytes held at most, the picture apart.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Sizes of the tower.
    pub fn sizes(&self) -> &ClipSizes {
        &self.file.config().encoder
    }

    /// Features [rows, dim] of a picture of any size, RGB in 0..=1, [3, height, width]. `watch` is told how many layers are done, and may end it
    /// with an error.
    ///
    /// # Errors
    /// [`SessionError::Size`], [`SessionError::NotFinite`], weights that cannot be read, a backend that fails, and those of `watch`.
    pub fn encode<E: From<SessionError>>(
        &self,
        picture: &[f32],
        (width, height): (usize, usize),
        mut watch: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Vec<f32>, E> {
        let len = 3 * width * height;
        if picture.len() != len || len == 0 {
            let expected = format!("3 colours of {width} x {height}");
            return Err(SessionError::Size { what: "the picture", found: picture.len(), expected }.into());
        }
        finite("the picture", picture)?;
        let mut x = vec![0.0; self.plan.plan.buffer(self.plan.x).len];
        for layer in 0..self.sizes().layers {
            watch(layer)?;
            let first = (layer == 0).then_some((picture, (width, height)));
            self.layer(layer, first, &mut x)?;
        }
        watch(self.sizes().layers)?;
        Ok(x)
    }

    /// Takes `x` through a layer, the picture through what comes before the first one.
    fn layer(
        &self,
        layer: usize,
        picture: Option<(&[f32], (usize, usize))>,
        x: &mut [f32],
    ) -> Result<(), SessionError> {
        let weights = LayerWeights { file: self.file, layer };
        let (plan, own) = (&self.plan, Self::own(&self.plan));
        let mut backend = self.device.load(&weights, &plan.plan, self.memory_cap, own)?.plain();
        match picture {
            Some((picture, size)) => {
                let [first, positions] = self.positions()?;
                let mut tokens = vec![0.0; x.len()];
                tokens[..first.len()].copy_from_slice(&first);
                backend.write(plan.tokens, bytemuck::cast_slice(&tokens))?;
                backend.write(plan.positions, bytemuck::cast_slice(&positions))?;
                backend.write(plan.patches, bytemuck::cast_slice(&patches(self.sizes(), picture, size)))?;
                run_pass(backend.as_mut(), plan.embed)?;
            }
            None => backend.write(plan.x, bytemuck::cast_slice(x))?,
        }
        run_pass(backend.as_mut(), plan.layer)?;
        Ok(backend.read(plan.x, bytemuck::cast_slice_mut(x))?)
    }

    /// The row of the whole picture at its position [dim], and the positions of all patches [patches, dim].
    fn positions(&self) -> Result<[Vec<f32>; 2], SessionError> {
        let (mut first, mut all) = (self.read("clip.cls_embedding")?, self.read("clip.pos_embedding")?);
        let patches = all.split_off(first.len());
        first.iter_mut().zip(all.iter()).for_each(|(value, position)| *value += position);
        Ok([first, patches])
    }

    /// A tensor that is in no plan.
    fn read(&self, name: &str) -> Result<Vec<f32>, BackendError> {
        let view =
            self.file.tensor(name).ok_or_else(|| BackendError::Weight { name: name.into(), what: "missing".into() })?;
        view.to_f32().map_err(|error| BackendError::unread(name, error))
    }
}

/// The picture at the tower's size, with the mean and spread of its training data, patch by patch: colours, rows, columns.
fn patches(sizes: &ClipSizes, picture: &[f32], size: (usize, usize)) -> Vec<f32> {
    let &ClipSizes { side, patch, mean, std, .. } = sizes;
    let mut planes = bicubic(picture, size, side);
    for (plane, (mean, std)) in planes.chunks_exact_mut(side * side).zip(mean.into_iter().zip(std)) {
        plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
    }
    let mut out = Vec::with_capacity(planes.len());
    for (top, left) in (0..side).step_by(patch).flat_map(|top| (0..side).step_by(patch).map(move |left| (top, left))) {
        for plane in planes.chunks_exact(side * side) {
            (top..top + patch).for_each(|y| out.extend_from_slice(&plane[y * side + left..][..patch]));
        }
    }
    out
}
