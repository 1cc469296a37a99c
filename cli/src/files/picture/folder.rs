//! The pictures of a folder in the order that people mean: 2.png before 10.png.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::is_picture;
use crate::error::Error;

/// Extensions that say that a file is meant as a picture, whatever it holds.
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// The pictures in the folder `path`, numbers in their names in numeric order, and the files there that are none. Hidden files are left
/// out.
///
/// # Errors
/// The folder cannot be read; two names that differ in nothing but zeros before numbers, or in their extension.
pub fn list(path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
    let (mut pictures, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path).map_err(Error::io("read", path))? {
        let file = entry.map_err(Error::io("read", path))?.path();
        if file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) || file.is_dir() {
            continue;
        }
        let named = |extension: &OsStr| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known));
        let meant = file.extension().is_some_and(named);
        if meant || is_picture(&file)? { pictures.push(file) } else { others.push(file) }
    }
    pictures.sort_by(|a, b| natural(stem(a), stem(b)));
    if let Some(pair) = pictures.windows(2).find(|pair| natural(stem(&pair[0]), stem(&pair[1])).is_eq()) {
        let names = pair.iter().map(|file| file.file_name().unwrap_or_default().display().to_string());
        let mut names: Vec<String> = names.collect();
        names.sort();
        let what = format!("{} have the same place in the order of frames; rename or remove one", names.join(" and "));
        return Err(Error::Usage(format!("{}: {what}", path.display())));
    }
    others.sort();
    Ok((pictures, others))
}

fn stem(file: &Path) -> &[u8] {
    file.file_stem().unwrap_or_default().as_encoded_bytes()
}

/// Compares names, runs of digits as numbers of any length.
fn natural(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let (Some(&x), Some(&y)) = (a.first(), b.first()) else { return a.len().cmp(&b.len()) };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut a), number(&mut b));
            m.len().cmp(&n.len()).then(m.cmp(n))
        } else {
            (a, b) = (&a[1..], &b[1..]);
            x.cmp(&y)
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits at the start of `text`; returns them without the zeros before them.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    &digits[digits.iter().take_while(|&&digit| digit == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let order = [
            "0",
            "1",
            "2",
            "9",
            "10",
            "99999999999999999998",
            "99999999999999999999",
            "a",
            "a1b2",
            "a1b10",
            "a02b1",
            "a10",
            "frame-2",
            "frame-10",
            "frame2",
            "frame_3",
            "frame_20",
        ];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                assert_eq!(natural(a.as_bytes(), b.as_bytes()), i.cmp(&j), "{a} {b}");
            }
        }
        assert!(natural(b"01", b"1").is_eq() && natural(b"a0b", b"a000b").is_eq());
    }
}
