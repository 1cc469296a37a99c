//! A tiny game: one of the networks of `tests/parity`, imported as `causeway convert` imports it, with a codec that makes its pictures.

use causeway_ops::quant::DType;
use causeway_runtime::{
    DecoderFile, Device, Model, Session, SessionOptions,
    import::{Checkpoint, DecoderImport, Import, ImportOptions},
    session::{Change, Condition, Start},
};

use crate::wan::golden;

/// Files of a game: pictures of 48 x 32, one and then four of a latent frame, chunks of 3, 4 keys and 2 numbers of the mouse.
pub struct Game {
    /// The denoiser.
    pub model: Model<'static>,
    /// The codec.
    pub codec: DecoderFile<'static>,
    /// Features of a picture [5, 20], and its condition [7, 8, 4, 6].
    pub picture: [Vec<f32>; 2],
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
        let model = Model::from_shared(bytes.into()).unwrap();
        let import = DecoderImport::find(golden("taehv.pth"), None).unwrap().unwrap();
        let config = import.config("taehv", "", "", "");
        let bytes = import.write(Vec::new(), &config, DType::F32).unwrap();
        let codec = DecoderFile::from_shared(bytes.into()).unwrap();
        let file = Checkpoint::open(golden("game/base_distilled_model.safetensors")).unwrap();
        let tensor = |name: &str| {
            let entry = file.entries().iter().find(|entry| entry.name == name).unwrap();
            file.read_all(entry).unwrap()
        };
        Self { model, codec, picture: ["image_context", "condition"].map(tensor) }
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
