//! A session that is there: the runtime's, for any number of threads, with what only C has: images and statuses.

use std::{
    io,
    slice::from_raw_parts_mut,
    sync::{Arc, Mutex, PoisonError},
};

use causeway_ops::{memory::filled, parallel::Join};
use causeway_runtime::{
    Budget, Receipt, Session,
    session::{Change, Progress, QualityChange, Shared, SharedError, read_latent},
};

use crate::{error::Error, image::Target, memory, types::*, vulkan::Kept};

/// What a session has beside itself.
#[derive(Clone, Copy)]
pub struct Outbox {
    /// Frames that wait for the host.
    queue: usize,
    /// Whether they wait until they should be shown.
    holds: bool,
    /// Values of the largest prompt.
    prompt: usize,
}

impl Outbox {
    /// As the options say, for prompts of at most `prompt` values.
    pub fn of(options: &CwSessionOptions, prompt: usize) -> Self {
        Self { queue: options.queue as usize, holds: options.pace == CW_PACE_HELD, prompt }
    }
}

/// A session that is there.
pub struct Ready {
    shared: Arc<Shared>,
    /// A prompt on its way from a file.
    loading: Mutex<Vec<f32>>,
    size: (usize, usize),
    /// Channels, height and width of a latent frame of a session that gives these.
    latent: Option<[usize; 3]>,
}

impl Ready {
    pub fn new(session: Session, Outbox { queue, holds, prompt }: Outbox) -> Result<Self, Error> {
        let size = session.picture();
        let latent = (!session.gives_pictures()).then(|| session.latent_shape());
        let loading = filled(0.0, prompt).map_err(|refused| Error::memory(refused.0))?;
        let shared = Shared::new(session, queue)?;
        let shared = Arc::new(if holds { shared.holding() } else { shared });
        Ok(Self { shared, loading: Mutex::new(loading), size, latent })
    }

    pub fn set_action(&self, action: &[f32]) -> Result<u64, Error> {
        Ok(self.shared.set_action(action)?)
    }

    /// Rows of `count` numbers.
    pub fn set_actions(&self, rows: &[f32], count: usize) -> Result<u64, Error> {
        // One row has a length to be compared with; of several any could be cut otherwise.
        Ok(if rows.len() == count { self.shared.set_action(rows) } else { self.shared.set_actions(rows, count) }?)
    }

    pub fn set_prompt(&self, slot: usize, values: &[f32], width: usize) -> Result<(), Error> {
        Ok(self.shared.set_prompt(slot, values, width)?)
    }

