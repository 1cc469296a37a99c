//! The tensors of a network as they were found in a checkpoint, and how they differ from those expected.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::import::{Entry, ImportError};

/// Most names that an error lists of a kind.
pub const LISTED: usize = 12;

/// Where a tensor of ours comes from: some rows (indices of the first dimension) of a published tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub rows: Range<usize>,
}

/// The published tensors, as a network's shapes are read off them.
pub struct Found<'a> {
    pub names: &'a BTreeMap<String, usize>,
    pub entries: &'a [Entry],
}

impl Found<'_> {
    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.names.get(name).map(|&index| self.entries[index].shape.as_slice())
    }

    /// The first dimension of a tensor.
    ///
    /// # Errors
    /// There is no such tensor, or it has no dimensions.
    pub fn rows(&self, name: &str) -> Result<usize, ImportError> {
        let missing = || ImportError::Decoder(format!("missing: {name}"));
        self.shape(name).and_then(|shape| shape.first().copied()).ok_or_else(missing)
    }
}

/// Compares the tensors found with the `expected` ones, whose names begin with `prefix`; returns the names of those not expected.
///
/// # Errors
/// Missing and misshapen tensors, listed.
pub fn compare(
    found: &BTreeMap<String, usize>,
    entries: &[Entry],
    expected: Vec<(String, Vec<usize>)>,
    prefix: &str,
) -> Result<Vec<String>, String> {
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    // Names by what is wrong with them, which is often the same of all.
    let mut unreadable: Vec<(String, Vec<&str>)> = Vec::new();
    let mut unknown = found.clone();
    for (name, shape) in &expected {
        let name = name.trim_start_matches(prefix);
        let Some(found) = unknown.remove(name).map(|index| &entries[index]) else {
            missing.push(name.to_owned());
            continue;
        };
        if let Err(ImportError::Tensor { what, .. }) = found.readable() {
            match unreadable.iter_mut().find(|(same, _)| *same == what) {
                Some((_, names)) => names.push(name),
                None => unreadable.push((what, vec![name])),
            }
        } else if !squeezed(&found.shape).eq(squeezed(shape)) {
            misshapen.push(format!("{name} is {:?}, expected {shape:?}", found.shape));
        }
    }
    let unknown: Vec<String> = unknown.into_keys().collect();
    if missing.is_empty() && misshapen.is_empty() && unreadable.is_empty() {
        return Ok(unknown);
    }
    let alike = |(what, names): (String, Vec<&str>)| match names.len() {
        1 => format!("{} {what}", names[0]),
        count => format!("{} and {} more: each {what}", names[0], count - 1),
    };
    let unreadable = unreadable.into_iter().map(alike).collect();
    let lists = [("missing", missing), ("misshapen", misshapen), ("unreadable", unreadable), ("unknown", unknown)];
    let lists = lists.iter().filter(|(_, list)| !list.is_empty()).map(|(kind, list)| listed(kind, list));
    Err(lists.collect::<Vec<_>>().join("; "))
}

/// Dimensions other than 1: formats differ in how they store them.
fn squeezed(shape: &[usize]) -> impl Iterator<Item = &usize> {
    shape.iter().filter(|&&dim| dim != 1)
}

pub fn listed(kind: &str, list: &[String]) -> String {
    let more = if list.len() > LISTED { format!(" and {} more", list.len() - LISTED) } else { String::new() };
    format!("{kind}: {}{more}", list[..list.len().min(LISTED)].join(", "))
}
