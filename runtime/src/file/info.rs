//! A file in numbers, for people: what `causeway info` prints.

use super::ModelFile;
use crate::config::{FORMAT, ModelConfig, printable};
use crate::model::Network;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{borrow::ToOwned, format};
use causeway_ops::quant::TensorView;
use core::fmt;
use serde::Serialize;

/// Sums over one kind of tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// What the tensors have in common: a type (`q8`) or a part of the network (`dit.blocks`).
    pub name: String,
    /// How many there are.
    pub tensors: usize,
    /// Values in them.
    pub values: usize,
    /// Bytes of values and scales.
    pub bytes: usize,
}

/// Summary of a model file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info<C = ModelConfig> {
    /// Everything the file says about itself, licence and provenance included.
    pub config: C,
    /// Trained values: all tensors but the start latents.
    pub parameters: usize,
    /// Bytes of the whole file.
    pub file_bytes: usize,
    /// Bytes of the header.
    pub header_bytes: usize,
    /// Bytes between tensors.
    pub padding_bytes: usize,
    /// Of configuration and weights, where the header says it: 32 hexadecimal digits.
    pub fingerprint: Option<String>,
    /// Sums by storage type.
    pub by_type: Vec<Share>,
    /// Sums by part of the network.
    pub by_group: Vec<Share>,
}

/// Parts of the network by name prefix; the first that fits counts.
const GROUPS: [&str; 14] = [
    "dit.blocks",
    "dit",
    "taehv.decoder",
    "taehv.encoder",
    "linear.decoder",
    "linear.encoder",
    "vae.decoder",
    "vae.encoder",
    "vae",
    "umt5.blocks",
    "umt5",
    "clip.blocks",
    "clip",
    "start",
];

impl<C: Network + Clone> Info<C> {
    /// Sums up `model`.
    pub fn of(model: &ModelFile<'_, C>) -> Self {
        let (mut by_type, mut by_group) = (Vec::new(), Vec::new());
        for (name, view) in model.tensors() {
            add(&mut by_type, view.dtype.name(), &view);
            let group = GROUPS.into_iter().find(|group| name.starts_with(group));
            add(&mut by_group, group.unwrap_or("other"), &view);
        }
        let weights: usize = by_group.iter().map(|share| share.bytes).sum();
        let trained = by_group.iter().filter(|share| share.name != "start");
        Self {
            config: model.config().clone(),
            parameters: trained.map(|share| share.values).sum(),
            file_bytes: model.file_bytes(),
            header_bytes: model.header_bytes(),
            padding_bytes: model.file_bytes() - model.header_bytes() - weights - model.tokenizer().len(),
            fingerprint: model.fingerprint().map(|print| format!("{print}")),
            by_type,
            by_group,
        }
    }
}

fn add(shares: &mut Vec<Share>, name: &str, view: &TensorView<'_>) {
    let index = shares.iter().position(|share| share.name == name).unwrap_or_else(|| {
        shares.push(Share { name: name.to_owned(), ..Share::default() });
        shares.len() - 1
    });
    let share = &mut shares[index];
    share.tensors += 1;
    share.values += view.len();
    share.bytes += view.bytes();
}

impl<C: Network> fmt::Display for Info<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = self.config.about();
        writeln!(f, "{} (family {}, format {FORMAT})", self.config.name(), about.family)?;
        for (label, text) in self.config.summary().into_iter().filter(|(_, text)| !text.is_empty()) {
            writeln!(f, "  {label:<11} {text}")?;
        }
        writeln!(f, "  parameters  {}", self.parameters)?;
        writeln!(
            f,
            "  file        {} bytes: header {}, padding {}",
            self.file_bytes, self.header_bytes, self.padding_bytes
        )?;
        if let Some(fingerprint) = &self.fingerprint {
            writeln!(f, "  fingerprint {fingerprint}")?;
        }
        for share in self.by_type.iter().chain(&self.by_group) {
            let Share { name, tensors, values, bytes } = share;
            writeln!(f, "    {name:<14} {tensors:>5} tensors {values:>12} values {bytes:>12} bytes")?;
        }
        // What a file does not say gets no line.
        let made = &about.provenance;
        let data = if made.data_sha256.is_empty() { String::new() } else { format!("sha256 {}", made.data_sha256) };
        let steps = if made.steps == 0 { String::new() } else { format!("{} steps", made.steps) };
        let known = [about.license, about.credits, &made.command, &data, &steps];
        let labels = ["licence", "credits", "made by", "data", "trained"];
        for (label, text) in labels.into_iter().zip(known).filter(|(_, text)| !text.is_empty()) {
            writeln!(f, "  {label:<11} {}", printable(text))?;
        }
        Ok(())
    }
}
