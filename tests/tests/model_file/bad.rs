//! Each kind of bad file gets its own error, which says what is wrong and where.

use crate::parts::{Header, Parts, join};
use causeway_ops::quant::DType;
use causeway_runtime::config::ConfigError;
use causeway_runtime::file::{FileError, Model};
use half::f16;
use serde_json::json;

const BIAS: &str = "dit.patch_embedding.bias";
const FFN: &str = "dit.blocks.0.ffn.0.weight";
/// 12 floats, so there is padding behind it.
const PADDED: &str = "taehv.decoder.7.conv.0.bias";

fn rename(header: &mut Header, from: &str, to: &str) {
    let entry = header.remove(from).unwrap();
    header.insert(to.to_owned(), entry);
}

/// First and last byte of a tensor and the name of the padding that follows it.
fn pad_behind(header: &Header, name: &str) -> (u64, u64, String) {
    let offsets =
        |value: &serde_json::Value| (value["data_offsets"][0].as_u64(), value["data_offsets"][1].as_u64().unwrap_or(0));
    let (start, end) = offsets(&header[name]);
    let pad = header.iter().find(|(name, value)| name.starts_with("_pad.") && offsets(value).0 == Some(end));
    (start.unwrap(), end, pad.expect("padding").0.clone())
}

fn header_error(error: &FileError) -> bool {
    matches!(error, FileError::Header(_))
}

fn tensors_error(error: &FileError) -> bool {
    matches!(error, FileError::Tensors(_))
}

fn json_error(error: &FileError) -> bool {
    matches!(error, FileError::Config(ConfigError::Json(_)))
}

