//! Low-rank updates, merged while weights are written: W += strength * alpha / rank * B A.

use std::collections::BTreeMap;

use super::{Checkpoint, ImportError, names};

/// How a LoRA is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraOptions {
    /// Key of the checkpoint that holds it; `generator_lora` or all if `None`.
    pub key: Option<String>,
    /// Alpha where the file has none; the rank if `None`, which makes the scale 1.
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
    /// Pairs the factors up and compares them with the weights' shapes.
    pub fn new(
        checkpoint: Checkpoint,
        options: &LoraOptions,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<Self, ImportError> {
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
        let mut pairs = BTreeMap::new();
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
            let rank = down[0] as f32;
            let alpha = match alpha {
                Some(alpha) if entries[alpha].values() == 1 => checkpoint.read_all(&entries[alpha])?[0],
                Some(_) => return Err(ImportError::Lora(format!("alpha of {target} is not one number"))),
                None => options.alpha.unwrap_or(rank),
            };
            pairs.insert(target, Pair { a, b, scale: options.strength * alpha / rank });
        }
        Ok(Self { checkpoint, pairs })
    }

    /// Weights that are updated.
    pub fn len(&self) -> usize {
        self.pairs.len()
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
