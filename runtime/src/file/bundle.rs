//! What a game ships of a prompt-driven model: denoiser, codec, prompts and starts in one safetensors file.
//!
//! A part lies in it as in its own file: the data byte for byte, the header as a text of the JSON, so that splitting gives the files back.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::ops::Range;

use causeway_ops::{
    quant::{DType, Row, TensorView},
    stored::ReadError,
};
use serde::{Deserialize, Serialize};

use super::{
    FileError, Model,
    container::{self, RawTensor, RawType},
    fingerprint::Fingerprint,
    limits::ALIGN,
    reader::Storage,
};
use crate::{
    codec::decoder::DecoderFile,
    config::{ConfigError, ModelConfig, check_version, from_str, printable},
};

/// Most parts of a bundle.
const MOST: usize = 1024;
/// Bytes that are read at once where nothing may be allocated; whole values.
const STACK: usize = 1 << 12;

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartKind {
    /// A model file with a denoiser.
    Denoiser,
    /// A model file with a codec.
    Codec,
    /// A safetensors file with a tensor `context` [rows, width], as `causeway embed` makes them.
    Prompt,
    /// A safetensors file with a tensor `latents` [n, C, H, W], as `causeway encode` makes them; of a game with its picture condition, `condition`
    /// [n, channels, H, W].
    Start,
}

/// The family of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BundleFamily {
    /// There is one.
    Bundle,
}

/// The `causeway` JSON of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleConfig {
    pub format: u32,
    pub family: BundleFamily,
    pub parts: Vec<Part>,
}

/// Where a part lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Name of a prompt or a start; empty for others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Header of the part's own file, as it is there.
    pub header: String,
    /// First byte of its data in the data of the bundle.
    pub begin: usize,
    /// Bytes of its data.
    pub bytes: usize,
}

impl Part {
    /// Name that people know it by, and that its file has after a split.
    pub fn title(&self) -> String {
        match self.kind {
            PartKind::Denoiser => "denoiser".to_owned(),
            PartKind::Codec => "codec".to_owned(),
            PartKind::Prompt => format!("prompt-{}", self.name),
            PartKind::Start => format!("start-{}", self.name),
        }
    }

    /// The tensors of which a prompt or a start has one, and their dimensions.
    fn tensors(kind: PartKind) -> (&'static [&'static str], usize) {
        if kind == PartKind::Prompt { (&["context"], 2) } else { (&["latents", "condition"], 4) }
    }
}

/// Values of a prompt or a start, which lie in the file until they are wanted.
pub(super) struct Extra {
    name: String,
    tensor: &'static str,
    shape: Vec<usize>,
    dtype: DType,
    bytes: Range<usize>,
}

/// An opened bundle.
pub struct Bundle<'a> {
    denoiser: Model<'a>,
    codec: Option<DecoderFile<'a>>,
    prompts: Vec<Extra>,
    starts: Vec<Extra>,
    parts: Vec<Part>,
    data_start: usize,
    storage: Arc<Storage<'a>>,
}

