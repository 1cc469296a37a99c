//! Reads a `tokenizer.json` and builds the tokenizer of it.
//!
//! Such a file is untrusted input, and the library trusts it: it indexes tables by the file's numbers, runs its regular expressions and
//! takes hundreds of bytes for each byte of a token. So the file is read here, as far as SentencePiece's tokenizers go, every part is
//! checked, and only checked parts are handed on.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, SeqAccess, Visitor},
};
use tokenizers::{
    AddedToken, NormalizerWrapper, PreTokenizerWrapper, Tokenizer,
    models::unigram::Unigram,
    normalizers::{
        Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents,
        replace::ReplacePattern,
    },
    pre_tokenizers::{
        metaspace::{Metaspace, PrependScheme},
        sequence::Sequence as PreTokenizers,
        whitespace::{Whitespace, WhitespaceSplit},
    },
};

use super::charsmap;

/// Longest token in bytes; SentencePiece's have 16 characters.
const LONGEST_TOKEN: usize = 256;
/// Most tokens of a vocabulary, and of those added to it.
const MOST_TOKENS: usize = 1 << 20;
const MOST_ADDED: usize = 1 << 14;
/// Most nodes of a trie of all tokens. The library takes some 360 bytes for each; umT5's 256,300 tokens make a
/// million or so.
const MOST_NODES: usize = 3 << 20;
/// Some in any case, and one for so many bytes of the file: a token's score alone takes more.
const FREE_NODES: usize = 1 << 14;
const BYTES_PER_NODE: usize = 6;
/// Most steps of a normaliser or pre-tokenizer.
const MOST_STEPS: usize = 16;
/// Longest text that a step replaces or puts in front.
const LONGEST_TEXT: usize = 64;
/// Most special tokens around a text.
const MOST_AROUND: usize = 16;
/// Bytes that a text may grow to while it is normalised.
pub const MOST_NORMALISED: usize = 8 << 20;
/// The regular expressions that files made of SentencePiece models have. Others could take for ever.
const EXPRESSIONS: [&str; 6] = [" {2,}", r"\s{2,}", " +", r"\s+", r"^\s+", r"\s+$"];

/// A tokenizer and what is known of it.
pub struct Checked {
    pub tokenizer: Tokenizer,
    /// Tokens before and after those of a text.
    pub around: (Vec<u32>, Vec<u32>),
    /// How many times longer the normaliser can make a text.
    pub growth: usize,
}

#[derive(Deserialize)]
struct Kinds {
    model: Kind,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Outermost>,
    pre_tokenizer: Option<Outermost>,
    post_processor: Option<Processor>,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    vocab: Vec<(String, f64)>,
    unk_id: Option<usize>,
    #[serde(default)]
    byte_fallback: bool,
}

#[derive(Deserialize)]
struct Added {
    /// Checked to be one; the vocabulary says which.
    #[serde(rename = "id")]
    _id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

/// A normaliser or a pre-tokenizer, all fields of all kinds, and its parts if it is a sequence.
#[derive(Deserialize)]
#[serde(bound = "S: Deserialize<'de>")]
struct Step<S> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    normalizers: Few<S>,
    #[serde(default)]
    pretokenizers: Few<S>,
    #[serde(default)]
    precompiled_charsmap: String,
    #[serde(default)]
    strip_left: bool,
    #[serde(default)]
    strip_right: bool,
    #[serde(default)]
    prepend: String,
    pattern: Option<Pattern>,
    #[serde(default)]
    content: String,
    replacement: Option<char>,
    add_prefix_space: Option<bool>,
    prepend_scheme: Option<Scheme>,
    split: Option<bool>,
}

/// Sequences may be nested three deep.
type Outermost = Step<Step<Step<Deepest>>>;

/// A step that is too deep to be one.
enum Deepest {}

impl<'de> Deserialize<'de> for Deepest {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("sequences are nested too deep"))
    }
}

/// At most [`MOST_STEPS`] of something. A list of empty objects would take a hundred times the file.
struct Few<S>(Vec<S>);

impl<S> Default for Few<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Few<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FewVisitor<S>(PhantomData<S>);
        impl<'de, S: Deserialize<'de>> Visitor<'de> for FewVisitor<S> {
            type Value = Few<S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST_STEPS}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut few = Vec::new();
                while let Some(step) = list.next_element()? {
                    if few.len() >= MOST_STEPS {
                        return Err(A::Error::invalid_length(few.len() + 1, &self));
                    }
                    few.push(step);
                }
                Ok(Few(few))
            }
        }
        deserializer.deserialize_seq(FewVisitor(PhantomData))
    }
}

