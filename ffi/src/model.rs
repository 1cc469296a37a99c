//! Opening model files from wherever a host keeps them.

use std::{ffi::c_void, path::Path};

use causeway_runtime::{
    DecoderFile, Model as Denoiser, ModelConfig,
    file::{AnyFile, Bundle},
    model::CodecSource,
};

use crate::{
    error::Error,
    handle::{Handle, Thing},
    sized::Struct,
    types::*,
};

/// An open model file.
pub struct Model(AnyFile<'static>);

impl Thing for Model {}

impl Handle for CwModel {
    type Thing = Model;
    const KIND: usize = 2;
}

impl Model {
    pub fn from_path(path: &str) -> Result<Self, Error> {
        Ok(Self(AnyFile::open(Path::new(path))?))
    }

    /// Copies the bytes.
    pub fn from_copy(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(AnyFile::from_filled(bytes.len(), |target| -> Result<(), Error> {
            target.copy_from_slice(bytes);
            Ok(())
        })?))
    }

    /// Uses the bytes where they are.
    pub fn from_borrowed(bytes: &'static [u8]) -> Result<Self, Error> {
        Ok(Self(AnyFile::from_bytes(bytes)?))
    }

    #[cfg(unix)]
    pub fn from_fd(fd: i32, offset: u64, bytes: u64) -> Result<Self, Error> {
        use std::os::fd::BorrowedFd;
        if fd < 0 {
            return Err(Error::argument(format!("{fd} is no file descriptor")));
        }
        let bytes =
            usize::try_from(bytes).map_err(|_| Error::argument(format!("{bytes} bytes do not fit in memory")))?;
        // SAFETY: only asks the system to duplicate the number, which it refuses for one that is not open.
        let owned = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
        let owned = owned.map_err(|error| {
            Error::new(crate::types::CW_ERROR_IO, format!("cannot use file descriptor {fd}: {error}"))
        })?;
        let file = std::fs::File::from(owned);
        Ok(Self(AnyFile::open_part(&file, offset, bytes)?))
    }

    #[cfg(not(unix))]
    pub fn from_fd(_fd: i32, _offset: u64, _bytes: u64) -> Result<Self, Error> {
        Err(Error::new(crate::types::CW_ERROR_UNSUPPORTED, "file descriptors can be opened on Unix systems only"))
    }

    pub fn from_reader(reader: &CwReader) -> Result<Self, Error> {
        let Some(read) = reader.read else { return Err(Error::argument("the CwReader has no `read`")) };
        let bytes = reader.bytes;
        let length =
            usize::try_from(bytes).map_err(|_| Error::argument(format!("{bytes} bytes do not fit in memory")))?;
        Ok(Self(AnyFile::from_filled(length, |target| {
            // SAFETY: the host's function as it declared it; the target has `bytes` bytes.
            match unsafe { read(reader.user, 0, target.as_mut_ptr().cast::<c_void>(), bytes) } {
                0 => Ok(()),
                code => {
                    Err(Error::new(CW_ERROR_HOST, format!("the host's `read` returned {code} for {bytes} bytes at 0")))
                }
            }
        })?))
    }

    /// What a session runs.
    pub fn denoiser(&self) -> Result<&Denoiser<'static>, Error> {
        match &self.0 {
            AnyFile::Denoiser(model) => Ok(model),
            AnyFile::Bundle(bundle) => Ok(bundle.denoiser()),
            AnyFile::Codec(_) => Err(Error::argument("this file holds a codec; a session runs a denoiser")),
            AnyFile::Text(_) => Err(Error::argument("this file holds a text encoder; a session runs a denoiser")),
        }
    }

    /// What makes pictures, and lies in the same file but not in the denoiser's part.
    pub fn own_codec(&self) -> Option<&DecoderFile<'static>> {
        match &self.0 {
            AnyFile::Bundle(bundle) => bundle.codec(),
            _ => None,
        }
    }

    /// What a text encoder runs.
    #[cfg(feature = "text")]
    pub fn text(&self) -> Result<&causeway_runtime::file::Umt5File<'static>, Error> {
        match &self.0 {
            AnyFile::Text(file) => Ok(file),
            _ => Err(Error::argument("this file holds no text encoder")),
        }
    }

    /// The bundle that it is, if it is one.
    pub fn bundle(&self) -> Option<&Bundle<'static>> {
        match &self.0 {
            AnyFile::Bundle(bundle) => Some(bundle),
            _ => None,
        }
    }

    /// What makes pictures, in a file of its own.
    pub fn codec(&self) -> Result<&DecoderFile<'static>, Error> {
        match &self.0 {
            AnyFile::Codec(codec) => Ok(codec),
            AnyFile::Bundle(bundle) => {
                bundle.codec().ok_or_else(|| Error::argument("`codec` is a bundle without a codec of its own"))
            }
            AnyFile::Denoiser(_) => Err(Error::argument("`codec` is a file that holds a denoiser, not a codec")),
            AnyFile::Text(_) => Err(Error::argument("`codec` is a file that holds a text encoder, not a codec")),
        }
    }

    pub fn info(&self) -> CwModelInfo {
        let mut info = CwModelInfo::defaults();
        info.struct_size = size_of::<CwModelInfo>() as u32;
        info.file_bytes = self.0.file_bytes() as u64;
        match &self.0 {
            AnyFile::Denoiser(model) => denoiser(&mut info, model.config()),
            AnyFile::Codec(file) => {
                info.latent_channels = file.config().codec.channels() as u32;
                codec(&mut info, file);
            }
            AnyFile::Bundle(bundle) => {
                denoiser(&mut info, bundle.denoiser().config());
                if let Some(file) = bundle.codec() {
                    codec(&mut info, file);
                }
                info.prompts = bundle.prompts().len() as u32;
                info.holds |= if info.prompts > 0 { CW_HOLDS_PROMPTS } else { 0 };
                info.holds |= if bundle.starts().len() > 0 { CW_HOLDS_STARTS } else { 0 };
            }
            AnyFile::Text(text) => {
                info.holds = CW_HOLDS_TEXT_ENCODER;
                info.holds |= if text.tokenizer().is_empty() { 0 } else { CW_HOLDS_TOKENIZER };
                info.prompt_width = text.config().encoder.dim as u32;
                info.prompt_rows = text.config().encoder.length as u32;
            }
        }
        info
    }
}

