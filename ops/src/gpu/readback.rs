//! Bytes on their way from the GPU to the host.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use std::time::{Duration, Instant};

use super::{
    device::{ALARM_BYTES, Gpu},
    waiting::may_wait,
};
use crate::backend::BackendError;

/// How long the news of a finished copy may take.
const NEWS: Duration = Duration::from_secs(10);

/// Bytes that a staging holds beside its capacity: the device's alarm comes with every copy.
pub(super) const HEAD: usize = ALARM_BYTES as usize;

/// A host-visible buffer that takes one copy at a time.
pub(super) struct Staging {
    buffer: wgpu::Buffer,
    alarm: Option<wgpu::Buffer>,
    /// Bytes of the copy under way.
    len: Option<usize>,
    /// Number of the copy under way, and of the last one that can be read. A callback of a cancelled copy may come late; it
    /// then announces a number that nobody waits for.
    generation: u32,
    arrived: Arc<AtomicU32>,
}

fn create(gpu: &Gpu, bytes: usize) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("staging"),
        size: (HEAD + bytes) as u64,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    })
}

impl Staging {
    /// Room for `bytes`, a multiple of 4.
    pub fn new(gpu: &Gpu, bytes: usize) -> Self {
        Self { buffer: create(gpu, bytes), alarm: gpu.alarm.clone(), len: None, generation: 0, arrived: Arc::default() }
    }

    /// Most bytes of a copy.
    pub fn capacity(&self) -> usize {
        self.buffer.size() as usize - HEAD
    }

    /// Makes room for at least `bytes`.
    pub fn grow(&mut self, gpu: &Gpu, bytes: usize) {
        if self.capacity() < bytes {
            self.cancel();
            self.buffer = create(gpu, bytes);
        }
    }

    /// Forgets the copy under way.
    fn cancel(&mut self) {
        if self.len.take().is_some() {
            self.buffer.unmap();
        }
    }

    /// Records a copy of pieces, one behind the other, with at most the capacity together: each a buffer, from where on, and how many bytes. An
    /// earlier copy that was not taken is forgotten. [`map`](Self::map) follows when the encoder has been submitted.
    pub fn record<'a>(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pieces: impl IntoIterator<Item = (&'a wgpu::Buffer, usize, usize)>,
    ) {
        self.cancel();
        if let Some(alarm) = &self.alarm {
            encoder.copy_buffer_to_buffer(alarm, 0, &self.buffer, 0, ALARM_BYTES);
        }
        let mut end = HEAD;
        for (source, offset, len) in pieces {
            encoder.copy_buffer_to_buffer(source, offset as u64, &self.buffer, end as u64, len as u64);
            end += len;
        }
        self.len = Some(end - HEAD);
    }

    /// Asks for the recorded copy.
    pub fn map(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        let (generation, arrived) = (self.generation, self.arrived.clone());
        self.buffer.map_async(wgpu::MapMode::Read, ..(HEAD + self.len.unwrap_or(0)) as u64, move |result| {
            // A failure comes with a lost device or a cancelled copy; both are known elsewhere.
            if result.is_ok() {
                arrived.store(generation, Ordering::Release);
            }
        });
    }

    /// A submission with nothing but a copy.
    pub fn begin<'a>(
        &mut self,
        gpu: &Gpu,
        pieces: impl IntoIterator<Item = (&'a wgpu::Buffer, usize, usize)>,
    ) -> wgpu::SubmissionIndex {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.record(&mut encoder, pieces);
        let index = gpu.queue.submit([encoder.finish()]);
        self.map();
        index
    }

    /// Bytes of the copy under way.
    pub fn pending(&self) -> Option<usize> {
        self.len
    }

    /// Takes the copy if it has arrived; `bytes` has its length. The device must have been polled. What kernels computed that were not
    /// made for the size of their subgroups is nothing to go on with.
    pub fn take(&mut self, bytes: &mut [u8]) -> Result<bool, BackendError> {
        if self.len.is_none() || self.arrived.load(Ordering::Acquire) != self.generation {
            return Ok(false);
        }
        let view = self.buffer.get_mapped_range(..(HEAD + bytes.len()) as u64);
        let view = view.map_err(|error| BackendError::DeviceLost(error.to_string()))?;
        let (head, copy) = view.split_at(HEAD);
        bytes.copy_from_slice(copy);
        let alarm = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        drop(view);
        self.cancel();
        if self.alarm.is_some() && alarm != 0 {
            let what = "a subgroup of this device had {} lanes in a kernel that was made for another number";
            return Err(BackendError::Unsupported(what.replace("{}", &alarm.to_string())));
        }
        Ok(true)
    }

    /// Copies the front of `source` into `bytes`, in pieces of the capacity, waiting for each.
    pub fn fetch(&mut self, gpu: &Gpu, source: &wgpu::Buffer, bytes: &mut [u8]) -> Result<(), BackendError> {
        may_wait()?;
        let capacity = self.capacity();
        for (index, piece) in bytes.chunks_mut(capacity).enumerate() {
            let submission = self.begin(gpu, [(source, index * capacity, piece.len())]);
            let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
            let polled = gpu.device.poll(wait);
            gpu.faults.check()?;
            if let Err(error) = polled {
                return Err(BackendError::DeviceLost(error.to_string()));
            }
            // The copy is done, but another thread's poll of this device may have picked up our callback and not run it yet.
            let waiting = Instant::now();
            while !self.take(piece)? {
                gpu.faults.check()?;
                if waiting.elapsed() > NEWS {
                    return Err(BackendError::DeviceLost("a copy to the host never arrived".into()));
                }
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}
