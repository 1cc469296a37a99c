//! The component.

use std::time::Duration;

use bevy::{
    asset::RenderAssetUsages,
    platform::cell::SyncCell,
    prelude::*,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};
use causeway_runtime::{
    Budget, Device, Receipt, Session, SessionError, SessionOptions,
    clock::SystemClock,
    session::{Creation, Files, Planned, Saved, Way},
};

#[cfg(feature = "text")]
use crate::Text;
use crate::{Prompt, WorldError, WorldFile, prompts::Teller};

/// One stream of a world.
#[derive(Component)]
pub struct NeuralWorld {
    /// How long it may compute in each update.
    pub budget: Duration,
    /// Frames a second of the game's time ([`Time`]) at most; `None` shows each as soon as it is made.
    pub pace: Option<f32>,
    /// False pauses it; its creation, and prompts on their way, go on. An error of the session pauses it too.
    pub playing: bool,
    /// What becomes of the past when it is told a prompt: [`Way::Recache`] of a world that was begun with `recache`, else [`Way::Keep`].
    pub way: Way,
    stage: SyncCell<Stage>,
    teller: SyncCell<Teller>,
    file: Option<WorldFile>,
    image: Handle<Image>,
    /// The stream knows what to show: a world always does, one of prompts once it was told one.
    told: bool,
    /// To be loaded once the world is there.
    kept: Option<Saved>,
    on_gpu: bool,
    progress: f32,
    encoded: f32,
    /// When the next frame is due, by the game's time.
    pub(crate) due: Duration,
}

enum Stage {
    Begun(Box<Creation<WorldFile>>),
    There(Box<Session>),
    /// Its creation failed.
    Failed,
}

/// What came of an update.
pub(crate) enum Step {
    Nothing,
    Ready,
    Told(u64),
    Played,
    Failed(WorldError),
}

impl NeuralWorld {
    /// Begins to create a world: updates do the work within the budget, [`Self::progress`] tells how far it is, and [`WorldReady`](crate::WorldReady) that it is
    /// there. 2 ms an update and no pace, until you set others.
    ///
    /// # Errors
    /// Options that do not fit the file; what fails later is a [`WorldFailed`](crate::WorldFailed).
    pub fn begin(
        file: &WorldFile,
        device: &Device,
        options: SessionOptions,
        images: &mut Assets<Image>,
    ) -> Result<Self, SessionError> {
        let way = if options.recache { Way::Recache } else { Way::Keep };
        let planned = Planned::new(file.model(), file.codec(), options)?;
        let size = planned.need(file.model(), file.codec(), device)?.picture;
        let stage = Stage::Begun(Box::new(Creation::new(planned, file.clone(), device)?));
        let (told, file) = (!file.reads_prompts(), Some(file.clone()));
        let on_gpu = device.is_gpu();
        Ok(Self { way, told, file, on_gpu, progress: 0.0, ..Self::of(stage, size, images) })
    }

    /// Takes a session over, which must have been told a prompt if it reads them.
    pub fn new(session: Session, images: &mut Assets<Image>) -> Self {
        let size = session.picture();
        Self::of(Stage::There(Box::new(session)), size, images)
    }

    fn of(stage: Stage, (width, height): (usize, usize), images: &mut Assets<Image>) -> Self {
        let size = Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
        let black = vec![0; 4 * width * height];
        // The pixels stay in the main world too: the next frame is exchanged for them.
        let image =
            Image::new(size, TextureDimension::D2, black, TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::all());
        Self {
            budget: Duration::from_millis(2),
            pace: None,
            playing: true,
            way: Way::Keep,
            stage: SyncCell::new(stage),
            teller: SyncCell::new(Teller::default()),
            file: None,
            image: images.add(image),
            told: true,
            kept: None,
            on_gpu: false,
            progress: 1.0,
            encoded: 1.0,
            due: Duration::ZERO,
        }
    }

    /// The image that shows the newest frame: RGBA8, sRGB, rows from the top. The same one for the world's life.
    pub fn image(&self) -> Handle<Image> {
        self.image.clone()
    }

    /// How far its creation is, from 0 to 1, for a progress bar.
    pub fn progress(&self) -> f32 {
        self.progress
    }

    /// How far the words are that it is to be told, from 0 to 1; 1 where there are none on their way.
    pub fn prompt_progress(&self) -> f32 {
        self.encoded
    }

    /// Names of the prompts that its file stores.
    pub fn prompts(&self) -> Vec<&str> {
        self.file.as_ref().map(WorldFile::prompts).unwrap_or_default()
    }

    /// Gives it an encoder for prompts in words.
    #[cfg(feature = "text")]
    pub fn set_text(&mut self, text: Text) {
        self.teller.get().text = Some(text);
    }

