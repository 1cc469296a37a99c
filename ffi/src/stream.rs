//! A session of the interface: one that is there or on its way, what the host was told of it, and its frames on the host's GPU.

use std::sync::Arc;

use causeway_runtime::{Session, session::Creation};

use crate::{
    error::Error,
    handle::{Handle, Thing},
    making::Making,
    opened::Opened,
    ready::{Outbox, Ready},
    types::*,
    vulkan::Kept,
};

/// A session of the interface.
pub struct Stream {
    making: Arc<Making>,
    info: CwSessionInfo,
    kept: Kept,
}

impl Stream {
    /// A session that is there; `info` is what `cw_session_info` tells, `kept` has its frames on a host's GPU.
    pub fn ready(session: Session, outbox: Outbox, info: CwSessionInfo, kept: Kept) -> Result<Self, Error> {
        let ready = Ready::new(session, outbox)?;
        Ok(Self { making: Arc::new(Making::ready(ready, outbox)), info, kept })
    }

    /// One whose creation was begun.
    pub fn begun(creation: Creation<Opened>, outbox: Outbox, info: CwSessionInfo, kept: Kept) -> Self {
        Self { making: Arc::new(Making::begun(creation, outbox)), info, kept }
    }

    /// The session itself; `CW_PENDING` until it is there.
    pub fn get(&self) -> Result<&Ready, Error> {
        self.making.get()
    }

    pub fn info(&self) -> &CwSessionInfo {
        &self.info
    }

    pub fn progress(&self) -> Result<CwProgress, Error> {
        self.making.progress()
    }

    pub fn pump(&self, micros: u64) -> Result<CwStatus, Error> {
        match self.making.get() {
            Ok(ready) => ready.pump(micros),
            Err(_) => self.making.pump(micros),
        }
    }

    /// Takes the oldest frame, into an image on the host's GPU.
    pub fn poll_image(&self, image: &CwVulkanImage) -> Result<Option<CwReceipt>, Error> {
        self.get()?.poll_image(image, &self.kept)
    }

    pub fn reset(&self, seed: u64) -> Result<(), Error> {
        self.get()?.reset(seed)?;
        self.kept.forget();
        Ok(())
    }

    pub fn restore(&self, bytes: &[u8]) -> Result<(), Error> {
        self.get()?.restore(bytes)?;
        self.kept.forget();
        Ok(())
    }

    /// Goes on from a saved game; finished frames and what waits in the inbox are dropped.
    pub fn load(&self, bytes: &[u8]) -> Result<(), Error> {
        self.get()?.load(bytes)?;
        self.kept.forget();
        Ok(())
    }

    pub fn start_worker(&self) -> Result<(), Error> {
        self.making.start_worker()
    }

    pub fn stop_worker(&self) -> Result<(), Error> {
        self.making.stop_worker()
    }
}

impl Thing for Stream {
    fn destroy(&self) {
        self.making.close();
    }
}

impl Handle for CwSession {
    type Thing = Stream;
    const KIND: usize = 3;
}