#[derive(Deserialize)]
enum Pattern {
    String(String),
    Regex(String),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scheme {
    First,
    Never,
    Always,
}

#[derive(Deserialize)]
struct Processor {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    single: Vec<Piece>,
    #[serde(default)]
    special_tokens: BTreeMap<String, Special>,
}

#[derive(Deserialize)]
enum Piece {
    Sequence(IgnoredAny),
    SpecialToken { id: String },
}

#[derive(Deserialize)]
struct Special {
    ids: Vec<u32>,
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(bytes: &[u8]) -> Result<Checked, String> {
    let json = |error: serde_json::Error| error.to_string();
    let Kinds { model: Kind { kind } } = serde_json::from_slice(bytes).map_err(json)?;
    if let Some(kind) = kind.filter(|kind| kind != "Unigram") {
        return Err(format!("its model is {}, expected Unigram", name(&kind)));
    }
    let file: File = serde_json::from_slice(bytes).map_err(json)?;
    check_tokens(&file, bytes.len())?;

    let (mut steps, mut growth) = (Vec::new(), 1usize);
    file.normalizer.iter().try_for_each(|step| step.normaliser(&mut steps, &mut growth))?;
    let mut parts = Vec::new();
    file.pre_tokenizer.iter().try_for_each(|step| step.pre_tokenizer(&mut parts))?;
    let added: usize = file.added_tokens.iter().map(|token| token.content.len()).sum();
    if growth.saturating_mul(added) > MOST_NORMALISED {
        return Err(format!("its normaliser makes texts up to {growth} times longer"));
    }

    let Model { vocab, unk_id, byte_fallback } = file.model;
    let model = Unigram::from(vocab, unk_id, byte_fallback).map_err(|error| error.to_string())?;
    let mut tokenizer = Tokenizer::new(model);
    let normaliser = (!steps.is_empty()).then(|| Sequence::new(steps));
    tokenizer.with_normalizer(normaliser).map_err(|error| error.to_string())?;
    tokenizer.with_pre_tokenizer((!parts.is_empty()).then(|| PreTokenizers::new(parts)));
    let added = file.added_tokens.into_iter().map(|token| AddedToken {
        content: token.content,
        single_word: token.single_word,
        lstrip: token.lstrip,
        rstrip: token.rstrip,
        normalized: token.normalized.unwrap_or(!token.special),
        special: token.special,
    });
    tokenizer.add_tokens(added).map_err(|error| error.to_string())?;
    Ok(Checked { tokenizer, around: around(file.post_processor)?, growth })
}

/// A name of the file's, short.
fn name(text: &str) -> String {
    text.chars().take(40).collect()
}

fn check_tokens(file: &File, bytes: usize) -> Result<(), String> {
    let (vocab, added) = (&file.model.vocab, &file.added_tokens);
    if vocab.len() > MOST_TOKENS || added.len() > MOST_ADDED {
        return Err(format!("it has {} tokens and adds {}", vocab.len(), added.len()));
    }
    if let Some(unknown) = file.model.unk_id.filter(|&id| id >= vocab.len()) {
        return Err(format!("its unknown token is {unknown} of {}", vocab.len()));
    }
    let texts = vocab.iter().map(|(token, _)| token.as_str()).chain(added.iter().map(|token| token.content.as_str()));
    let mut texts: Vec<&str> = texts.collect();
    if let Some(token) = texts.iter().find(|token| token.len() > LONGEST_TOKEN) {
        return Err(format!("a token has {} bytes, expected at most {LONGEST_TOKEN}", token.len()));
    }
    if let Some((token, score)) = vocab.iter().find(|(_, score)| score.abs() > 1e6) {
        return Err(format!("the score of token {} is {score:e}", name(token)));
    }
    // In order, what a text does not share with the one before it are its own nodes.
    texts.sort_unstable();
    let shared = |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    let all: usize = texts.iter().map(|text| text.len()).sum();
    let nodes = all - texts.windows(2).map(shared).sum::<usize>();
    let most = MOST_NODES.min(FREE_NODES + bytes / BYTES_PER_NODE);
    if nodes > most {
        return Err(format!("its tokens have {nodes} different beginnings, expected at most {most} in {bytes} bytes"));
    }
    Ok(())
}

fn short(text: &str) -> Result<String, String> {
    if text.len() > LONGEST_TEXT {
        return Err(format!("its normaliser has a text of {} bytes, expected at most {LONGEST_TEXT}", text.len()));
    }
    Ok(text.to_owned())
}

/// What a file lists as a normaliser or a pre-tokenizer.
trait Listed {
    /// Adds the steps of a normaliser, and multiplies `growth` by how many times longer they can make a text.
    fn normaliser(&self, steps: &mut Vec<NormalizerWrapper>, growth: &mut usize) -> Result<(), String>;

    /// Adds the steps of a pre-tokenizer.
    fn pre_tokenizer(&self, parts: &mut Vec<PreTokenizerWrapper>) -> Result<(), String>;
}

impl Listed for Deepest {
    fn normaliser(&self, _: &mut Vec<NormalizerWrapper>, _: &mut usize) -> Result<(), String> {
        match *self {}
    }