#[test]
fn each_kind_of_bad_file_gets_its_own_error() {
    let good = Parts::new(DType::F32).bytes();
    Model::from_bytes(&good).expect("taking apart and joining changes nothing");
    let f32s = || Parts::new(DType::F32);
    let q4 = || Parts::new(DType::Q4);
    let header_text = f32s().text();
    let with_header = |text: &str| join(text.as_bytes(), &f32s().data);
    let mut huge_header = good.clone();
    huge_header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut cut_header = good.clone();
    cut_header[..8].copy_from_slice(&(good.len() as u64 + 1).to_le_bytes());
    let unaligned_data = {
        let mut bytes = (header_text.len() as u64 | 1).to_le_bytes().to_vec();
        bytes.extend(format!("{header_text:<0$}", header_text.len() | 1).bytes());
        bytes.extend(f32s().data);
        bytes
    };
    // Moves a tensor by 4 bytes into the padding behind it: still well-formed for safetensors, but not aligned.
    let misaligned = f32s().header(|header| {
        let (start, end, pad) = pad_behind(header, PADDED);
        header[&pad]["data_offsets"] = json!([start, start + 4]);
        header[&pad]["shape"] = json!([4]);
        header[PADDED]["data_offsets"] = json!([start + 4, end + 4]);
        let rest = 64 - (end + 4) % 64;
        header.insert(
            "_pad.rest".to_owned(),
            json!({"dtype": "U8", "shape": [rest], "data_offsets": [end + 4, end + 4 + rest]}),
        );
    });

    type Check = fn(&FileError) -> bool;
    let table: Vec<(&str, Vec<u8>, Check, &str)> = vec![
        ("empty", vec![], |e| matches!(e, FileError::TooShort(0)), "0 bytes"),
        ("eight bytes", good[..8].to_vec(), |e| matches!(e, FileError::TooShort(8)), "8 bytes"),
        ("a PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), |e| matches!(e, FileError::NotSafetensors(0)), "byte 8"),
        ("absurd header length", huge_header, |e| matches!(e, FileError::HeaderTooLarge(u64::MAX)), "at most"),
        ("header cut off", cut_header, |e| matches!(e, FileError::Truncated { .. }), "truncated"),
        ("one byte short", good[..good.len() - 1].to_vec(), |e| matches!(e, FileError::Truncated { .. }), "truncated"),
        ("only a header", good[..good.len() / 4].to_vec(), |e| matches!(e, FileError::Truncated { .. }), "truncated"),
        ("a byte too many", [&good[..], &[0]].concat(), |e| matches!(e, FileError::TrailingBytes(1)), "1 bytes follow"),
        ("header not JSON", with_header("{nothing}"), |e| matches!(e, FileError::Header(_)), "header is not valid"),
        ("header nested", with_header(&"{\"a\":".repeat(5000)), |e| matches!(e, FileError::Header(_)), "header"),
        ("metadata nested", with_header(&format!("{{\"__metadata__\":{}", "[".repeat(5000))), header_error, "header"),
        ("header not UTF-8", with_header("{\"\u{1}\":0}"), header_error, "header"),
        ("negative offset", f32s().header(|h| h[BIAS]["data_offsets"][0] = json!(-64)), header_error, "-64"),
        ("fractional shape", f32s().header(|h| h[BIAS]["shape"][0] = json!(1.5)), header_error, "1.5"),
        ("huge number", with_header(&header_text.replacen("[64]", "[1e400]", 1)), header_error, "out of range"),
        ("unknown key in a tensor", f32s().header(|h| h[BIAS]["stride"] = json!(1)), header_error, "stride"),
        (
            "two metadata",
            with_header(&header_text.replacen('{', "{\"__metadata__\":{},", 1)),
            header_error,
            "__metadata__",
        ),
        ("unaligned data", unaligned_data, |e| matches!(e, FileError::MisalignedData(_)), "multiple of 64"),
        ("unaligned tensor", misaligned, |e| matches!(e, FileError::Misaligned { .. }), "decoder.7.conv.0.bias"),
        (
            "a tensor twice",
            with_header(&format!("{},\"{BIAS}\":{}}}", &header_text[..header_text.len() - 1], f32s().header[BIAS])),
            |e| matches!(e, FileError::Duplicate(_)),
            BIAS,
        ),
        (
            "config twice",
            with_header(&header_text.replacen("\"causeway\":", "\"causeway\":\"{}\",\"causeway\":", 1)),
            |e| matches!(e, FileError::Duplicate(_)),
            "causeway",
        ),
        (
            "no metadata",
            f32s().header(|h| drop(h.remove("__metadata__"))),
            |e| matches!(e, FileError::NoConfig),
            "causeway",
        ),
        (
            "other metadata",
            f32s().header(|h| h["__metadata__"] = json!({"format": "pt"})),
            |e| matches!(e, FileError::NoConfig),
            "causeway",
        ),
        (
            "a name too long",
            f32s().header(|h| rename(h, BIAS, &"x".repeat(1000))),
            |e| matches!(e, FileError::Name { length: 1000, .. }),
            "1000 bytes (\"xxx",
        ),
        (
            "a name with escape codes",
            f32s().header(|h| rename(h, BIAS, "\u{1b}[2Jbias")),
            |e| matches!(e, FileError::Name { .. }),
            "control",
        ),
        (
            "an unknown key of a megabyte",
            f32s().header(|h| h[BIAS]["a\n".repeat(500_000)] = json!(1)),
            header_error,
            "...",
        ),
        (
            "bfloat",
            f32s().header(|h| h[BIAS]["dtype"] = json!("BF16")),
            |e| matches!(e, FileError::Type { .. }),
            "BF16",
        ),
        (
            "padding of floats",
            f32s().header(|h| {
                let pad = pad_behind(h, PADDED).2;
                h[&pad]["dtype"] = json!("F32");
            }),
            |e| matches!(e, FileError::Type { .. }),
            "_pad.",
        ),
        ("scalar", f32s().header(|h| h[BIAS]["shape"] = json!([])), |e| matches!(e, FileError::Shape { .. }), BIAS),
        (
            "empty dimension",
            f32s().header(|h| h[BIAS]["shape"] = json!([64, 0])),
            |e| matches!(e, FileError::Shape { .. }),
            "[64, 0]",
        ),
        (
            "nine dimensions",
            f32s().header(|h| h[BIAS]["shape"] = json!([64, 1, 1, 1, 1, 1, 1, 1, 1])),
            |e| matches!(e, FileError::Shape { .. }),
            BIAS,
        ),
        (
            "shape overflows",
            f32s().header(|h| h[BIAS]["shape"] = json!([1u64 << 62, 4])),
            |e| matches!(e, FileError::Shape { .. }),
            BIAS,
        ),
        (
            "shape and offsets differ",
            f32s().header(|h| h[BIAS]["shape"] = json!([63])),
            |e| matches!(e, FileError::Size { expected: 252, .. }),
            "252 bytes",
        ),
        (
            "offsets reversed",
            f32s().header(|h| h[BIAS]["data_offsets"] = json!([512, 256])),
            |e| matches!(e, FileError::Size { .. }),
            BIAS,
        ),
        (
            "offsets out of the file",
            f32s().header(|h| h[BIAS]["data_offsets"] = json!([u64::MAX - 256, u64::MAX])),
            |e| matches!(e, FileError::Truncated { .. }),
            "truncated",
        ),
        (
            "overlap",
            f32s().header(|h| h[BIAS]["data_offsets"] = json!([0, 256])),
            |e| matches!(e, FileError::Overlap { .. }),
            "within",
        ),
        (
            "gap",
            f32s().header(|h| drop(h.remove(BIAS))),
            |e| matches!(e, FileError::Gap { bytes: 256, .. }),
            "256 bytes before",
        ),
        (
            "missing tensor",
            f32s().header(|h| {
                rename(h, BIAS, "_pad.x");
                h["_pad.x"]["dtype"] = json!("U8");
                h["_pad.x"]["shape"] = json!([256]);
            }),
            tensors_error,
            BIAS,
        ),
        ("extra tensor", f32s().header(|h| rename(h, BIAS, "dit.patch_embedding.bias2")), tensors_error, "bias2"),
        (
            "misshapen tensor",
            f32s().header(|h| h[BIAS]["shape"] = json!([8, 8])),
            tensors_error,
            "[8, 8] instead of [64]",
        ),
        ("many missing", f32s().config(|c| c["dit"]["layers"] = json!(3)), tensors_error, "27 missing"),
        ("many unknown", f32s().config(|c| c["dit"]["layers"] = json!(1)), tensors_error, "27 unknown"),
        (
            "quantised bias",
            q4().header(|h| {
                let bytes = h[BIAS]["data_offsets"][1].as_u64().unwrap() - h[BIAS]["data_offsets"][0].as_u64().unwrap();
                h[BIAS]["dtype"] = json!("I8");
                h[BIAS]["shape"] = json!([bytes]);
            }),
            |e| matches!(e, FileError::NotQuantisable(_)),
            BIAS,
        ),
        (
            "scale missing",
            q4().header(|h| rename(h, &format!("{FFN}.scale"), "lost")),
            |e| matches!(e, FileError::Scales { .. }),
            "found none",
        ),
        (
            "scale misshapen",
            q4().header(|h| h[&format!("{FFN}.scale")]["shape"] = json!([2, 96])),
            |e| matches!(e, FileError::Scales { .. }),
            "[2, 96]",
        ),
        (
            "scale without codes",
            f32s().header(|h| rename(h, BIAS, &format!("{FFN}.scale"))),
            tensors_error,
            "ffn.0.weight.scale",
        ),
        (
            "NaN weight",
            f32s().poke(BIAS, 20, &f32::NAN.to_le_bytes()),
            |e| matches!(e, FileError::NotFinite { index: 5, .. }),
            BIAS,
        ),
        (
            "infinite half",
            q4().poke(BIAS, 20, &f16::NEG_INFINITY.to_le_bytes()),
            |e| matches!(e, FileError::NotFinite { index: 10, .. }),
            "-inf",
        ),
        (
            "NaN scale",
            q4().poke(&format!("{FFN}.scale"), 62, &f16::NAN.to_le_bytes()),
            |e| matches!(e, FileError::NotFinite { index: 31, .. }),
            "ffn.0.weight.scale",
        ),
        (
            "later format",
            f32s().config(|c| *c = json!({"format": 2, "new": true})),
            |e| matches!(e, FileError::Config(ConfigError::Version { found: 2 })),
            "version 2",
        ),
        (
            "another kind of file",
            f32s().config(|c| c["family"] = json!("cosmos")),
            |e| matches!(e, FileError::Config(ConfigError::Family { .. })),
            "\"cosmos\", expected world or wan",
        ),
        (
            "a family that is told no text",
            f32s().config(|c| {
                for (field, value) in [("actions", json!([])), ("events", json!([])), ("event_tokens", json!(0))] {
                    c["dit"][field] = value;
                }
                c["dit"]["text"] = json!({"dim": 8, "length": 4});
            }),
            |e| matches!(e, FileError::Config(ConfigError::Field { .. })),
            "Wan with `dit.text`",
        ),
        (
            "a family whose worlds are begun by their hosts",
            f32s().config(|c| c["family"] = json!("wan")),
            |e| matches!(e, FileError::Config(ConfigError::Field { .. })),
            "start is given, expected none in this family",
        ),
        ("config not JSON", f32s().header(|h| h["__metadata__"]["causeway"] = json!("{")), json_error, "EOF"),
        (
            "config nested",
            f32s().header(|h| h["__metadata__"]["causeway"] = json!("[".repeat(5000))),
            json_error,
            "causeway JSON",
        ),
        (
            "config too long",
            f32s().header(|h| h["__metadata__"]["causeway"] = json!(" ".repeat(2 << 20))),
            |e| matches!(e, FileError::Config(ConfigError::TooLong(_))),
            "at most",
        ),
    ];
    for (case, bytes, right, part) in table {
        let bytes: std::sync::Arc<[u8]> = bytes.into();
        let error = Model::from_shared(bytes).map(drop).expect_err(case);
        assert!(right(&error), "{case}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(part), "{case}: no {part:?} in {text:?}");
        assert!(!text.contains(char::is_control) && text.len() < 1200, "{case}: not one sentence: {text:?}");
    }
}
