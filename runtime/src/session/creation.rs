//! Creating a session in steps, so that a loading screen goes on.

use causeway_ops::backend::{LoadProgress, LoadStage};

use super::{error::SessionError, planned::Planned, receipt::Queue, session::Session};
use crate::{
    clock::Clock,
    codec::decoder::DecoderFile,
    device::{Device, Loading},
    file::{Model, Weights},
};

/// The files of a session that is being created.
pub trait Files {
    /// The denoiser.
    fn model(&self) -> &Model<'_>;

    /// The codec, where it is a file of its own.
    fn codec(&self) -> Option<&DecoderFile<'_>>;
}

impl Files for (&Model<'_>, Option<&DecoderFile<'_>>) {
    fn model(&self) -> &Model<'_> {
        self.0
    }

    fn codec(&self) -> Option<&DecoderFile<'_>> {
        self.1
    }
}

/// A session on its way. Dropping it gives up what was done.
///
/// ```
/// # fn f(model: &causeway_runtime::Model<'_>) -> Result<(), causeway_runtime::SessionError> {
/// use causeway_runtime::{Device, SessionOptions, clock::SystemClock, session::{Creation, Planned}};
/// let device = Device::auto(Device::cpu(0));
/// let planned = Planned::new(model, None, SessionOptions::default())?;
/// let mut creation = Creation::new(planned, (model, None), &device)?;
/// let session = loop {
///     // In a frame of the loading screen.
///     if let Some(session) = creation.pump(4_000, &SystemClock::default())? {
///         break session;
///     }
///     let progress = creation.progress();
///     println!("{} of {}", progress.done, progress.total);
/// };
/// # Ok(()) }
/// ```
pub struct Creation<F> {
    files: F,
    /// Until the session is there.
    parts: Option<(Planned, Queue)>,
    loading: Loading,
    progress: LoadProgress,
}

impl<F: Files> Creation<F> {
    /// Begins to create what was planned for these files. Everything is checked; what fails later is bytes that cannot be read, memory that the
    /// system has not, and a GPU that turns out not to be able.
    ///
    /// # Errors
    /// As [`Planned::create`].
    pub fn new(mut planned: Planned, files: F, device: &Device) -> Result<Self, SessionError> {
        let queue = Queue::new(planned.options.queue, planned.frame_bytes)?;
        let (cap, own) = (planned.options.memory_cap, queue.memory() + planned.own());
        let weights = Weights::of(files.model(), files.codec().map(|codec| codec as _));
        let loading = device.begin(&weights, core::mem::take(&mut planned.plan), cap, own)?;
        let progress = loading.progress().unwrap_or(LoadProgress { stage: LoadStage::Weights, done: 0, total: 0 });
        Ok(Self { files, parts: Some((planned, queue)), loading, progress })
    }

    /// How far it is. `done` grows up to `total`, of one stage after the other.
    pub fn progress(&self) -> LoadProgress {
        self.progress
    }

    /// Works for about `micros` microseconds of `clock`, at least one step; Some when the session is there.
    ///
    /// # Errors
    /// As [`Planned::create`]; it has failed then, and can only be dropped.
    pub fn pump(&mut self, micros: u64, clock: &dyn Clock) -> Result<Option<Session>, SessionError> {
        let start = clock.micros();
        loop {
            let (model, codec) = (self.files.model(), self.files.codec());
            let weights = Weights::of(model, codec.map(|codec| codec as _));
            let made = self.loading.step(&weights)?;
            if let Some(progress) = self.loading.progress() {
                self.progress = progress;
            }
            if let Some(made) = made
                && let Some((planned, queue)) = self.parts.take()
            {
                self.progress.done = self.progress.total;
                return planned.assemble(model, codec, queue, made).map(Some);
            }
            if clock.micros().checked_sub(start).is_none_or(|spent| spent >= micros) {
                return Ok(None);
            }
        }
    }
}
