//! The part of the zip format that PyTorch writes: stored entries, with or without zip64.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::entry::{MAX_NAME, bytes_at};
use crate::config::{misleading, printable};
use crate::import::ImportError;

/// Most entries of an archive.
const MAX_ENTRIES: u64 = 1 << 17;
/// Most bytes of the central directory.
const MAX_DIRECTORY: u64 = 64 << 20;

/// Where the contents of an entry lie: first byte and length.
pub type Place = (u64, u64);

/// An entry of the central directory; the place of its contents needs a look at its own header.
struct Listed {
    name: String,
    method: u16,
    header: u64,
    size: u64,
}

fn bad(what: impl Into<String>) -> ImportError {
    ImportError::container("zip", what)
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    Some(bytes.get(at..at + width)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

/// The entries of an archive of `size` bytes, by name.
pub fn entries(file: &File, path: &Path, size: u64) -> Result<BTreeMap<String, Place>, ImportError> {
    let (start, length, count) = directory(file, path, size)?;
    let outside = start.checked_add(length).is_none_or(|end| end > size);
    if outside || length > MAX_DIRECTORY || count > MAX_ENTRIES {
        return Err(bad(format!("its directory of {count} entries, {length} bytes at {start}, does not fit the file")));
    }
    let directory = bytes_at(file, path, start, length as usize)?;
    let (mut at, mut entries) = (0, BTreeMap::new());
    for _ in 0..count {
        let listed = listed(&directory, &mut at).ok_or_else(|| bad("its directory is cut short or damaged"))?;
        let Listed { name, method, header, size: length } = listed;
        if name.len() > MAX_NAME || name.contains(misleading) {
            return Err(bad(format!("an entry name of {} bytes begins {}", name.len(), printable(&name))));
        }
        if method != 0 {
            return Err(bad(format!("entry {name} is compressed, which PyTorch never does")));
        }
        if header.checked_add(30).is_none_or(|end| end > size) {
            return Err(bad(format!("entry {name} begins outside the file")));
        }
        let local = bytes_at(file, path, header, 30)?;
        let (Some(0x0403_4b50), Some(names), Some(extra)) =
            (number(&local, 0, 4), number(&local, 26, 2), number(&local, 28, 2))
        else {
            return Err(bad(format!("entry {name} has no header of its own")));
        };
        let first = header + 30 + names + extra;
        if first.checked_add(length).is_none_or(|end| end > size) {
            return Err(bad(format!("it is truncated: entry {name} takes {length} bytes at {first}")));
        }
        if entries.insert(name.clone(), (first, length)).is_some() {
            return Err(bad(format!("it lists entry {name} twice")));
        }
    }
    Ok(entries)
}

/// Start, length and count of the central directory.
fn directory(file: &File, path: &Path, size: u64) -> Result<(u64, u64, u64), ImportError> {
    // The end record is followed by a comment of at most 65535 bytes.
    let tail_start = size.saturating_sub(22 + 65_535);
    let tail = bytes_at(file, path, tail_start, (size - tail_start) as usize)?;
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
    let end = end.ok_or_else(|| bad("it has no end record: truncated?"))?;
    let field = |at, width| number(&tail, end + at, width).ok_or_else(|| bad("its end record is cut short"));
    let (count, length, start) = (field(10, 2)?, field(12, 4)?, field(16, 4)?);
    if count != 0xffff && length != 0xffff_ffff && start != 0xffff_ffff {
        return Ok((start, length, count));
    }
    let missing = || bad("its zip64 end record is missing");
    let locator = end.checked_sub(20).filter(|&at| tail[at..].starts_with(b"PK\x06\x07")).ok_or_else(missing)?;
    let record = number(&tail, locator + 8, 8).ok_or_else(missing)?;
    if record.checked_add(56).is_none_or(|end| end > size) {
        return Err(missing());
    }
    let record = bytes_at(file, path, record, 56)?;
    match (number(&record, 0, 4), number(&record, 48, 8), number(&record, 40, 8), number(&record, 32, 8)) {
        (Some(0x0606_4b50), Some(start), Some(length), Some(count)) => Ok((start, length, count)),
        _ => Err(missing()),
    }
}

/// The next entry of the central directory.
fn listed(directory: &[u8], at: &mut usize) -> Option<Listed> {
    let entry = directory.get(*at..)?;
    if number(entry, 0, 4)? != 0x0201_4b50 {
        return None;
    }
    let field = |at, width| number(entry, at, width);
    let (names, extra, comment) = (field(28, 2)? as usize, field(30, 2)? as usize, field(32, 2)? as usize);
    let (mut packed, mut size, mut header) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
    let name = String::from_utf8(entry.get(46..46 + names)?.to_vec()).ok()?;
    let mut rest = entry.get(46 + names..46 + names + extra)?;
    while rest.len() >= 4 {
        let (kind, length) = (number(rest, 0, 2)?, number(rest, 2, 2)? as usize);
        let field = rest.get(4..4 + length)?;
        if kind == 1 {
            // Zip64: the fields that overflowed, in this order.
            let mut from = 0;
            for value in [&mut size, &mut packed, &mut header] {
                if *value == 0xffff_ffff {
                    *value = number(field, from, 8)?;
                    from += 8;
                }
            }
        }
        rest = &rest[4 + length..];
    }
    *at += 46 + names + extra + comment;
    let method = field(10, 2)? as u16;
    let size = if method == 0 { packed } else { size };
    Some(Listed { name, method, header, size })
}
