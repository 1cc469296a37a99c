//! A tiny game: one of the networks of `tests/parity`, imported as `causeway convert` imports it, with a codec that makes its pictures.

use std::{
    fs,
    path::{Path, PathBuf},
};

use causeway_ops::quant::DType;
use causeway_runtime::{
    DecoderFile, Device, Model, Session, SessionOptions,
    file::{Bundler, PartKind},
    import::{Checkpoint, DecoderImport, Import, ImportOptions},
    session::{Change, Condition, Start},
};

use crate::wan::{Tensor, golden, save};

/// Files of a game: pictures of 48 x 32, one and then four of a latent frame, chunks of 3, 4 keys and 2 numbers of the mouse.
pub struct Game {
    /// The denoiser.
    pub model: Model<'static>,
    /// The codec.
    pub codec: DecoderFile<'static>,
    /// Features of a picture [5, 20], and its condition [7, 8, 4, 6].
    pub picture: [Vec<f32>; 2],
    /// Model and codec as files have them.
    files: [Vec<u8>; 2],
}

impl Game {
    /// Reads them.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn open() -> Self {
        let path = golden("game/base_distilled_model/base_distill.safetensors");
        let import = Import::open(path, &ImportOptions::default()).unwrap();
        let mut settings = import.usual();
        (settings.latent, settings.text_length) = ((4, 6), 5);
        let config = import.config(&settings).unwrap();
        let bytes = import.write(Vec::new(), &config, |_, _| DType::F32).unwrap();
        let model = Model::from_shared(bytes.clone().into()).unwrap();
        let mut files = [bytes, Vec::new()];
        let import = DecoderImport::find(golden("taehv.pth"), None).unwrap().unwrap();
        let config = import.config("taehv", "", "", "");
        let bytes = import.write(Vec::new(), &config, DType::F32).unwrap();
        let codec = DecoderFile::from_shared(bytes.clone().into()).unwrap();
        files[1] = bytes;
        let file = Checkpoint::open(golden("game/base_distilled_model.safetensors")).unwrap();
        let tensor = |name: &str| {
            let entry = file.entries().iter().find(|entry| entry.name == name).unwrap();
            file.read_all(entry).unwrap()
        };
        Self { model, codec, picture: ["image_context", "condition"].map(tensor), files }
    }

    /// Writes all of it into one file of the folder `folder`, as a game ships it.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn bundle(&self, folder: &Path) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = |name: &str| folder.join(format!("{name}.safetensors"));
        for (name, bytes) in ["game", "codec"].iter().zip(&self.files) {
            fs::write(path(name), bytes).unwrap();
        }
        let [context, condition] = self.picture.clone();
        let rows: Tensor = (vec![5, 20], context);
        let frames: Tensor = (vec![7, 8, 4, 6], condition);
        save(&path("features"), &[("context", &rows)]);
        save(&path("start"), &[("condition", &frames)]);
        let mut bundler = Bundler::default();
        for (kind, name, part) in [
            (PartKind::Denoiser, "", "game"),
            (PartKind::Codec, "", "codec"),
            (PartKind::Prompt, "hall", "features"),
            (PartKind::Start, "hall", "start"),
        ] {
            bundler.add(kind, name, &path(part)).unwrap();
        }
        bundler.write(&path("bundle"), |_| Ok(())).unwrap();
        path("bundle")
    }

    /// Options of a stream of the picture.
    pub fn options(&self) -> SessionOptions {
        SessionOptions { seed: 7, start: Start::Empty, condition: self.picture[1].clone(), ..SessionOptions::default() }
    }

    /// A session on `device` that was told of the picture.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn session(&self, device: &Device, options: SessionOptions) -> Session {
        let mut session = Session::with_codec(&self.model, &self.codec, device, options).unwrap();
        session.set_prompt(0, &self.picture[0]).unwrap();
        session.queue(Change::to(Condition::Prompt(0))).unwrap();
        session
    }
}