    /// As `set_prompt`, of rows of `width` values that `read` writes, `count` values in all. Who says something else meanwhile does not wait.
    pub fn load_prompt(
        &self,
        slot: usize,
        [count, width]: [usize; 2],
        read: impl FnOnce(&mut [f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        match loading.get_mut(..count) {
            Some(values) => {
                read(values)?;
                self.set_prompt(slot, values, width)
            }
            // It has no room there either, which the session says.
            None => self.set_prompt(slot, &vec![0.0; count], width),
        }
    }

    pub fn queue(&self, change: Change<'_>) -> Result<u64, Error> {
        Ok(self.shared.queue(change)?)
    }

    pub fn set_quality(&self, change: QualityChange) -> Result<(), Error> {
        Ok(self.shared.set_quality(change)?)
    }

    pub fn withdraw(&self, ticket: u64) -> Result<(), Error> {
        Ok(self.shared.withdraw(ticket)?)
    }

    pub fn pump(&self, micros: u64) -> Result<CwStatus, Error> {
        Ok(match self.shared.pump(Budget::Micros(micros))? {
            Progress::Frame => CW_FRAME,
            Progress::Pending | Progress::Early(_) => CW_PENDING,
            Progress::Full => CW_FULL,
            Progress::Paused => CW_PAUSED,
        })
    }

    /// Takes the oldest frame: its receipt, and its pixels to the target that `image` makes for them, if any. The frame stays when
    /// the target cannot be had.
    pub fn poll(&self, image: Option<&CwImage>) -> Result<Option<CwReceipt>, Error> {
        let (width, height) = self.size;
        if image.is_some() && self.latent.is_some() {
            return Err(Error::state("this session gives latents; cw_session_poll_latents takes them"));
        }
        let target = image.map(|image| Target::new(image, width, height)).transpose()?;
        self.take(|_, pixels| {
            if let Some(target) = target {
                // SAFETY: by the contract of `cw_session_poll_frame` the host's memory is as long as the image says.
                unsafe { target.write(pixels) };
            }
            Ok(())
        })
    }

    /// Takes the oldest latent frame [C, H, W].
    pub fn poll_latents(&self, values: &mut [f32]) -> Result<Option<CwReceipt>, Error> {
        let Some(shape) = self.latent else {
            return Err(Error::state("this session gives pictures; cw_session_poll_frame takes them"));
        };
        let len = shape.iter().product();
        let Some(values) = values.get_mut(..len) else {
            return Err(Error::new(CW_ERROR_BUFFER_TOO_SMALL, format!("a latent frame has {len} numbers")));
        };
        self.take(|_, bytes| {
            read_latent(bytes, shape[0], values);
            Ok(())
        })
    }

    /// As [`poll`](Self::poll), into an image on the host's GPU.
    pub fn poll_image(&self, image: &CwVulkanImage, kept: &Kept) -> Result<Option<CwReceipt>, Error> {
        let fits = |at: u32, size: usize, of: u32| at as usize + size <= of as usize && of <= i32::MAX as u32;
        if !fits(image.x, self.size.0, image.width) || !fits(image.y, self.size.1, image.height) {
            return Err(Error::argument(format!(
                "a frame of {:?} at ({}, {}) does not fit in an image of ({}, {})",
                self.size, image.x, image.y, image.width, image.height
            )));
        }
        // VK_IMAGE_LAYOUT_UNDEFINED and VK_IMAGE_LAYOUT_PREINITIALIZED.
        if image.image == 0 || [0, 8].contains(&image.layout_after) {
            return Err(Error::argument("`image` is 0, or `layout_after` is no layout that an image can be left in"));
        }
        // SAFETY: by the contract of `cw_session_poll_image` the image is what it says; it was made sure that the frame fits.
        self.take(|frame, pixels| unsafe { kept.write(frame, pixels, image) })
    }

    /// Takes the oldest frame after `write` has seen its number and pixels; it stays when that fails. The frame's place on the GPU counts as
    /// taken only while the frame is here.
    fn take(&self, write: impl FnOnce(u64, &[u8]) -> Result<(), Error>) -> Result<Option<CwReceipt>, Error> {
        let (width, height) = self.size;
        let taken = self.shared.take(|receipt: &Receipt, pixels| write(receipt.frame, pixels))?;
        Ok(taken.map(|receipt| CwReceipt {
            struct_size: size_of::<CwReceipt>() as u32,
            width: width as u32,
            height: height as u32,
            event: receipt.event,
            frame: receipt.frame,
            action_ticket: receipt.action,
            event_ticket: receipt.event_ticket,
            began: receipt.began,
            ready: receipt.ready,
            first_of_action: u32::from(receipt.first_of_action),
            first_of_event: u32::from(receipt.first_of_event),
            chunk: receipt.chunk,
            picture: receipt.picture,
            pictures: receipt.pictures,
            present: receipt.present,
            action_row: receipt.action_row,
            share: receipt.share,
            steps: receipt.quality.steps as u32,
            route: receipt.quality.route as u32,
            window: receipt.quality.window as u32,
            latent_mean: receipt.health.mean,
            latent_spread: receipt.health.spread,
            reserved: 0,
            alarms: receipt.health.alarms.bits(),
            latent_detail: receipt.health.detail,
            latent_change: receipt.health.change,
            latent_drift: receipt.health.drift,
            far_share: receipt.health.far_share,
            route_age: receipt.health.route_age,
        }))
    }

    pub fn reset(&self, seed: u64) -> Result<(), Error> {
        Ok(self.shared.restart(seed)?)
    }

    /// Width and height of a picture.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Makes a picture of the stream's size the newest frame.
    pub fn place(&self, pixels: &[u8], frames: usize) -> Result<u64, Error> {
        Ok(self.shared.place(pixels, frames)?)
    }

    pub fn set_start_image(&self, pixels: &[u8]) -> Result<(), Error> {
        Ok(self.shared.set_start_image(pixels)?)
    }

    /// Writes a snapshot; with too little memory nothing is written.
    pub fn snapshot(&self, target: impl FnOnce(usize) -> Result<Option<*mut u8>, Error>) -> Result<(), Error> {
        // SAFETY: by the contract of `cw_session_snapshot` the host's memory has the bytes that `target` compared.
        self.shared.snapshot(|bytes| Ok(target(bytes)?.map(|at| unsafe { from_raw_parts_mut(at, bytes) })))
    }

    pub fn restore(&self, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.shared.restore(bytes)?)
    }

    /// Writes a saved game; with too little memory nothing is written.
    pub fn save(&self, target: impl FnOnce(usize) -> Result<Option<*mut u8>, Error>) -> Result<(), Error> {
        // SAFETY: by the contract of `cw_session_save` the host's memory has the bytes that `target` compared.
        self.shared.save(|bytes| Ok(target(bytes)?.map(|at| unsafe { from_raw_parts_mut(at, bytes) })))
    }

    /// Goes on from a saved game; finished frames and what waits in the inbox are dropped.
    pub fn load(&self, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.shared.load(bytes)?)
    }

    pub fn pause(&self, paused: bool) {
        self.shared.pause(paused);
    }

    pub fn cancel(&self) {
        self.shared.cancel();
    }

    pub fn stats(&self) -> Result<CwStats, Error> {
        let (stats, position, waiting, pumped) = self.shared.stats()?;
        Ok(CwStats {
            struct_size: size_of::<CwStats>() as u32,
            waiting: waiting as u32,
            frames: stats.frames,
            nodes: stats.nodes,
            cancelled: stats.aborted,
            pumps: pumped.rounds,
            pump_micros: pumped.micros,
            longest_pump_micros: pumped.longest,
            position,
            worker: u32::from(self.shared.has_worker()),
            paused: u32::from(self.shared.is_paused()),
        })
    }

    /// Starts the worker, on a thread that `start` starts, whose rounds see what the host's allocator refuses.
    pub fn start_worker(
        &self,
        start: &mut dyn FnMut(Box<dyn FnOnce() + Send>) -> io::Result<Join>,
    ) -> Result<(), SharedError> {
        self.shared.start_worker_by(start, |round| {
            memory::forget_refusals();
            let done = round()?;
            memory::refused().map_or(Ok(done), |bytes| Err(SharedError::Refused(bytes)))
        })
    }

    /// Refuses the worker thread itself.
    pub fn not_by_worker(&self) -> Result<(), SharedError> {
        self.shared.not_by_worker()
    }

    /// Ends the worker thread, if there is one, and waits for the slice it is in.
    pub fn stop_worker(&self) -> Result<(), SharedError> {
        self.shared.stop_worker()
    }

    /// Ends it.
    pub fn close(&self) {
        self.shared.close();
    }
}
