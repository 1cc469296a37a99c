//! Writes bundles.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{
    Bundle, FileError, Model, PartialFile,
    bundle::{BundleConfig, BundleFamily, Part, PartKind, extra, fit},
    container::{self, RawTensor},
    limits::{ALIGN, PAD},
    regular,
};
use crate::{
    codec::decoder::DecoderFile,
    config::{ConfigError, FORMAT, ModelConfig, printable},
};

/// Copied at a time.
const PIECE: usize = 1 << 18;

/// A file that becomes a part.
struct Source {
    part: Part,
    file: File,
    path: PathBuf,
    data_start: u64,
}

/// Collects the parts of a bundle.
#[derive(Default)]
pub struct Bundler {
    denoiser: Option<ModelConfig>,
    /// Channels of a latent of the codec.
    codec: Option<usize>,
    sources: Vec<Source>,
    entries: String,
    names: BTreeSet<String>,
    pads: usize,
    /// Bytes of data so far.
    end: usize,
}

impl Bundler {
    /// Adds the file at `path` as a part; prompts and starts have names.
    ///
    /// # Errors
    /// A file that cannot be read, or is no safetensors file; a name that is not letters, digits, `-` and `_`.
    pub fn add(&mut self, kind: PartKind, name: &str, path: &Path) -> Result<(), FileError> {
        let named = matches!(kind, PartKind::Prompt | PartKind::Start);
        let twice = match kind {
            PartKind::Denoiser => self.denoiser.replace(Model::open(path)?.config().clone()).is_some(),
            PartKind::Codec => self.codec.replace(DecoderFile::open(path)?.config().codec.channels()).is_some(),
            _ => false,
        };
        if let (Some(model), Some(_)) = (&self.denoiser, self.codec) {
            fit(model, self.codec, &[], &[]).map_err(FileError::Header)?;
        }
        if twice {
            return Err(FileError::Header(format!("a second part of the kind {kind:?}")));
        }
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if named && !plain {
            let what = format!(
                "a part may be called by letters, digits, `-` and `_`, not {:?}",
                crate::config::printable(name)
            );
            return Err(FileError::Header(what));
        }
        let failed = |action| move |source| FileError::Io { action, path: path.display().to_string(), source };
        let mut file = regular::open(path).map_err(failed("open"))?;
        let size = file.metadata().map_err(failed("read"))?.len();
        let mut start = Vec::new();
        (&mut file).take(9).read_to_end(&mut start).map_err(failed("read"))?;
        let data_start = container::data_start(&start, size)?;
        let mut header = start.split_off(8);
        (&mut file).take(data_start as u64 - 9).read_to_end(&mut header).map_err(failed("read"))?;
        let data = size - data_start as u64;
        let found = container::parse(&header, data, |_, _, _| Ok(()))?;
        let begin = self.end;
        for RawTensor { name: own, dtype, shape, bytes } in &found.tensors {
            let renamed = match own.as_ref() {
                pad if pad.starts_with(PAD) => self.pad(),
                "context" if kind == PartKind::Prompt => format!("prompt.{name}"),
                "latents" if kind == PartKind::Start => format!("start.{name}"),
                own if named => format!("{}.{name}.{own}", if kind == PartKind::Prompt { "prompt" } else { "start" }),
                own => own.to_owned(),
            };
            self.entry(&renamed, dtype.name(), shape, (begin as u64 + bytes.start, begin as u64 + bytes.end))?;
        }
        self.end += usize::try_from(data).map_err(|_| FileError::HeaderTooLarge(data))?;
        let gap = self.end.next_multiple_of(ALIGN) - self.end;
        if gap > 0 {
            let (name, end) = (self.pad(), self.end as u64);
            self.entry(&name, "U8", &[gap], (end, end + gap as u64))?;
            self.end += gap;
        }
        let header = String::from_utf8(header).map_err(|error| FileError::Header(error.to_string()))?;
        let part = Part {
            kind,
            name: if named { name.to_owned() } else { String::new() },
            header,
            begin,
            bytes: data as usize,
        };
        self.sources.push(Source { part, file, path: path.to_owned(), data_start: data_start as u64 });
        Ok(())
    }

