//! Weights of eight bits and the scales that belong to them: a value is its code times its scale.
//!
//! A scale lies beside its weight, as `X.scale_weight`, `X.weight_scale` or `X.weight_scale_inv` beside `X.weight` (the last is a factor
//! too, whatever its name says). It is one number, one for each row, one for each run of a row, or one for each block of 128 x 128.
//! Weights without their scale would be wrong silently, so they are not read: integers never, floats wherever the file says that it is
//! scaled.

use std::collections::BTreeMap;

use serde_json::Value;

use super::blocks::Encoding;
use super::entry::{Entry, Metadata, Scale, View};
use super::files::Files;
use crate::import::ImportError;

/// Names of a scale, in place of its weight's last part.
const SCALES: [&str; 3] = ["scale_weight", "weight_scale", "weight_scale_inv"];
/// Beside them: scales of what the layer is given, which no weight is multiplied by.
const INPUTS: [&str; 2] = ["scale_input", "input_scale"];
/// How a layer is stored, as JSON in bytes.
const LAYOUT: &str = "comfy_quant";
/// A tensor whose presence says that weights are scaled.
const MARKER: &str = "scaled_fp8";
/// Metadata that say so.
const METADATA: &str = "_quantization_metadata";
/// Side of the blocks that have a scale each, where both sides are cut.
const SIDE: usize = 128;
/// Longest description of a layer, bytes.
const MAX_LAYOUT: usize = 1024;

/// Whether a tensor's values are codes of eight bits.
fn eight_bits(entry: &Entry) -> bool {
    matches!(entry.encoding, Encoding::F8E4M3 | Encoding::F8E5M2) || entry.encoding.is_int8()
}

fn is_marker(entry: &Entry) -> bool {
    entry.name.rsplit('.').next() == Some(MARKER)
}

/// Rows of a tensor and their length.
fn rows(entry: &Entry) -> [usize; 2] {
    let rows = entry.shape.first().copied().unwrap_or(1);
    [rows, entry.shape.iter().skip(1).product()]
}

impl Scale {
    /// How the scales in `entry` are spread over `weight`.
    fn of(weight: &Entry, entry: &Entry) -> Result<Self, String> {
        let [rows, columns] = rows(weight);
        let spread = |block, across| Ok(Self { entry: entry.clone(), block, across });
        if entry.encoding.block().is_none_or(|(values, _)| values != 1) {
            return Err(format!("has the scale {}, stored as {}", entry.name, entry.encoding));
        }
        if let View::Unreadable(what) = &entry.view {
            return Err(format!("has the scale {}, which {what}", entry.name));
        }
        let whole = [rows.max(1), columns.max(1)];
        match entry.shape.as_slice() {
            [] | [1] | [1, 1] => spread(whole, 1),
            [each] | [each, 1] if *each == rows => spread([1, whole[1]], 1),
            [each, runs] | [each, runs, 1] if *each == rows && *runs > 0 && columns.is_multiple_of(*runs) => {
                spread([1, columns / runs], *runs)
            }
            [down, across] if *down == rows.div_ceil(SIDE) && *across == columns.div_ceil(SIDE) => {
                spread([SIDE; 2], *across)
            }
            other => Err(format!("is {:?} and its scale {} is {other:?}, which do not fit", weight.shape, entry.name)),
        }
    }

    /// Multiplies values `start..` of `weight` by their scales.
    pub fn apply(&self, files: &Files, weight: &Entry, start: usize, values: &mut [f32]) -> Result<(), ImportError> {
        let columns = rows(weight)[1].max(1);
        let [down, across] = self.block;
        if values.is_empty() {
            return Ok(());
        }
        // The scales of all rows of blocks that the values lie in.
        let (first, last) = (start / columns / down, (start + values.len() - 1) / columns / down);
        let mut scales = vec![0.0; (last - first + 1) * self.across];
        files.read(&self.entry, first * self.across, &mut scales)?;
        if let Some(odd) = scales.iter().find(|scale| !scale.is_finite()) {
            let what = format!("holds {odd}, expected a number: it scales {}", weight.name);
            return Err(ImportError::Tensor { name: self.entry.name.clone(), what });
        }
        let mut done = 0;
        while done < values.len() {
            let (row, column) = ((start + done) / columns, (start + done) % columns);
            let end = values.len().min(done + across - column % across).min(done + columns - column);
            let scale = scales[(row / down - first) * self.across + column / across];
            values[done..end].iter_mut().for_each(|value| *value *= scale);
            done = end;
        }
        Ok(())
    }
}