impl Extra {
    /// Values that it has, at least one.
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl<'a> Bundle<'a> {
    pub(super) fn check(storage: Storage<'a>, json: &str, data_start: usize) -> Result<Self, FileError> {
        let bad = |what: String| ConfigError::Json(printable(&what));
        let config: BundleConfig = from_str(json).map_err(|error| bad(format!("{error}")))?;
        check_version(config.format)?;
        let (storage, parts) = (Arc::new(storage), config.parts);
        if parts.len() > MOST {
            return Err(bad(format!("a bundle of {} parts, at most {MOST}", parts.len())).into());
        }
        let (mut denoiser, mut codec, mut prompts, mut starts) = (None, None, Vec::new(), Vec::new());
        for part in &parts {
            let end = part.begin.checked_add(part.bytes).and_then(|end| end.checked_add(data_start));
            if end.is_none_or(|end| end > storage.len()) {
                return Err(bad(format!("part {} lies beyond the end of the file", part.title())).into());
            }
            if !part.begin.is_multiple_of(ALIGN) {
                return Err(FileError::MisalignedData(part.begin));
            }
            let place = (data_start + part.begin, part.bytes);
            let twice = || bad(format!("part {} is there twice", part.title()));
            match part.kind {
                PartKind::Denoiser => {
                    if denoiser.replace(Model::part(&storage, &part.header, place)?).is_some() {
                        return Err(twice().into());
                    }
                }
                PartKind::Codec => {
                    if codec.replace(DecoderFile::part(&storage, &part.header, place)?).is_some() {
                        return Err(twice().into());
                    }
                }
                PartKind::Prompt | PartKind::Start => {
                    let list = if part.kind == PartKind::Prompt { &mut prompts } else { &mut starts };
                    if part.name.is_empty() || list.iter().any(|extra: &Extra| extra.name == part.name) {
                        return Err(twice().into());
                    }
                    list.push(extra(part, place)?);
                }
            }
        }
        let denoiser = denoiser.ok_or_else(|| bad("a bundle without a denoiser".to_owned()))?;
        let channels = codec.as_ref().map(|codec| codec.config().codec.channels());
        fit(denoiser.config(), channels, &prompts, &starts).map_err(bad)?;
        Ok(Self { denoiser, codec, prompts, starts, parts, data_start, storage })
    }

    /// What a session runs.
    pub fn denoiser(&self) -> &Model<'a> {
        &self.denoiser
    }

    /// What makes pictures, where it is not in the denoiser's part.
    pub fn codec(&self) -> Option<&DecoderFile<'a>> {
        self.codec.as_ref()
    }

    /// Names of the prompts, in order, with their rows and the values of a row.
    pub fn prompts(&self) -> impl ExactSizeIterator<Item = (&str, [usize; 2])> + Clone {
        self.prompts.iter().map(|extra| (extra.name.as_str(), [extra.shape[0], extra.shape[1]]))
    }

    /// Names of the starts, in order.
    pub fn starts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.starts.iter().map(|extra| extra.name.as_str())
    }

    /// Values of prompt `index` [rows, width]; None where there is none.
    ///
    /// # Errors
    /// [`FileError::Read`].
    pub fn prompt(&self, index: usize) -> Result<Option<Vec<f32>>, FileError> {
        self.prompts.get(index).map(|extra| self.values(extra)).transpose()
    }

    /// Reads prompt `index` into `values`, and allocates nothing for that. False, and nothing done, where there is none or it has another size
    /// ([`Bundle::prompts`]).
    ///
    /// # Errors
    /// [`FileError::Read`]; then some of `values` may be written.
    pub fn read_prompt(&self, index: usize, values: &mut [f32]) -> Result<bool, FileError> {
        let Some(extra) = self.prompts.get(index).filter(|extra| extra.len() == values.len()) else { return Ok(false) };
        let size = extra.bytes.len() / values.len();
        self.storage.bytes(extra.bytes.clone()).pieces_in(&mut [0; STACK], |start, data| {
            let values = &mut values[start / size..][..data.len() / size];
            Row { dtype: extra.dtype, data, scales: &[] }.decode(values);
            Ok::<_, ReadError>(())
        })?;
        Ok(true)
    }

    /// Values of start `index` [n, C, H, W]; None where there is none.
    ///
    /// # Errors
    /// [`FileError::Read`].
    pub fn start(&self, index: usize) -> Result<Option<Vec<f32>>, FileError> {
        self.starts.get(index).map(|extra| self.values(extra)).transpose()
    }

    fn values(&self, extra: &Extra) -> Result<Vec<f32>, FileError> {
        let data = self.storage.bytes(extra.bytes.clone());
        Ok(TensorView { dtype: extra.dtype, shape: &extra.shape, data, scales: None }.to_f32()?)
    }

    /// All parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Visits the bytes of a part's own file, in pieces.
    ///
    /// # Errors
    /// A file that cannot be read, and those of `visit`.
    pub fn split<E: From<FileError>>(
        &self,
        part: &Part,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(&(part.header.len() as u64).to_le_bytes())?;
        visit(part.header.as_bytes())?;
        let begin = self.data_start + part.begin;
        let mut failed = None;
        let read = self.storage.bytes(begin..begin + part.bytes).pieces(|_, piece| {
            if failed.is_none() {
                failed = visit(piece).err();
            }
            Ok::<_, ReadError>(())
        });
        read.map_err(FileError::from)?;
        failed.map_or(Ok(()), Err)
    }

    /// Of a part's own file as it is, read anew; as [`ModelFile::verify`](super::ModelFile::verify).
    ///
    /// # Errors
    /// [`FileError::Read`].
    pub fn verify(&self, part: &Part) -> Result<Fingerprint, FileError> {
        let (length, begin) = (part.header.len() as u64, self.data_start + part.begin);
        let start = [&length.to_le_bytes(), part.header.as_bytes()].concat();
        Ok(Fingerprint::of(start, self.storage.bytes(begin..begin + part.bytes))?)
    }

    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> usize {
        self.storage.len()
    }
}

