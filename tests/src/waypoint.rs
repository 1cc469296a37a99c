//! A tiny Waypoint world: one of the networks of `tests/parity`, imported as `causeway convert` imports it, with the codec beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use causeway_ops::quant::DType;
use causeway_runtime::{
    DecoderFile, Device, Model, Session, SessionOptions,
    file::{Bundler, PartKind},
    import::{Checkpoint, DecoderImport, WaypointImport, WaypointOptions},
};

use crate::wan::golden;

/// Files of a world: pictures of 96 x 64, four of each latent frame; 11 controls, the mouse's two, 8 buttons and the wheel.
pub struct World {
    /// The denoiser.
    pub model: Model<'static>,
    /// The codec.
    pub codec: DecoderFile<'static>,
    /// Model and codec as files have them.
    files: [Vec<u8>; 2],
}

impl World {
    /// Reads them.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn open() -> Self {
        let checkpoint = Checkpoint::open(golden("waypoint/waypoint/model.safetensors")).unwrap();
        let import = WaypointImport::of(checkpoint, WaypointOptions::default()).unwrap().unwrap();
        let config = import.config(&import.usual()).unwrap();
        let bytes = import.write(Vec::new(), &config, |_, _| DType::F32).unwrap();
        let model = Model::from_shared(bytes.clone().into()).unwrap();
        let mut files = [bytes, Vec::new()];
        let import = DecoderImport::find(golden("waypoint/codec/taehv1_5.safetensors"), None).unwrap().unwrap();
        let bytes = import.write(Vec::new(), &import.config("taehv1_5", "", "", ""), DType::F32).unwrap();
        let codec = DecoderFile::from_shared(bytes.clone().into()).unwrap();
        files[1] = bytes;
        Self { model, codec, files }
    }

    /// Writes both into one file of the folder `folder`, as a game ships it.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn bundle(&self, folder: &Path) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = |name: &str| folder.join(format!("{name}.safetensors"));
        let mut bundler = Bundler::default();
        for ((kind, name), bytes) in
            [(PartKind::Denoiser, "world"), (PartKind::Codec, "codec")].into_iter().zip(&self.files)
        {
            fs::write(path(name), bytes).unwrap();
            bundler.add(kind, "", &path(name)).unwrap();
        }
        bundler.write(&path("bundle"), |_| Ok(())).unwrap();
        path("bundle")
    }

    /// A session on `device`.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn session(&self, device: &Device, options: SessionOptions) -> Session {
        Session::with_codec(&self.model, &self.codec, device, options).unwrap()
    }

    /// The picture of `tests/parity/waypoint.py`, RGBA8.
    pub fn picture() -> Vec<u8> {
        let pixel =
            |y: usize, x: usize| [(255 * x / 95) as u8, (255 * y / 63) as u8, ((3 * x + 5 * y) % 256) as u8, 255];
        (0..64).flat_map(|y| (0..96).flat_map(move |x| pixel(y, x))).collect()
    }
}
