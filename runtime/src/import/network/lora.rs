//! Updates of weights, merged while they are written: low-rank pairs, W += scale * B A with the scale as `strength` finds it, and full
//! differences, W += strength * D.

use std::collections::BTreeMap;
use std::path::Path;

use super::alpha::{Module, Settings, sound};
use super::module::{Modules, Part};
use super::strength::{LoraOptions, Merged};
use crate::import::{Answer, Checkpoint, Entry, ImportError, Kind};

/// The two factors of one weight, by their index in the checkpoint.
#[derive(Clone, Debug)]
struct Pair {
    a: usize,
    b: usize,
    scale: f32,
}

/// The updates of one LoRA file, by the tensor they belong to.
#[derive(Debug)]
pub(super) struct Lora {
    checkpoint: Checkpoint,
    pairs: BTreeMap<String, Pair>,
    /// Indices of full differences.
    differences: BTreeMap<String, usize>,
    strength: f32,
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

/// What is added to one tensor. Factors are in memory, a difference is read as it is added.
pub(super) struct Update<'a> {
    pair: Option<Factors>,
    difference: Option<(&'a Checkpoint, &'a Entry, f32)>,
}

/// The factors of one weight in memory.
struct Factors {
    rank: usize,
    inputs: usize,
    scale: f32,
    /// [rank, inputs].
    a: Vec<f32>,
    /// [outputs, rank].
    b: Vec<f32>,
}

/// A matrix's rows and their length; convolutions count as the matrices that they are on patches.
fn matrix(shape: &[usize]) -> Option<[usize; 2]> {
    let (&rows, rest) = shape.split_first().filter(|(_, rest)| !rest.is_empty())?;
    Some([rows, rest.iter().product()])
}

impl Lora {
    /// Opens the file or folder at `path`, pairs the factors up and compares them with the tensors' shapes.
    pub fn open(
        path: &Path,
        options: &LoraOptions,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<(Self, Merged), ImportError> {
        let checkpoint = Checkpoint::open(path)?;
        let refused = |kind: &&&Kind| matches!(kind.answer, Answer::Refused(_));
        if let Some(kind) = checkpoint.lora_kinds().iter().find(refused) {
            return Err(ImportError::Kind { kind, detail: String::new() });
        }
        let settings = Settings::of(&checkpoint, path)?;
        if let Some(alpha) = options.alpha {
            sound(alpha.into()).map_err(|what| ImportError::Lora(format!("the alpha asked for is {what}")))?;
        }
        if !options.strength.is_finite() {
            return Err(ImportError::Lora(format!("its strength is {}, expected a number", options.strength)));
        }
        let entries = checkpoint.entries();
        let all: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let Modules { parts, unknown } = Modules::find(&all, options.key.as_deref(), shapes)?;
        if !unknown.is_empty() {
            let names: Vec<&str> = unknown.iter().take(16).map(String::as_str).collect();
            return Err(ImportError::Lora(format!("it has updates for what the model lacks: {}", names.join(", "))));
        }
        if parts.is_empty() {
            return Err(ImportError::Lora("it holds no `lora_A` and `lora_B` tensors, and no differences".to_owned()));
        }
        let (mut pairs, mut differences, mut merged) = (BTreeMap::new(), BTreeMap::new(), Merged::default());
        for (target, parts) in parts {
            let part = |part: Part| parts.get(&part).copied();
            let weight = &shapes[&target];
            if let Some(index) = part(Part::Difference) {
                let found = &entries[index].shape;
                let squeezed = |shape: &[usize]| shape.iter().copied().filter(|&dim| dim != 1).collect::<Vec<_>>();
                if squeezed(found) != squeezed(weight) {
                    return Err(ImportError::Lora(format!("the difference {found:?} is none of {target} {weight:?}")));
                }
                entries[index].readable()?;
                differences.insert(target.clone(), index);
                merged.differences += 1;
            }
            let (a, b) = match (part(Part::Down), part(Part::Up)) {
                (Some(a), Some(b)) => (a, b),
                // Trainers that extract differences leave an alpha beside them.
                (None, None) if part(Part::Difference).is_some() => continue,
                _ => return Err(ImportError::Lora(format!("one factor of {target} is missing"))),
            };
            let (down, up) = (&entries[a].shape, &entries[b].shape);
            let fits = matches!((matrix(down), matrix(up), matrix(weight)),
                (Some([rank, inputs]), Some([outputs, other]), Some([out, inner]))
                    if rank == other && inputs == inner && outputs == out && rank > 0);
            if !fits {
                let what = format!("factors {down:?} and {up:?} do not make up {target} {weight:?}");
                return Err(ImportError::Lora(what));
            }
            let own = part(Part::Alpha).map(|alpha| number(&checkpoint, &entries[alpha])).transpose()?;
            let raw = Part::split(&entries[a].name).map_or(target.as_str(), |(raw, _)| raw);
            let module = Module::new(raw, target.trim_end_matches(".weight"), down[0]);
            let scale = merged.scale(&module, own, &settings, options).map_err(ImportError::Lora)?;
            pairs.insert(target, Pair { a, b, scale: scale.scale });
            merged.count(scale);
        }
        merged.strength = options.strength;
        settings.mergeable().map_err(ImportError::Lora)?;
        settings.unused().for_each(|key| merged.note(format!("{key} is of no layer here")));
        Ok((Self { checkpoint, pairs, differences, strength: options.strength }, merged.sorted()))
    }

    /// The update of a tensor, if there is one.
    pub fn update(&self, target: &str) -> Result<Option<Update<'_>>, ImportError> {
        let entries = self.checkpoint.entries();
        let factors = |Pair { a, b, scale }: &Pair| {
            let (down, up) = (&entries[*a], &entries[*b]);
            let [rank, inputs] = matrix(&down.shape).unwrap_or_default();
            let (a, b) = (self.checkpoint.read_all(down)?, self.checkpoint.read_all(up)?);
            Ok::<_, ImportError>(Factors { rank, inputs, scale: *scale, a, b })
        };
        let pair = self.pairs.get(target).map(factors).transpose()?;
        let difference = self.differences.get(target).map(|&at| (&self.checkpoint, &entries[at], self.strength));
        Ok((pair.is_some() || difference.is_some()).then_some(Update { pair, difference }))
    }
}

impl Update<'_> {
    /// Adds the update to values `start..` of its tensor.
    pub fn add(&self, start: usize, values: &mut [f32]) -> Result<(), ImportError> {
        if let Some(factors) = &self.pair {
            factors.add(start, values);
        }
        let Some((file, entry, strength)) = self.difference else { return Ok(()) };
        // Slabs begin and end where blocks of weights do; those of a difference may be longer.
        let (block, _) = entry.readable()?;
        let (first, last) = (start / block * block, (start + values.len()).next_multiple_of(block));
        let mut added = vec![0.0; last.min(entry.values()) - first];
        file.read(entry, first, &mut added)?;
        values.iter_mut().zip(&added[start - first..]).for_each(|(value, added)| *value += strength * added);
        Ok(())
    }
}

impl Factors {
    fn add(&self, start: usize, values: &mut [f32]) {
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
