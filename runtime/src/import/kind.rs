//! What a file is: the first row of a table that fits, by its first bytes, by its tensors' names and shapes, and now and then by its name.

use core::fmt;
use std::collections::BTreeMap;
use std::path::Path;

use super::kinds::KINDS;
use super::wan::Patches;
use super::{Checkpoint, Entry, ImportError, names};

/// Bytes that are looked at first.
pub(super) const HEAD: u64 = 512;

/// A row of the table of kinds.
#[derive(Debug)]
#[non_exhaustive]
pub struct Kind {
    /// What it is, with its article.
    pub name: &'static str,
    /// What is done with it.
    pub answer: Answer,
    pub(super) test: Test,
}

/// What is done with a kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is read; what is special about that.
    Read(&'static str),
    /// It is read, with this warning.
    Warned(&'static str),
    /// It is refused; why, and what to do instead.
    Refused(&'static str),
}

/// By what a kind is known.
#[derive(Debug)]
pub(super) enum Test {
    /// Its first bytes, its name or its size.
    Bytes(fn(&Bytes<'_>) -> bool),
    /// How its tensors are stored.
    Storage(fn(&Network<'_>) -> bool),
    /// Its tensors' names and shapes.
    Network(fn(&Network<'_>) -> bool),
    /// The same of a file that is given as a LoRA.
    Lora(fn(&Network<'_>) -> bool),
}

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Files by their format.
    Files,
    /// Ways of storing values.
    Storage,
    /// Networks.
    Networks,
    /// Files for `--lora`.
    Loras,
}

impl Kind {
    /// All kinds, in the order in which they are looked for.
    pub fn all() -> &'static [Self] {
        KINDS
    }

    /// What it is a kind of.
    pub fn section(&self) -> Section {
        match self.test {
            Test::Bytes(_) => Section::Files,
            Test::Storage(_) => Section::Storage,
            Test::Network(_) => Section::Networks,
            Test::Lora(_) => Section::Loras,
        }
    }

    /// What is said of it.
    pub fn sentence(&self) -> &'static str {
        match self.answer {
            Answer::Read(sentence) | Answer::Warned(sentence) | Answer::Refused(sentence) => sentence,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.sentence())
    }
}

/// A file before it is opened as a checkpoint.
pub(super) struct Bytes<'a> {
    /// Its name in small letters.
    pub name: String,
    pub head: &'a [u8],
    pub size: u64,
}

impl<'a> Bytes<'a> {
    pub fn new(path: &Path, head: &'a [u8], size: u64) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        Self { name, head, size }
    }

    /// The kind of a file that is refused for its bytes.
    pub fn kind(&self) -> Option<ImportError> {
        let fits = |kind: &&Kind| matches!(kind.test, Test::Bytes(test) if test(self));
        let kind = KINDS.iter().find(fits).filter(|kind| matches!(kind.answer, Answer::Refused(_)))?;
        Some(ImportError::Kind { kind, detail: self.pointed() })
    }

    /// Its beginning without white space, in small letters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase()
    }

    /// Whether its beginning is text: a last character may be cut.
    pub fn is_text(&self) -> bool {
        let valid = match core::str::from_utf8(self.head) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none(),
        };
        valid && !self.head.iter().any(|&c| c < 32 && !c.is_ascii_whitespace())
    }

    /// The size of the file that a git-lfs pointer stands for.
    fn pointed(&self) -> String {
        let text = self.text();
        let line =
            text.lines().find_map(|line| line.strip_prefix("size ")).filter(|_| text.starts_with("version http"));
        let size = line.and_then(|size| size.trim().parse::<u64>().ok());
        size.map_or_else(String::new, |size| format!(" for {size} bytes"))
    }
}

/// A checkpoint's tensors as kinds are told by them.
pub(super) struct Network<'a> {
    pub checkpoint: &'a Checkpoint,
    /// Names without wrappers, as diffusers' come to the original ones.
    found: BTreeMap<String, usize>,
    /// Its file's name and that of the folder, in small letters.
    pub path: String,
}

impl<'a> Network<'a> {
    pub fn new(checkpoint: &'a Checkpoint, key: Option<&str>) -> Self {
        let entries = checkpoint.entries();
        let all: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let plain = || entries.iter().enumerate().map(|(at, entry)| (names::stripped(&entry.name), at)).collect();
        let found = names::original(&all, key, &names::ANCHORS).unwrap_or_else(|_| plain());
        let path = checkpoint.path().unwrap_or(Path::new(""));
        let mut parts: Vec<_> =
            path.iter().rev().take(2).map(|part| part.to_string_lossy().to_ascii_lowercase()).collect();
        parts.reverse();
        Self { checkpoint, found, path: parts.join("/") }
    }

    /// The first kind that fits.
    fn kind(&self) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| match kind.test {
            // Values that can be read say nothing about what they are for.
            Test::Storage(test) => matches!(kind.answer, Answer::Refused(_)) && test(self),
            Test::Network(test) => test(self),
            _ => false,
        })
    }

    /// Whether a tensor's name contains one of these.
    pub fn names(&self, parts: &[&str]) -> bool {
        self.checkpoint.entries().iter().any(|entry| parts.iter().any(|part| entry.name.contains(part)))
    }

    /// Whether some tensor fits.
    pub fn any(&self, test: impl Fn(&Entry) -> bool) -> bool {
        self.checkpoint.entries().iter().any(test)
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.found.get(name).map(|&at| self.checkpoint.entries()[at].shape.as_slice())
    }

    /// The file's own name.
    pub fn file(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Channels that a Wan network reads and writes.
    pub fn wan(&self) -> Option<(usize, usize)> {
        let &[head, width] = self.shape("head.head.weight")? else { return None };
        let patches = Patches::of(self.shape(names::WAN)?, width)?;
        let area: usize = patches.sides.iter().product();
        (area > 0).then(|| (patches.inputs, head / area))
    }

    /// Channels of the latents of a convolutional decoder, and dimensions of its first convolution.
    pub fn decoder(&self) -> Option<(usize, usize)> {
        let mut names = ["decoder.conv1.weight", "decoder.conv_in.weight", "decoder.1.weight"].into_iter();
        let shape = names.find_map(|name| self.shape(name))?;
        Some((*shape.get(1)?, shape.len()))
    }

    /// Channels of a TAEHV's latents. Its blocks take the frame before, too.
    pub fn taehv(&self) -> Option<usize> {
        let &[width, channels, 3, 3] = self.shape("decoder.1.weight")? else { return None };
        let &[_, inputs, 3, 3] = self.shape("decoder.3.conv.0.weight")? else { return None };
        (inputs == 2 * width).then_some(channels)
    }
}

impl Checkpoint {
    /// What is in the part under `key` (or the best wrapper); `None` for what no row of the table fits.
    pub fn kind(&self, key: Option<&str>) -> Option<&'static Kind> {
        Network::new(self, key).kind()
    }

    /// As [`Self::kind`], where a kind that cannot be converted is an error.
    ///
    /// # Errors
    /// `Kind`.
    pub fn known(&self, key: Option<&str>) -> Result<Option<&'static Kind>, ImportError> {
        match self.kind(key) {
            Some(kind) if matches!(kind.answer, Answer::Refused(_)) => {
                Err(ImportError::Kind { kind, detail: String::new() })
            }
            kind => Ok(kind),
        }
    }

    /// How its values are stored: the rows of the table that fit.
    pub fn storage(&self) -> Vec<&'static Kind> {
        let network = Network::new(self, None);
        KINDS.iter().filter(|kind| matches!(kind.test, Test::Storage(test) if test(&network))).collect()
    }

    /// The rows for LoRA files that fit.
    pub(super) fn lora_kinds(&self) -> Vec<&'static Kind> {
        let network = Network::new(self, None);
        KINDS.iter().filter(|kind| matches!(kind.test, Test::Lora(test) if test(&network))).collect()
    }

    /// Keys under which there is a network of Wan's, best first; empty where it is not under any.
    pub fn keys(&self) -> Vec<String> {
        let all: Vec<(usize, &str)> = self.entries().iter().map(|entry| entry.name.as_str()).enumerate().collect();
        names::keys(&all)
    }
}
