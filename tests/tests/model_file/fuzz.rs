//! A million spoiled files: none may panic, hang, or open as something that cannot be used.

use crate::parts::join;
use causeway_ops::quant::DType;
use causeway_runtime::config::{ConfigError, LatentConfig, ModelConfig};
use causeway_runtime::file::{FileError, Info, Model};
use causeway_tests::tiny::{Random, model_bytes, tiny_config};
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Files to try; `CAUSEWAY_FUZZ_FILES` asks for another number.
const FILES: u64 = 1_000_000;

/// The smallest valid model, so that a file takes microseconds.
fn smallest_config() -> ModelConfig {
    let mut config = tiny_config();
    let dit = &mut config.dit;
    (dit.dim, dit.heads, dit.layers, dit.ffn_dim, dit.freq_dim) = (6, 1, 1, 32, 2);
    (dit.patch, dit.event_tokens, dit.prev_frame) = ([1, 1, 1], 1, false);
    dit.latent = LatentConfig { channels: 1, height: 1, width: 1 };
    (dit.latent_mean, dit.latent_std) = (vec![0.5], vec![2.0]);
    (config.codec.channels, config.codec.patch, config.codec.widths) = (1, 1, [1; 4]);
    config
}

/// Numbers that tend to hurt.
const NUMBERS: [&str; 20] = [
    "0",
    "1",
    "2",
    "-1",
    "63",
    "64",
    "65",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551552",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "0.5",
    "1e-400",
];

/// Bytes that mean something in JSON, and some that never should be there.
const SYMBOLS: &[u8] = b"{}[]\",:\\ 09eE.-ntf\x00\xff";

/// Header text and data of a file, and how to spoil them.
struct Mutant {
    header: Vec<u8>,
    data: Vec<u8>,
    random: Random,
}

impl Mutant {
    /// A place in the header; one in four is in the configuration, which comes first.
    fn spot(&mut self) -> usize {
        let config = self.random.below(4) == 0;
        self.random.below(if config { self.header.len().min(1500) } else { self.header.len() })
    }

    fn replace(&mut self, at: usize, length: usize, with: &[u8]) {
        let end = (at + length).min(self.header.len());
        self.header.splice(at..end, with.iter().copied());
    }

    /// A range of the header: the number (with sign and fraction) at or after a random place.
    fn number(&mut self) -> (usize, usize) {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let from = self.spot();
        let start = self.header[from..].iter().position(is_digit).map_or(0, |i| from + i);
        (start, self.header[start..].iter().take_while(|b| is_digit(b)).count())
    }

    /// A range of the header: the text from the quote or brace at or after a random place up to the next comma.
    fn entry(&mut self, opening: &[u8]) -> (usize, usize) {
        let from = self.spot();
        let start = self.header[from..].iter().position(|b| opening.contains(b)).map_or(0, |i| from + i);
        let length = self.header[start..].iter().skip(1).position(|b| matches!(b, b'}' | b']')).map_or(1, |i| i + 2);
        (start, length)
    }

    fn mutate(&mut self) {
        match self.random.below(16) {
            0 => {
                let (at, bit) = (self.spot(), self.random.below(8));
                self.header[at] ^= 1 << bit;
            }
            1 => {
                let at = self.spot();
                self.header[at] = SYMBOLS[self.random.below(SYMBOLS.len())];
            }
            2..=7 => {
                let (at, length) = self.number();
                let number = NUMBERS[self.random.below(NUMBERS.len())];
                self.replace(at, length, number.as_bytes());
            }
            8 | 9 => {
                // One number in place of another: plausible, hence the most dangerous.
                let (from, taken) = self.number();
                let number = self.header[from..from + taken].to_vec();
                let (at, length) = self.number();
                self.replace(at, length, &number);
            }
            10 => {
                // A tensor or key twice, or twice with other contents.
                let (at, length) = self.entry(b"\"");
                let mut copy = self.header[at..at + length].to_vec();
                copy.push(b',');
                self.replace(at, 0, &copy);
            }
            11 => {
                let (at, length) = self.entry(b"[{,");
                self.replace(at, length, b"");
            }
            12 => {
                let (at, depth) = (self.spot(), 1 + self.random.below(2000));
                let opening: &[u8] = [&b"["[..], b"{\"\":"][self.random.below(2)];
                let nest = opening.repeat(depth);
                self.replace(at, 0, &nest);
            }
            13 => {
                let (from, length, at) = (self.spot(), self.random.below(200), self.spot());
                let end = (from + length).min(self.header.len());
                let copy = self.header[from..end].to_vec();
                let overwritten = copy.len() * self.random.below(2);
                self.replace(at, overwritten, &copy);
            }
            14 => {
                let at = self.random.below(self.data.len());
                self.data[at] = [0x7c, 0x7f, 0xff, 0x80][self.random.below(4)];
            }
            _ => {
                let length = self.random.below(self.data.len() + 128);
                if self.random.below(2) == 0 { self.data.resize(length, 0x55) } else { self.header.truncate(length) }
            }
        }
        for part in [&mut self.header, &mut self.data] {
            if part.is_empty() {
                part.push(b'{');
            }
        }
    }