    fn pad(&mut self) -> String {
        self.pads += 1;
        format!("{PAD}{}", self.pads - 1)
    }

    fn entry(&mut self, name: &str, dtype: &str, shape: &[usize], (start, end): (u64, u64)) -> Result<(), FileError> {
        if !self.names.insert(name.to_owned()) {
            return Err(FileError::Duplicate(name.to_owned()));
        }
        let name = serde_json::Value::from(name);
        self.entries +=
            &format!(",{name}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}");
        Ok(())
    }

    /// Writes the bundle to `path`, which appears complete or not at all, once its parts were opened and belong together.
    /// `watch` is told of bytes written and may end it.
    ///
    /// # Errors
    /// Parts that do not make a bundle, files that cannot be read or written, those of `watch`.
    pub fn write(mut self, path: &Path, mut watch: impl FnMut(usize) -> io::Result<()>) -> Result<(), FileError> {
        self.check()?;
        let parts = self.sources.iter().map(|source| source.part.clone()).collect();
        let config = serde_json::Value::from(json(parts)?);
        let mut header = format!("{{\"__metadata__\":{{\"causeway\":{config}}}{}}}", self.entries);
        let spaces = (8 + header.len()).next_multiple_of(ALIGN) - (8 + header.len());
        header.extend(std::iter::repeat_n(' ', spaces));
        let mut out = PartialFile::create(path)?;
        let failed = |source| FileError::Io { action: "write", path: path.display().to_string(), source };
        out.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
        out.write_all(header.as_bytes()).map_err(failed)?;
        let mut buffer = vec![0; PIECE];
        for Source { part, file, path: from, data_start } in &mut self.sources {
            let unread = |source| FileError::Io { action: "read", path: from.display().to_string(), source };
            file.seek(SeekFrom::Start(*data_start)).map_err(unread)?;
            let mut left = part.bytes;
            while left > 0 {
                let piece = &mut buffer[..left.min(PIECE)];
                file.read_exact(piece).map_err(unread)?;
                out.write_all(piece).map_err(failed)?;
                left -= piece.len();
                watch(piece.len()).map_err(failed)?;
            }
            let gap = part.bytes.next_multiple_of(ALIGN) - part.bytes;
            out.write_all(&[0; ALIGN][..gap]).map_err(failed)?;
        }
        out.commit()
    }

    /// Whether the parts make a bundle.
    fn check(&self) -> Result<(), FileError> {
        let Some(denoiser) = &self.denoiser else {
            return Err(FileError::Header("a bundle needs a denoiser".to_owned()));
        };
        let extras = |kind| {
            let parts = self.sources.iter().map(|source| &source.part).filter(move |part| part.kind == kind);
            parts.map(|part| extra(part, (0, part.bytes))).collect::<Result<Vec<_>, _>>()
        };
        let (prompts, starts) = (extras(PartKind::Prompt)?, extras(PartKind::Start)?);
        fit(denoiser, self.codec, &prompts, &starts).map_err(FileError::Header)
    }
}

/// Writes the parts of a bundle to files of their own in the folder `to`: `denoiser.safetensors`, `codec.safetensors`, `prompt-NAME.safetensors`,
/// `start-NAME.safetensors`; returns their paths.
///
/// # Errors
/// Files that cannot be read or written.
pub fn split(bundle: &Bundle<'_>, to: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut paths = Vec::new();
    for part in bundle.parts() {
        let path = to.join(format!("{}.safetensors", part.title()));
        let mut out = PartialFile::create(&path)?;
        bundle.split(part, |piece| {
            let failed = |source| FileError::Io { action: "write", path: path.display().to_string(), source };
            out.write_all(piece).map_err(failed)
        })?;
        out.commit()?;
        paths.push(path);
    }
    Ok(paths)
}

/// The `causeway` JSON of a bundle of these parts.
fn json(parts: Vec<Part>) -> Result<String, FileError> {
    let config = BundleConfig { format: FORMAT, family: BundleFamily::Bundle, parts };
    serde_json::to_string(&config).map_err(|error| ConfigError::Json(printable(&format!("{error}"))).into())
}