    /// Tells it a prompt, as [`WorldPrompt`](crate::WorldPrompt) does; before it is there, once it is.
    ///
    /// # Errors
    /// A prompt that there is not, words without an encoder.
    pub fn tell(&mut self, prompt: &Prompt) -> Result<(), WorldError> {
        self.teller.get().tell(prompt, self.file.as_ref())
    }

    /// Sets the action that the next chunk will take (the latest wins) and returns its ticket, which receipts name; None before the world is there.
    ///
    /// # Errors
    /// A vector of the wrong length, or a value that is not finite.
    pub fn set_action(&mut self, action: &[f32]) -> Result<Option<u64>, SessionError> {
        self.session().map(|session| session.set_action(action)).transpose()
    }

    /// A saved game: small, for any device and later versions; None before the world is there, unless one waits to be loaded.
    ///
    /// # Errors
    /// [`SessionError::OutOfMemory`].
    pub fn save(&mut self) -> Result<Option<Saved>, SessionError> {
        let kept = self.kept.clone();
        self.session().map_or(Ok(kept), |session| session.save().map(Some))
    }

    /// Goes on from a saved game; before the world is there, once it is. What it was about to be told is given up.
    ///
    /// # Errors
    /// Those of [`Session::load`], with which nothing has changed.
    pub fn load(&mut self, saved: Saved) -> Result<(), SessionError> {
        match self.stage.get() {
            Stage::There(session) => session.load(&saved)?,
            _ => self.kept = Some(saved),
        }
        self.teller.get().forget();
        self.told = true;
        Ok(())
    }

    /// The session: names of actions and events, snapshots, restarts; None before it is there. Frames that you pump and release yourself do not show.
    pub fn session(&mut self) -> Option<&mut Session> {
        match self.stage.get() {
            Stage::There(session) => Some(session),
            _ => None,
        }
    }

    /// Works on a prompt on its way, and tells it; how much of the budget is left, and what came of it.
    pub(crate) fn step_prompt(&mut self, micros: u64) -> (u64, Step) {
        let (Stage::There(session), teller) = (self.stage.get(), self.teller.get()) else {
            return (micros, Step::Nothing);
        };
        let left = if teller.encodes() { micros / 2 } else { micros };
        let step = match teller.pump(session, self.file.as_ref(), left, self.way) {
            Ok(None) => Step::Nothing,
            Ok(Some(ticket)) => {
                self.told = true;
                Step::Told(ticket)
            }
            Err(error) => {
                // What was said is lost, the world is not.
                teller.forget();
                Step::Failed(error)
            }
        };
        self.encoded = teller.progress();
        (left, step)
    }

    /// Works on the world, or its creation.
    pub(crate) fn step(&mut self, micros: u64) -> Step {
        match self.stage.get() {
            Stage::Failed => Step::Nothing,
            Stage::Begun(creation) => match creation.pump(micros, &SystemClock::default()) {
                Ok(None) => {
                    let progress = creation.progress();
                    let share = progress.done as f32 / progress.total.max(1) as f32;
                    // Kernels of a GPU are the second half.
                    let stage = f32::from(progress.stage as u8);
                    self.progress = if self.on_gpu { (stage + share) / 2.0 } else { share }.min(0.99);
                    Step::Nothing
                }
                Ok(Some(session)) => {
                    self.progress = 1.0;
                    self.there(session)
                }
                Err(error) => {
                    self.stage = SyncCell::new(Stage::Failed);
                    Step::Failed(error.into())
                }
            },
            Stage::There(_) if !self.playing || !self.told => Step::Nothing,
            Stage::There(session) => match session.pump(Budget::Micros(micros)) {
                Ok(_) => Step::Played,
                Err(error) => Step::Failed(error.into()),
            },
        }
    }

    fn there(&mut self, mut session: Session) -> Step {
        let loaded = self.kept.take().map_or(Ok(()), |saved| session.load(&saved));
        self.stage = SyncCell::new(Stage::There(Box::new(session)));
        if let Err(error) = loaded {
            self.told = self.file.as_ref().is_none_or(|file| !file.reads_prompts());
            return Step::Failed(error.into());
        }
        let teller = self.teller.get();
        if !self.told && !teller.waits() {
            // A stream of prompts begins with the first one, where the game has not said another one.
            _ = teller.tell(&Prompt::Stored(0), self.file.as_ref());
        }
        Step::Ready
    }

    /// Exchanges the picture for a new frame, if one waits.
    pub(crate) fn show(&mut self, images: &mut Assets<Image>) -> Option<Receipt> {
        let Stage::There(session) = self.stage.get() else { return None };
        session.frame()?;
        let mut image = images.get_mut(&self.image)?;
        session.swap_frame(image.data.as_mut()?)
    }
}
