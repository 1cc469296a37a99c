//! Spoiled files by the thousand, the same ones for the same number: what parsers are tried with.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::tiny::Random;

/// How many files to try in all: `CAUSEWAY_FUZZ`, else a number that an ordinary run of the tests has time for.
pub fn executions() -> u64 {
    std::env::var("CAUSEWAY_FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(4_000)
}

/// A file for spoiled bytes, in memory where there is such a folder; it goes with the test.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// A place of this name.
    pub fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self(root.join(format!("causeway-fuzz-{}-{name}", std::process::id())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes `bytes` the file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, bytes: &[u8]) {
        fs::write(&self.0, bytes).unwrap_or_else(|error| panic!("{}: {error}", self.0.display()));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Numbers that tend to hurt, as they lie in files.
const NUMBERS: [u64; 16] = [
    0,
    1,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x10000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffc0,
    u64::MAX,
];

/// Texts that mean something in one of the formats.
const WORDS: [&[u8]; 22] = [
    b"[",
    b"]",
    b"{",
    b"}",
    b"\"",
    b":",
    b",",
    b"\\u202e",
    b"-1",
    b"1e999",
    b"18446744073709551615",
    b"null",
    b"F32",
    b"F8_E4M3",
    b"ctorch\n",
    b"(",
    b"tR",
    b"}(",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"IDAT",
    b"GGUF",
];

/// Spoils `bytes` once. Most files hold what is parsed at their beginning or their end, and data that nobody parses between.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(0);
    }
    let len = bytes.len();
    let near = len.min(4096);
    let at = match random.below(4) {
        0 => random.below(len),
        1 => len - 1 - random.below(near),
        2 => random.below(near),
        _ => random.below(near.min(256)),
    };
    let some = |random: &mut Random| 1 + random.below(32.min(len - at));
    match random.below(10) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.bits() as u8,
        3 | 4 => {
            let width = 1 << random.below(4);
            let number = NUMBERS[random.below(NUMBERS.len())].wrapping_add(random.below(3) as u64).wrapping_sub(1);
            for (byte, value) in bytes[at..].iter_mut().zip(number.to_le_bytes()).take(width) {
                *byte = value;
            }
        }
        5 => {
            let word = WORDS[random.below(WORDS.len())];
            let end = (at + word.len() * random.below(2)).min(len);
            bytes.splice(at..end, word.iter().copied());
        }
        6 => drop(bytes.drain(at..at + some(random))),
        7 => {
            // Once more, or very often.
            let piece = bytes[at..at + some(random)].to_vec();
            let piece = piece.repeat([1, 2, 300][random.below(3)]);
            bytes.splice(at..at, piece);
        }
        8 => {
            let from = random.below(len);
            let count = some(random).min(len - from);
            let copy = bytes[from..from + count].to_vec();
            bytes[at..].iter_mut().zip(copy).for_each(|(byte, value)| *byte = value);
        }
        _ => bytes.truncate(at),
    }
}

/// What came of a number of files.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files tried.
    pub files: u64,
    /// Of these, those that were taken.
    pub taken: u64,
    /// The longest that one took.
    pub slowest: Duration,
    /// Which one that was.
    pub slow: u64,
}

/// Gives `try_one` this many spoiled files of `bases`. File n depends on n alone, so a failure can be repeated.
///
/// # Panics
/// If `try_one` does; the message names the file.
pub fn run(name: &str, bases: &[Vec<u8>], files: u64, mut try_one: impl FnMut(&[u8]) -> bool) -> Outcome {
    let mut outcome = Outcome { files, ..Outcome::default() };
    for n in 0..files {
        let mut random = Random(n);
        let mut bytes = bases[random.below(bases.len())].clone();
        for _ in 0..=random.below(4) {
            spoil(&mut random, &mut bytes);
        }
        let began = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| try_one(&bytes))) {
            Ok(taken) => outcome.taken += u64::from(taken),
            Err(_) => panic!("{name}: file {n} made the parser panic"),
        }
        if began.elapsed() > outcome.slowest {
            (outcome.slowest, outcome.slow) = (began.elapsed(), n);
        }
    }
    println!("{name}: {outcome:?}");
    outcome
}