/// Whether parts belong together.
pub(super) fn fit(
    model: &ModelConfig,
    codec: Option<usize>,
    prompts: &[Extra],
    starts: &[Extra],
) -> Result<(), String> {
    let channels = model.dit.latent.channels;
    if codec.is_some() && model.holds_codec() {
        return Err("the denoiser's part holds its codec, and there is another one".to_owned());
    }
    if let Some(theirs) = codec.filter(|&theirs| theirs != channels) {
        return Err(format!("the denoiser makes latents of {channels} channels, the codec takes {theirs}"));
    }
    let width = model.dit.text.map_or(0, |text| text.dim);
    if let Some(Extra { name, shape, .. }) = prompts.iter().find(|prompt| prompt.shape[1] != width) {
        return Err(format!("prompt {name} has rows of {}, the denoiser takes {width}", shape[1]));
    }
    // A game begins from a picture that it is told with every frame, others from frames.
    let (tensor, channels) = model.dit.game().map_or(("latents", channels), |game| ("condition", game.condition));
    if let Some(Extra { name, tensor: found, .. }) = starts.iter().find(|start| start.tensor != tensor) {
        return Err(format!("start {name} has a tensor `{found}`, the denoiser begins from `{tensor}`"));
    }
    if let Some(Extra { name, shape, .. }) = starts.iter().find(|start| start.shape[1] != channels) {
        return Err(format!("start {name} has {} channels, the denoiser {channels}", shape[1]));
    }
    Ok(())
}

/// The tensor of a prompt or a start whose data begin at byte `begin` of the bundle.
pub(super) fn extra(part: &Part, (begin, data): (usize, usize)) -> Result<Extra, FileError> {
    let (names, rank) = Part::tensors(part.kind);
    let found = container::parse(part.header.as_bytes(), data as u64, |_, _, _| Ok(()))?;
    let wrong = || {
        FileError::Header(format!(
            "{} has no tensor `{}` of {rank} dimensions in F32 or F16",
            part.title(),
            names.join("` or `")
        ))
    };
    let named = |name: &&'static str| Some((*name, found.tensors.iter().find(|tensor| tensor.name == *name)?));
    let (name, RawTensor { dtype, shape, bytes, .. }) = names.iter().find_map(named).ok_or_else(wrong)?;
    let dtype = match *dtype {
        RawType::F32 => DType::F32,
        RawType::F16 => DType::F16,
        _ => return Err(wrong()),
    };
    if shape.len() != rank || shape.contains(&0) {
        return Err(wrong());
    }
    let bytes = begin + bytes.start as usize..begin + bytes.end as usize;
    Ok(Extra { name: part.name.clone(), tensor: name, shape: shape.clone(), dtype, bytes })
}