    fn pre_tokenizer(&self, _: &mut Vec<PreTokenizerWrapper>) -> Result<(), String> {
        match *self {}
    }
}

impl<S: Listed> Listed for Step<S> {
    fn normaliser(&self, steps: &mut Vec<NormalizerWrapper>, growth: &mut usize) -> Result<(), String> {
        // Unicode's largest factors in UTF-8 (UAX 15, on expansion): 3 for composed forms, 11 for those of compatibility.
        let (made, factor): (NormalizerWrapper, usize) = match self.kind.as_str() {
            "Sequence" => return self.normalizers.0.iter().try_for_each(|step| step.normaliser(steps, growth)),
            "NFC" => (NFC.into(), 3),
            "NFD" => (NFD.into(), 4),
            "NFKC" => (NFKC.into(), 11),
            "NFKD" => (NFKD.into(), 11),
            "Nmt" => (Nmt.into(), 1),
            "Lowercase" => (Lowercase.into(), 3),
            "StripAccents" => (StripAccents.into(), 1),
            "Strip" => (Strip::new(self.strip_left, self.strip_right).into(), 1),
            "Prepend" => (Prepend::new(short(&self.prepend)?).into(), 1 + self.prepend.len()),
            "Replace" => self.replace()?,
            "Precompiled" => {
                let table = charsmap::base64(&self.precompiled_charsmap);
                let table = table.ok_or("the table of characters is not base64, or too large")?;
                let factor = charsmap::check(&table).map_err(|what| format!("the table of characters {what}"))?;
                (Precompiled::from(&table).map_err(|error| error.to_string())?.into(), factor)
            }
            other => return Err(format!("its normaliser is {}, which is not known", name(other))),
        };
        if steps.len() >= MOST_STEPS {
            return Err(format!("its normaliser has more than {MOST_STEPS} steps"));
        }
        *growth = growth.saturating_mul(factor.max(1));
        steps.push(made);
        Ok(())
    }

    fn pre_tokenizer(&self, parts: &mut Vec<PreTokenizerWrapper>) -> Result<(), String> {
        let made = match self.kind.as_str() {
            "Sequence" => return self.pretokenizers.0.iter().try_for_each(|step| step.pre_tokenizer(parts)),
            "Whitespace" => Whitespace.into(),
            "WhitespaceSplit" => WhitespaceSplit.into(),
            "Metaspace" => {
                let scheme = match (self.prepend_scheme, self.add_prefix_space) {
                    (_, Some(false)) | (Some(Scheme::Never), _) => PrependScheme::Never,
                    (Some(Scheme::First), _) => PrependScheme::First,
                    (Some(Scheme::Always) | None, _) => PrependScheme::Always,
                };
                let replacement = self.replacement.ok_or("its pre-tokenizer names no replacement")?;
                Metaspace::new(replacement, scheme, self.split.unwrap_or(true)).into()
            }
            other => return Err(format!("its pre-tokenizer is {}, which is not known", name(other))),
        };
        if parts.len() >= MOST_STEPS {
            return Err(format!("its pre-tokenizer has more than {MOST_STEPS} steps"));
        }
        parts.push(made);
        Ok(())
    }
}

impl<S> Step<S> {
    fn replace(&self) -> Result<(NormalizerWrapper, usize), String> {
        let content = short(&self.content)?;
        let (pattern, least) = match &self.pattern {
            Some(Pattern::String(text)) if !text.is_empty() => (ReplacePattern::String(short(text)?), text.len()),
            Some(Pattern::Regex(regex)) if EXPRESSIONS.contains(&regex.as_str()) => {
                (ReplacePattern::Regex(regex.clone()), 1)
            }
            Some(Pattern::String(_)) | None => return Err("its normaliser replaces nothing".to_owned()),
            Some(Pattern::Regex(regex)) => {
                return Err(format!("its normaliser replaces by {}, which is not known", name(regex)));
            }
        };
        let factor = content.len().div_ceil(least);
        let made = Replace::new(pattern, content).map_err(|error| error.to_string())?;
        Ok((made.into(), factor))
    }
}

/// The tokens before and after those of a text.
fn around(processor: Option<Processor>) -> Result<(Vec<u32>, Vec<u32>), String> {
    let Some(processor) = processor else { return Ok(Default::default()) };
    if processor.kind != "TemplateProcessing" {
        return Err(format!("its post-processor is {}, expected TemplateProcessing", name(&processor.kind)));
    }
    let mut parts = vec![Vec::new()];
    for piece in &processor.single {
        match piece {
            Piece::Sequence(_) => parts.push(Vec::new()),
            Piece::SpecialToken { id } => {
                let special = processor.special_tokens.get(id);
                let special = special.ok_or_else(|| format!("its post-processor lacks {}", name(id)))?;
                let (last, most) = (parts.len() - 1, MOST_AROUND);
                parts[last].extend(special.ids.iter().take(most));
                if special.ids.len() > most || parts[last].len() > most {
                    return Err(format!("its post-processor adds more than {most} tokens"));
                }
            }
        }
    }
    match <[Vec<u32>; 2]>::try_from(parts) {
        Ok([before, after]) => Ok((before, after)),
        Err(parts) => Err(format!("its post-processor takes a text {} times", parts.len() - 1)),
    }
}