    /// Mostly put together properly, so that the mutation and not the length is what the reader stumbles over.
    fn file(&mut self) -> Vec<u8> {
        let mut file = join(&self.header, &self.data);
        match self.random.below(16) {
            0 => file.truncate(self.random.below(file.len())),
            1 => file[self.random.below(8)] = self.random.bits() as u8,
            2 => {
                let at = self.random.below(file.len());
                file[at] ^= 1 << self.random.below(8);
            }
            _ => {}
        }
        file
    }
}

/// Which kind of error; `None` where the file opened.
type Kind = Option<(Discriminant<FileError>, Option<Discriminant<ConfigError>>)>;

fn kind(result: &Result<Model<'_>, FileError>) -> Kind {
    let error = result.as_ref().err()?;
    let config = if let FileError::Config(error) = error { Some(discriminant(error)) } else { None };
    Some((discriminant(error), config))
}

/// Uses everything of a model that opened.
fn exercise(model: &Model<'_>) {
    assert!(model.config().validate().is_ok());
    let info = Info::of(model);
    assert!(info.padding_bytes < info.file_bytes && !info.to_string().is_empty());
    for (name, view) in model.tensors() {
        assert_eq!(view.dtype.data_bytes(view.len()), Some(view.data.len()), "{name}");
        assert_eq!(view.scales.map_or(0, |scales| scales.len()), view.dtype.scale_bytes(view.len()), "{name}");
        assert!(view.to_f32().unwrap().iter().all(|value| value.is_finite()), "{name}");
    }
}

/// Outcomes by kind: how often, and an example.
type Outcomes = HashMap<Kind, (u64, String)>;

/// Tries the files `first`, `first + step`, ... below `end`. File `i` depends on `i` alone, so a failure can be
/// repeated.
fn try_files(bases: &[(Vec<u8>, Vec<u8>)], first: u64, step: u64, end: u64) -> (Outcomes, Duration) {
    let (mut outcomes, mut slowest) = (Outcomes::new(), Duration::ZERO);
    for i in (first..end).step_by(step as usize) {
        let (header, data) = bases[i as usize % bases.len()].clone();
        let mut mutant = Mutant { header, data, random: Random(i) };
        for _ in 0..1 + mutant.random.below(3) {
            mutant.mutate();
        }
        let file = mutant.file();
        let started = Instant::now();
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let result = Model::from_bytes(&file);
            let example = || result.as_ref().map_or_else(ToString::to_string, |_| "opened".to_owned());
            outcomes.entry(kind(&result)).or_insert_with(|| (0, example())).0 += 1;
            if let Ok(model) = &result {
                exercise(model);
            }
        }));
        assert!(opened.is_ok(), "file {i} made the reader panic");
        slowest = slowest.max(started.elapsed());
    }
    (outcomes, slowest)
}

#[test]
fn spoiled_files_do_no_harm() {
    let files = std::env::var("CAUSEWAY_FUZZ_FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(FILES);
    let take_apart = |dtype| {
        let bytes = model_bytes(&smallest_config(), dtype, 1);
        Model::from_bytes(&bytes).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        (bytes[8..8 + length].trim_ascii_end().to_vec(), bytes[8 + length..].to_vec())
    };
    let bases = [DType::F32, DType::F16, DType::Q8, DType::Q4].map(take_apart);
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (mut outcomes, mut slowest) = (Outcomes::new(), Duration::ZERO);
    std::thread::scope(|scope| {
        let bases = &bases;
        let workers: Vec<_> =
            (0..threads).map(|first| scope.spawn(move || try_files(bases, first, threads, files))).collect();
        for worker in workers {
            let (part, time) = worker.join().unwrap();
            slowest = slowest.max(time);
            for (kind, (count, example)) in part {
                outcomes.entry(kind).or_insert((0, example)).0 += count;
            }
        }
    });
    let mut table: Vec<_> = outcomes.values().collect();
    table.sort_unstable_by_key(|(count, _)| std::cmp::Reverse(*count));
    println!("{files} files in {:?}, the slowest took {slowest:?}", started.elapsed());
    for (count, example) in table {
        println!("{count:>8}  {}", example.chars().take(150).collect::<String>());
    }
    // The mutations are worth something only if they reach every check, the last ones included.
    assert!(outcomes.len() >= 18, "only {} kinds of outcome", outcomes.len());
    assert!(outcomes[&None].0 > files / 100, "hardly any file opened");
    assert!(slowest < Duration::from_secs(2), "a file took {slowest:?}");
}
