//! Submissions that are under way.

use super::{BackendError, device::Gpu};

/// The newest submissions.
#[cfg(not(target_family = "wasm"))]
#[derive(Default)]
pub(super) struct Flight {
    /// The last two, older first.
    recent: [Option<wgpu::SubmissionIndex>; 2],
}

#[cfg(not(target_family = "wasm"))]
impl Flight {
    /// Follows a submission.
    pub fn submitted(&mut self, _: &Gpu, index: wgpu::SubmissionIndex) {
        self.recent = [self.recent[1].take(), Some(index)];
    }

    /// Whether at most one is under way, so that the GPU has work while the host records more.
    pub fn is_short(&mut self, gpu: &Gpu) -> Result<bool, BackendError> {
        let Some(index) = self.recent[0].clone() else { return Ok(true) };
        let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(std::time::Duration::ZERO) };
        match gpu.device.poll(wait) {
            Ok(_) => {
                self.recent[0] = None;
                Ok(true)
            }
            Err(wgpu::PollError::Timeout) => Ok(false),
            Err(error) => Err(BackendError::DeviceLost(error.to_string())),
        }
    }
}

/// In a page nothing can be asked of a submission: the browser calls when it is done.
#[cfg(target_family = "wasm")]
#[derive(Default)]
pub(super) struct Flight {
    submitted: u32,
    done: std::sync::Arc<std::sync::atomic::AtomicU32>,
}

#[cfg(target_family = "wasm")]
impl Flight {
    pub fn submitted(&mut self, gpu: &Gpu, _: wgpu::SubmissionIndex) {
        self.submitted = self.submitted.wrapping_add(1);
        let done = self.done.clone();
        gpu.queue.on_submitted_work_done(move || {
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
    }

    pub fn is_short(&mut self, _: &Gpu) -> Result<bool, BackendError> {
        Ok(self.submitted.wrapping_sub(self.done.load(std::sync::atomic::Ordering::Relaxed)) <= 1)
    }
}