/// Gives each weight of eight bits its scale, and takes scales and what belongs to them off the list, which is sorted by name. A
/// weight whose scale is missing or not understood stays listed and cannot be read.
pub fn scaled(files: &Files, metadata: &Metadata, mut entries: Vec<Entry>) -> Result<Vec<Entry>, ImportError> {
    if !entries.iter().any(eight_bits) {
        return Ok(entries);
    }
    let said = says_scaled(files, metadata, &entries);
    let mut found: BTreeMap<usize, Result<Scale, String>> = BTreeMap::new();
    let mut used: Vec<bool> = entries.iter().map(is_marker).collect();
    for (index, weight) in entries.iter().enumerate() {
        if eight_bits(weight) && !is_marker(weight) {
            let scale = scale_of(files, &entries, weight, &mut used)?;
            found.extend(scale.map(|scale| (index, scale)));
        }
    }
    let said = said.or_else(|| found.values().any(Result::is_ok).then(|| "other weights have theirs".to_owned()));
    for (index, entry) in entries.iter_mut().enumerate() {
        match found.remove(&index) {
            Some(Ok(scale)) => entry.scale = Some(Box::new(scale)),
            Some(Err(what)) => entry.view = View::Unreadable(what),
            None if eight_bits(entry) && !entry.encoding.is_int8() && !used[index] => {
                if let Some(said) = &said {
                    let what = format!("is stored as {} and its scale is missing: {said}", entry.encoding);
                    entry.view = View::Unreadable(what);
                }
            }
            None => {}
        }
    }
    let mut used = used.into_iter();
    entries.retain(|_| !used.next().unwrap_or(false));
    Ok(entries)
}

/// The scale of a weight, or why it cannot be read; `None` where there is nothing about one. What belongs to it becomes `used`.
fn scale_of(
    files: &Files,
    entries: &[Entry],
    weight: &Entry,
    used: &mut [bool],
) -> Result<Option<Result<Scale, String>>, ImportError> {
    let Some((module, last)) = weight.name.rsplit_once('.') else { return Ok(None) };
    // Only layers have scales beside them; this also bounds the search.
    if !["weight", "bias"].contains(&last) {
        return Ok(None);
    }
    let (mut scales, mut described) = (Vec::new(), None);
    for at in siblings_of(entries, &weight.name[..=module.len()]) {
        let sibling = &entries[at];
        let part = &sibling.name[module.len() + 1..];
        if last == "weight" && SCALES.contains(&part) {
            match Scale::of(weight, sibling) {
                Ok(scale) => scales.push(scale),
                Err(problem) => return Ok(Some(Err(problem))),
            }
        } else if last == "weight" && part == LAYOUT {
            if let Some(problem) = layout(files, sibling, weight)? {
                return Ok(Some(Err(problem)));
            }
            described = Some(&sibling.name);
        } else if !(last == "weight" && INPUTS.contains(&part)) {
            if belongs(part, last) {
                return Ok(Some(Err(format!("has {} beside it, which is not read", sibling.name))));
            }
            continue;
        }
        used[at] = true;
    }
    Ok(match (scales.len(), described) {
        (0, Some(layout)) => Some(Err(format!("is described by {layout} and its scale is missing"))),
        (0, None) => None,
        (1, _) => scales.pop().map(Ok),
        (count, _) => Some(Err(format!("has {count} scales"))),
    })
}

/// By what the file says that its weights are scaled.
fn says_scaled(files: &Files, metadata: &Metadata, entries: &[Entry]) -> Option<String> {
    if let Some(marker) = entries.iter().find(|entry| is_marker(entry)) {
        return Some(format!("the tensor {} says that there is one", marker.name));
    }
    if metadata.iter().any(|(key, _)| key == METADATA) {
        return Some(format!("the metadata {METADATA} say that there is one"));
    }
    let named = files.paths().any(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        name.contains("scaled") && !name.contains("unscaled")
    });
    named.then(|| "the file's name says that there is one".to_owned())
}

/// What speaks against reading a layer that is described in `entry`.
fn layout(files: &Files, entry: &Entry, weight: &Entry) -> Result<Option<String>, ImportError> {
    let unknown = || Ok(Some(format!("is described by {}, which is not understood", entry.name)));
    if !entry.is_bytes() || entry.values() > MAX_LAYOUT || entry.view != View::Whole {
        return unknown();
    }
    let text: Vec<u8> = files.integers(entry)?.into_iter().map(|byte| byte as u8).collect();
    let Ok(Value::Object(fields)) = serde_json::from_slice(&text) else { return unknown() };
    let format = fields.get("format").and_then(Value::as_str).unwrap_or_default();
    let plain = match weight.encoding {
        Encoding::F8E4M3 => format == "float8_e4m3fn",
        Encoding::F8E5M2 => format == "float8_e5m2",
        _ => format == "int8_tensorwise",
    };
    // How the product is computed does not change the weight; anything else may.
    let known = |key: &String| ["format", "full_precision_matrix_mult"].contains(&key.as_str());
    if plain && fields.keys().all(known) {
        return Ok(None);
    }
    let words: String = format.chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
    Ok(Some(format!("is stored in the layout `{words}` of {}, which is not read", entry.name)))
}

/// Whether a tensor of this last name changes what the codes of the weight or bias beside it mean.
fn belongs(part: &str, last: &str) -> bool {
    let about = |word: &str| part.contains(word) && !INPUTS.contains(&part);
    !part.contains('.') && (about("scale") || about("zero_point")) && (part.contains("bias") == (last == "bias"))
}

/// Indices of the tensors whose names begin with `module`, which ends with a dot; of sorted ones.
fn siblings_of(entries: &[Entry], module: &str) -> std::ops::Range<usize> {
    if module.is_empty() {
        return 0..0;
    }
    let start = entries.partition_point(|entry| entry.name.as_str() < module);
    start..start + entries[start..].partition_point(|entry| entry.name.starts_with(module))
}
