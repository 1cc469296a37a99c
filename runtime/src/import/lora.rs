//! Low-rank updates, merged while weights are written: W += scale * B A, the scale as `strength` finds it.

use std::collections::BTreeMap;
use std::path::Path;

use super::alpha::{Module, Settings, sound};
use super::{Checkpoint, Entry, ImportError, Merged, names};

/// How a LoRA is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraOptions {
    /// Key of the checkpoint that holds it; `generator_lora` or all if `None`.
    pub key: Option<String>,
    /// Alpha of layers that have no tensor of it, whatever the file's settings say; what these say if `None`, else the rank.
    pub alpha: Option<f32>,
    /// Multiplies the update.
    pub strength: f32,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self { key: None, alpha: None, strength: 1.0 }
    }
}

/// The two factors of one weight, by their index in the checkpoint.
#[derive(Clone, Debug)]
struct Pair {
    a: usize,
    b: usize,
    scale: f32,
}

/// The updates of one LoRA file, by the weight they belong to.
#[derive(Debug)]
pub(super) struct Lora {
    checkpoint: Checkpoint,
    pairs: BTreeMap<String, Pair>,
}

/// The number in an alpha tensor of any type.
fn number(checkpoint: &Checkpoint, entry: &Entry) -> Result<f64, ImportError> {
    if entry.values() != 1 {
        return Err(ImportError::Lora(format!("{} is {:?}, not one number", entry.name, entry.shape)));
    }
    if entry.encoding.integer().is_some() {
        return Ok(checkpoint.integers(entry)?[0] as f64);
    }
    Ok(f64::from(checkpoint.read_all(entry)?[0]))
}

/// The factors of one weight in memory.
pub(super) struct Update {
    rank: usize,
    inputs: usize,
    scale: f32,
    /// [rank, inputs].
    a: Vec<f32>,
    /// [outputs, rank].
    b: Vec<f32>,
}

impl Lora {
    /// Opens the file or folder at `path`, pairs the factors up and compares them with the weights' shapes.
    pub fn open(
        path: &Path,
        options: &LoraOptions,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<(Self, Merged), ImportError> {
        let checkpoint = Checkpoint::open(path)?;
        let settings = Settings::of(&checkpoint, path)?;
        if let Some(alpha) = options.alpha {
            sound(alpha.into()).map_err(|what| ImportError::Lora(format!("the alpha asked for is {what}")))?;
        }
        if !options.strength.is_finite() {
            return Err(ImportError::Lora(format!("its strength is {}, expected a number", options.strength)));
        }
        let entries = checkpoint.entries();
        let all: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        const KEY: &str = "generator_lora";
        let standard = all.iter().any(|name| name.starts_with("generator_lora.")).then_some(KEY);
        let found = names::original(&all, options.key.as_deref().or(standard))?;
        let mut factors: BTreeMap<String, [Option<usize>; 3]> = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, index) in found {
            let (target, part) = match split(&name) {
                Some((target, part)) if shapes.contains_key(&format!("{target}.weight")) => (target, part),
                _ => {
                    unknown.push(name);
                    continue;
                }
            };
            factors.entry(format!("{target}.weight")).or_default()[part] = Some(index);
        }
        if !unknown.is_empty() {
            unknown.truncate(16);
            return Err(ImportError::Lora(format!("it has updates for what the model lacks: {}", unknown.join(", "))));
        }
        if factors.is_empty() {
            return Err(ImportError::Lora("it holds no `lora_A` and `lora_B` tensors".to_owned()));
        }
        let (mut pairs, mut merged) = (BTreeMap::new(), Merged::default());
        for (target, parts) in factors {
            let [Some(a), Some(b), alpha] = parts else {
                return Err(ImportError::Lora(format!("one factor of {target} is missing")));
            };
            let (down, up, weight) = (&entries[a].shape, &entries[b].shape, &shapes[&target]);
            let fits = matches!((down.as_slice(), up.as_slice(), weight.as_slice()),
                ([rank, inputs], [outputs, other], [out, inner]) if rank == other && inputs == inner && outputs == out && *rank > 0);
            if !fits {
                let what = format!("factors {down:?} and {up:?} do not make up {target} {weight:?}");
                return Err(ImportError::Lora(what));
            }
            let own = alpha.map(|alpha| number(&checkpoint, &entries[alpha])).transpose()?;
            let raw = split(&entries[a].name).map_or(target.as_str(), |(raw, _)| raw);
            let module = Module::new(raw, target.trim_end_matches(".weight"), down[0]);
            let scale = merged.scale(&module, own, &settings, options).map_err(ImportError::Lora)?;
            pairs.insert(target, Pair { a, b, scale: scale.scale });
            merged.count(scale);
        }
        settings.mergeable().map_err(ImportError::Lora)?;
        settings.unused().for_each(|key| merged.note(format!("{key} is of no layer here")));
        Ok((Self { checkpoint, pairs }, merged.sorted()))
    }

    /// The update of a weight, if there is one.
    pub fn update(&self, target: &str) -> Result<Option<Update>, ImportError> {
        let Some(Pair { a, b, scale }) = self.pairs.get(target) else { return Ok(None) };
        let (down, up) = (&self.checkpoint.entries()[*a], &self.checkpoint.entries()[*b]);
        let (rank, inputs) = (down.shape[0], down.shape[1]);
        let (a, b) = (self.checkpoint.read_all(down)?, self.checkpoint.read_all(up)?);
        Ok(Some(Update { rank, inputs, scale: *scale, a, b }))
    }
}

impl Update {
    /// Adds the update to values `start..` of its weight.
    pub fn add(&self, start: usize, values: &mut [f32]) {
        let mut done = 0;
        while done < values.len() {
            let (row, column) = ((start + done) / self.inputs, (start + done) % self.inputs);
            let end = values.len().min(done + self.inputs - column);
            let part = &mut values[done..end];
            for (k, &b) in self.b[row * self.rank..][..self.rank].iter().enumerate() {
                let (a, b) = (&self.a[k * self.inputs + column..], self.scale * b);
                part.iter_mut().zip(a).for_each(|(value, &a)| *value += b * a);
            }
            done = end;
        }
    }
}

/// The weight's name without `.weight`, and whether this is A (0), B (1) or alpha (2).
fn split(name: &str) -> Option<(&str, usize)> {
    const PARTS: [(&str, usize); 7] = [
        (".lora_A.weight", 0),
        (".lora_A.default.weight", 0),
        (".lora_down.weight", 0),
        (".lora_B.weight", 1),
        (".lora_B.default.weight", 1),
        (".lora_up.weight", 1),
        (".alpha", 2),
    ];
    PARTS.iter().find_map(|(suffix, part)| Some((name.strip_suffix(suffix)?, *part)))
}
