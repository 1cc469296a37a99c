//! A model with its session, on one thread of the CPU or on the GPU.

use alloc::{
    boxed::Box,
    string::{String, ToString},
};

use causeway_runtime::{
    Budget, Device, EventTime, Model, Pump, Session, SessionError, SessionOptions,
    clock::Clock,
    session::{Saved, Snapshot},
};
use serde_json::json;

/// What a world is opened with.
pub struct Options {
    pub seed: u64,
    /// Denoise steps a frame; 0 are the model's.
    pub steps: usize,
}

/// A stream of frames.
pub struct World {
    session: Session,
    device: Device,
    about: (String, f32),
    saved: Option<Saved>,
    snapshot: Option<Snapshot>,
}

/// `performance.now()` of the page.
struct Page;

#[cfg(all(target_family = "wasm", not(feature = "gpu")))]
#[link(wasm_import_module = "causeway")]
unsafe extern "C" {
    /// Milliseconds.
    fn now() -> f64;
}

#[cfg(all(target_family = "wasm", feature = "gpu"))]
#[wasm_bindgen::prelude::wasm_bindgen]
unsafe extern "C" {
    /// Milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    unsafe fn now() -> f64;
}

#[cfg(not(target_family = "wasm"))]
unsafe fn now() -> f64 {
    0.0
}

impl Clock for Page {
    fn micros(&self) -> u64 {
        // SAFETY: the page's function takes nothing and gives a number.
        (unsafe { now() } * 1000.0) as u64
    }
}

/// The bits of every other machine: on WebAssembly nothing else is faster.
#[cfg(not(feature = "gpu"))]
fn device() -> Result<Device, String> {
    Ok(Device::cpu(1).strict())
}

#[cfg(feature = "gpu")]
use crate::gpu::device;

impl World {
    /// Opens a model file.
    pub fn open(file: &[u8], options: &Options) -> Result<Self, String> {
        let model = Model::from_bytes(file).map_err(|error| error.to_string())?;
        let device = device()?;
        let told = SessionOptions {
            seed: options.seed,
            steps: (options.steps > 0).then_some(options.steps),
            clock: Some(Box::new(Page)),
            ..SessionOptions::default()
        };
        let session = Session::new(&model, &device, told).map_err(|error| error.to_string())?;
        if !session.gives_pictures() {
            return Err(
                "this model needs a codec that is not in its file; the page plays worlds that have theirs".into()
            );
        }
        Ok(Self {
            session,
            device,
            about: (model.config().name.clone(), model.config().fps),
            saved: None,
            snapshot: None,
        })
    }

    /// What there is to know of it, as JSON.
    pub fn describe(&self) -> String {
        let (width, height) = self.session.picture();
        json!({
            "name": self.about.0,
            "fps": self.about.1,
            "width": width,
            "height": height,
            "actions": self.session.actions(),
            "events": self.session.events(),
            "steps": self.session.steps(),
            "bytes": self.session.memory().total(),
            "device": alloc::format!("{:?}", self.device),
        })
        .to_string()
    }

    pub fn act(&mut self, action: &[f32]) -> Result<u32, SessionError> {
        self.session.set_action(action).map(|ticket| ticket as u32 & 0x7fff_ffff)
    }

    pub fn event(&mut self, event: usize) -> Result<u32, SessionError> {
        self.session.queue_event(event, EventTime::NextChunk).map(|ticket| ticket as u32 & 0x7fff_ffff)
    }

    pub fn pump(&mut self, micros: u64) -> Result<u32, SessionError> {
        Ok(match self.session.pump(Budget::Micros(micros))? {
            Pump::Frame | Pump::Full => 1,
            Pump::Pending | Pump::Early(_) => 0,
        })
    }

    pub fn frame(&self) -> Option<&[u8]> {
        self.session.frame().map(|frame| frame.pixels)
    }

    /// Of the frame that is ready, as JSON.
    pub fn receipt(&self) -> String {
        let Some(frame) = self.session.frame() else { return "null".into() };
        let receipt = frame.receipt;
        json!({
            "frame": receipt.frame,
            "action": receipt.action,
            "firstOfAction": receipt.first_of_action,
            "event": receipt.event,
            "firstOfEvent": receipt.first_of_event,
            "began": receipt.began,
            "ready": receipt.ready,
        })
        .to_string()
    }

    pub fn release(&mut self) {
        self.session.release();
    }

    pub fn place(&mut self, pixels: &[u8]) -> Result<u32, SessionError> {
        self.session.place(pixels, 1).map(|_| 0)
    }

    pub fn restart(&mut self, seed: u64) -> Result<u32, SessionError> {
        self.session.restart(seed).map(|()| 0)
    }

    pub fn save(&mut self) -> Result<u32, SessionError> {
        let saved = self.session.save()?;
        let bytes = saved.as_bytes().len();
        self.saved = Some(saved);
        Ok(bytes as u32)
    }

    pub fn saved(&self) -> &[u8] {
        self.saved.as_ref().map_or(&[], Saved::as_bytes)
    }

    pub fn begin_snapshot(&mut self) -> Result<u32, SessionError> {
        self.session.begin_snapshot().map(|()| 0)
    }

    pub fn poll_snapshot(&mut self) -> Result<u32, SessionError> {
        self.snapshot = self.session.poll_snapshot()?;
        Ok(self.snapshot().len() as u32)
    }

    pub fn snapshot(&self) -> &[u8] {
        self.snapshot.as_ref().map_or(&[], Snapshot::as_bytes)
    }

    pub fn restore(&mut self, snapshot: &[u8]) -> Result<u32, SessionError> {
        self.session.restore_bytes(snapshot).map(|()| 0)
    }

    pub fn load(&mut self, saved: &[u8]) -> Result<u32, SessionError> {
        self.session.load_bytes(saved).map(|()| 0)
    }
}
