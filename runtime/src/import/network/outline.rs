//! The outline of a network: its tensors' names and shapes, by which kinds are told.

use std::collections::BTreeMap;
use std::path::Path;

use super::names;
use super::patches::Patches;
use crate::import::{Checkpoint, Entry};

/// A checkpoint's tensors as kinds are told by them.
pub struct Outline<'a> {
    pub checkpoint: &'a Checkpoint,
    /// Names without wrappers, as diffusers' come to the original ones.
    found: BTreeMap<String, usize>,
    /// Its file's name and that of the folder, in small letters.
    pub path: String,
}

impl<'a> Outline<'a> {
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