fn codec(info: &mut CwModelInfo, file: &DecoderFile<'_>) {
    info.holds |= CW_HOLDS_CODEC;
    let encodes = CodecSource::File(&file.config().codec).encodes();
    info.takes |= if encodes { CW_TAKES_PICTURE } else { 0 };
    let codec = &file.config().codec;
    (info.first_pictures, info.pictures) = (codec.first_pictures() as u32, codec.time_factor() as u32);
}

fn denoiser(info: &mut CwModelInfo, config: &ModelConfig) {
    let ((width, height), dit, history) = (config.picture(), &config.dit, &config.history);
    (info.width, info.height, info.fps) = (width as u32, height as u32, config.fps);
    (info.actions, info.events) = (dit.actions.len() as u32, dit.events.len() as u32);
    info.chunk = dit.chunk as u32;
    (info.window, info.sink, info.route) = (history.window as u32, history.sink as u32, history.route as u32);
    info.steps = config.schedule.default_steps as u32;
    info.start_frames = config.start.as_ref().map_or(0, |start| start.count as u32);
    info.latent_channels = dit.latent.channels as u32;
    (info.latent_width, info.latent_height) = (dit.latent.width as u32, dit.latent.height as u32);
    info.holds |= CW_HOLDS_DENOISER;
    if config.holds_codec() {
        info.holds |= CW_HOLDS_CODEC;
        (info.first_pictures, info.pictures) =
            (config.codec.first_pictures() as u32, config.codec.time_factor() as u32);
    }
    let takes = [
        (!dit.actions.is_empty(), CW_TAKES_ACTIONS),
        (!dit.events.is_empty(), CW_TAKES_EVENTS),
        (dit.text.is_some(), CW_TAKES_PROMPT | CW_TAKES_NEGATIVE),
        (config.holds_codec() && CodecSource::World(config).encodes(), CW_TAKES_PICTURE),
    ];
    info.takes = takes.iter().filter(|(takes, _)| *takes).map(|(_, flag)| flag).sum();
    if let Some(text) = dit.text {
        (info.prompt_width, info.prompt_rows) = (text.dim as u32, text.length as u32);
    }
}
