//! Reads SentencePiece's own file, `spiece.model`, as the `tokenizer.json` that says the same.
//!
//! It is a protocol buffer, `ModelProto` of sentencepiece_model.proto; the few fields that matter are read here. What comes out is checked
//! like any other `tokenizer.json`.

use serde_json::{Value, json};

use super::charsmap;

/// Types of pieces.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER: u64 = 4;
/// The number of the kind of model that is read.
const UNIGRAM: u64 = 1;
/// The token that ends a text.
const END: &str = "</s>";

/// A field's value.
#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
}

/// Fields of a message, with their numbers.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Float(f32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

/// Gives each field of the message in `bytes` to `take`.
fn each<'a>(bytes: &'a [u8], mut take: impl FnMut(u64, Field<'a>) -> Result<(), String>) -> Result<(), String> {
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        let (number, value) = fields.next().ok_or("its fields are damaged")?;
        take(number, value)?;
    }
    Ok(())
}

/// The `tokenizer.json` of a SentencePiece model.
///
/// # Errors
/// What is wrong with it, or not read, in words.
pub fn json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (mut pieces, mut added, mut unknown) = (Vec::new(), Vec::new(), None);
    let (mut kind, mut fallback, mut prefix, mut escaped) = (UNIGRAM, false, true, true);
    let mut charsmap: &[u8] = &[];
    each(bytes, |field, value| {
        match (field, value) {
            (1, Field::Bytes(piece)) => {
                let (text, score, kind) = self::piece(piece)?;
                let id = pieces.len();
                if kind == UNKNOWN {
                    unknown = Some(id);
                }
                if [UNKNOWN, CONTROL, USER].contains(&kind) {
                    added.push(json!({"id": id, "content": text, "special": kind != USER, "normalized": false}));
                }
                pieces.push(json!([text, score]));
            }
            (2, Field::Bytes(trainer)) => each(trainer, |field, value| {
                match (field, value) {
                    (3, Field::Number(number)) => kind = number,
                    (35, Field::Number(number)) => fallback = number != 0,
                    _ => {}
                }
                Ok(())
            })?,
            (3, Field::Bytes(normaliser)) => each(normaliser, |field, value| {
                match (field, value) {
                    (2, Field::Bytes(table)) => charsmap = table,
                    (3, Field::Number(number)) => prefix = number != 0,
                    (5, Field::Number(number)) => escaped = number != 0,
                    _ => {}
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    if kind != UNIGRAM || !escaped || pieces.is_empty() {
        return Err("only Unigram models that mark spaces are read".to_owned());
    }
    let end = pieces.iter().position(|piece| piece[0] == END).ok_or_else(|| format!("it has no token {END}"))?;
    let normaliser = match charsmap {
        [] => Value::Null,
        table => json!({"type": "Precompiled", "precompiled_charsmap": charsmap::to_base64(table)}),
    };
    let scheme = if prefix { "always" } else { "never" };
    let file = json!({
        "added_tokens": added,
        "normalizer": normaliser,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": scheme, "split": true},
        ]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": END, "type_id": 0}}],
            "special_tokens": {END: {"id": END, "ids": [end], "tokens": [END]}},
        },
        "model": {"type": "Unigram", "vocab": pieces, "unk_id": unknown, "byte_fallback": fallback},
    });
    serde_json::to_vec(&file).map_err(|error| error.to_string())
}

/// A piece's text, score and type.
fn piece(bytes: &[u8]) -> Result<(&str, f32, u64), String> {
    let (mut text, mut score, mut kind) = ("", 0.0, 1);
    each(bytes, |field, value| {
        match (field, value) {
            (1, Field::Bytes(bytes)) => text = core::str::from_utf8(bytes).map_err(|_| "a token is not UTF-8")?,
            (2, Field::Float(value)) => score = value,
            (3, Field::Number(number)) => kind = number,
            _ => {}
        }
        Ok(())
    })?;
    Ok((text, score, kind))
}
