//! Safetensors headers, sound and damaged: whatever the `safetensors` crate refuses is refused, by the importer and by the model file.

use std::fs;
use std::path::PathBuf;

use causeway_ops::quant::DType;
use causeway_runtime::Model;
use causeway_runtime::import::Checkpoint;
use causeway_tests::tiny::{Random, model_bytes, quantisable_config};
use safetensors::SafeTensors;

/// Types of the format and their bits.
const TYPES: [(&str, usize); 22] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// Why we refuse some of what the crate takes: words of the reasons that the parser documents.
const STRICTER: [&str; 7] = [
    "names \"",          // twice
    "duplicate field",   // __metadata__, or a key of an entry
    "unknown field",     // in an entry
    "byte 8",            // is not `{`
    "a tensor name of",  // long, or with control characters
    "a tensor name has", // the same, in a model file
    "claims to have",    // more bytes of header than we take
];

/// A sound header and its data: any types, shapes and order, with metadata or without.
fn sound(random: &mut Random) -> (String, Vec<u8>) {
    let (mut entries, mut end) = (Vec::new(), 0);
    for index in 0..random.below(6) {
        let (name, bits) = TYPES[random.below(TYPES.len())];
        let mut shape: Vec<usize> = (0..random.below(4)).map(|_| random.below(5)).collect();
        if bits < 8 {
            shape.push(4);
        }
        let start = end;
        end += shape.iter().product::<usize>() * bits / 8;
        let key = ["a", "blocks.0.weight", "\\u00e4", "é", "x y"][random.below(5)];
        let entry =
            format!("\"{key}{index}\":{{\"dtype\":\"{name}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}");
        entries.insert(random.below(entries.len() + 1), entry);
    }
    match random.below(4) {
        0 => entries.insert(0, "\"__metadata__\":{\"format\":\"pt\",\"lora_alpha\":\"8\"}".to_owned()),
        1 => entries.push("\"__metadata__\":{}".to_owned()),
        _ => {}
    }
    (format!("{{{}}}{}", entries.join(","), " ".repeat(random.below(9))), vec![0; end])
}

/// What damage puts in place of something.
const PIECES: [&str; 24] = [
    "0",
    "1",
    "-1",
    "8",
    "1e400",
    "0.5",
    "null",
    "18446744073709551615",
    "9223372036854775808",
    "\"F32\"",
    "\"F7\"",
    "\"U8\"",
    "[]",
    "{}",
    "[0,0]",
    " ",
    "\\n",
    "\"__metadata__\":{},",
    "\"extra\":1,",
    ",",
    "]",
    "}",
    "\"shape\":[1],",
    "\"a0\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
];

/// Damages a header or its data in one way or a few.
fn damage(random: &mut Random, header: &mut Vec<u8>, data: &mut Vec<u8>) {
    for _ in 0..1 + random.below(4) / 3 {
        let at = random.below(header.len().max(1));
        let token = |byte: &u8| matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b':');
        let rest = header.get(at..).unwrap_or_default();
        match random.below(8) {
            0 => header.truncate(at),
            1 => data.resize(random.below(data.len() + 9), 0),
            2 if !header.is_empty() => header[at] ^= 1 << random.below(8),
            3 => {
                // An entry again, the same or with other contents.
                let copy: Vec<u8> = rest.iter().copied().take(1 + random.below(70)).collect();
                let to = random.below(header.len() + 1);
                header.splice(to..to, copy);
            }
            4 => {
                let start = at + rest.iter().position(|byte| *byte == b'"').unwrap_or(0);
                let length = header
                    .get(start..)
                    .unwrap_or_default()
                    .iter()
                    .position(|byte| *byte == b'}')
                    .map_or(0, |end| end + 1);
                let mut copy = header[start.min(header.len())..(start + length).min(header.len())].to_vec();
                copy.push(b',');
                header.splice(1.min(header.len())..1.min(header.len()), copy);
            }
            _ => {
                let start = at + rest.iter().position(token).map_or(0, |start| start + 1);
                let start = start.min(header.len());
                let length = header[start..].iter().position(token).unwrap_or(0) * random.below(2);
                let piece = PIECES[random.below(PIECES.len())];
                header.splice(start..start + length, piece.bytes());
            }
        }
    }
}

fn file(random: &mut Random, header: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = [&(header.len() as u64).to_le_bytes()[..], header, data].concat();
    if random.below(40) == 0 {
        let (at, bit) = (random.below(8), random.below(8));
        bytes[at] ^= 1 << bit;
    }
    bytes
}

/// Files that both took, that only the crate took, that both refused.
#[derive(Debug, Default)]
struct Counts {
    both: u64,
    stricter: u64,
    neither: u64,
}

impl Counts {
    fn judge(&mut self, bytes: &[u8], ours: Result<(), String>, known: impl Fn(&str) -> bool) {
        let shown = || String::from_utf8_lossy(bytes).into_owned();
        match (SafeTensors::read_metadata(bytes), ours) {
            (Ok(_), Ok(())) => self.both += 1,
            (Ok(_), Err(why)) => {
                assert!(known(&why), "refused for `{why}`, and the crate takes it: {}", shown());
                self.stricter += 1;
            }
            (Err(why), Ok(())) => panic!("taken, and the crate refuses it for `{why}`: {}", shown()),
            (Err(_), Err(_)) => self.neither += 1,
        }
    }
}

#[test]
fn the_importer_takes_what_the_crate_takes() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("headers.safetensors");
    let (mut whole, mut damaged) = (Counts::default(), Counts::default());
    for seed in 0..10_000 {
        let mut random = Random(seed);
        let (header, mut data) = sound(&mut random);
        let mut header = header.into_bytes();
        let spoil = seed % 8 != 0;
        if spoil {
            damage(&mut random, &mut header, &mut data);
        }
        let bytes = if spoil {
            file(&mut random, &header, &data)
        } else {
            [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
        };
        fs::write(&path, &bytes).unwrap();
        let ours = Checkpoint::open(&path).map(drop).map_err(|error| error.to_string());
        // What does not look like safetensors by its ninth byte is none of its formats.
        let known = |why: &str| STRICTER.iter().any(|word| why.contains(word)) || why.contains("by its first bytes");
        let counts = if spoil { &mut damaged } else { &mut whole };
        counts.judge(&bytes, ours, known);
    }
    println!("whole: {whole:?}, damaged: {damaged:?}");
    assert_eq!((whole.stricter, whole.neither), (0, 0));
    assert!(damaged.both > 150 && damaged.stricter > 50 && damaged.neither > 5000, "{damaged:?}");
}

#[test]
fn the_model_file_takes_nothing_that_the_crate_refuses() {
    let good = model_bytes(&quantisable_config(), DType::F32, 3);
    let length = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let mut counts = Counts::default();
    for seed in 0..5_000 {
        let mut random = Random(seed);
        let (mut header, mut data) = (good[8..8 + length].to_vec(), good[8 + length..].to_vec());
        damage(&mut random, &mut header, &mut data);
        // Damage that makes it longer takes from the spaces at its end, so that the data stay aligned.
        while header.len() > length && header.last() == Some(&b' ') {
            header.pop();
        }
        let bytes: std::sync::Arc<[u8]> = file(&mut random, &header, &data).into();
        let ours = Model::from_shared(bytes.clone()).map(drop).map_err(|error| error.to_string());
        // A model file may be anything but a sound one for many more reasons.
        counts.judge(&bytes, ours, |_| true);
    }
    println!("{counts:?}");
    assert!(counts.both > 20 && counts.stricter > 100 && counts.neither > 2000, "{counts:?}");
}
