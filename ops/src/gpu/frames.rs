//! Finished frames that stay on the GPU until the host takes them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::device::Gpu;
use crate::backend::BackendError;

/// A buffer for one frame, and the number of the frame in it.
pub(super) struct Slot {
    pub buffer: wgpu::Buffer,
    pub frame: Option<u64>,
}

/// The newest frames of a stream, in as many buffers, on the GPU that makes them. A backend fills it
/// ([`super::GpuBackend::keep_frames`]), the host empties it.
pub struct Frames {
    pub(super) gpu: Gpu,
    pub(super) width: u32,
    pub(super) height: u32,
    slots: Mutex<Vec<Slot>>,
}

impl Frames {
    /// Room for `count` (at least 1) RGBA8 frames of `width` by `height` pixels: 4 * width * height bytes each.
    ///
    /// # Errors
    /// The device has no memory, or is lost.
    pub fn new(gpu: &Gpu, count: usize, width: u32, height: u32) -> Result<Self, BackendError> {
        gpu.faults.check()?;
        let slot = |_| Slot {
            buffer: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("frame"),
                size: 4 * u64::from(width) * u64::from(height),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            frame: None,
        };
        let slots = gpu.scoped(|| Ok((0..count.max(1)).map(slot).collect()))?;
        Ok(Self { gpu: gpu.clone(), width, height, slots: Mutex::new(slots) })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` on the slot of frame number `frame`.
    pub(super) fn with<T>(&self, frame: u64, f: impl FnOnce(&mut Slot) -> T) -> T {
        let mut slots = self.slots();
        let index = (frame % slots.len() as u64) as usize;
        f(&mut slots[index])
    }

    /// Submits a copy of `source`, which is frame number `frame`.
    pub(super) fn keep(&self, source: &wgpu::Buffer, frame: u64) {
        self.with(frame, |slot| {
            let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(source, 0, &slot.buffer, 0, slot.buffer.size());
            self.gpu.queue.submit([encoder.finish()]);
            slot.frame = Some(frame);
        });
    }

    /// Forgets all frames: the numbers of a stream begin anew, or it returns to a snapshot.
    pub fn forget(&self) {
        self.slots().iter_mut().for_each(|slot| slot.frame = None);
    }
}
