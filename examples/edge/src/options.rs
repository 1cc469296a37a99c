//! What the command line says.

use std::{path::PathBuf, str::FromStr};

/// All of it.
pub struct Options {
    pub model: Option<PathBuf>,
    pub frames: u64,
    pub seed: u64,
    pub threads: usize,
    pub strict: bool,
    pub hashes: bool,
    pub png: Option<PathBuf>,
    pub screen: Option<String>,
    pub keys: Option<PathBuf>,
}

const USAGE: &str = "edge [--model FILE] [--frames N] [--seed N] [--threads N] [--strict] [--hashes] [--png FOLDER] \
[--screen /dev/fb0[,WxHxBITS]] [--keys /dev/input/event0]";

impl Options {
    /// Of these words.
    pub fn of(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut this = Self {
            model: None,
            frames: u64::MAX,
            seed: 7,
            threads: 0,
            strict: false,
            hashes: false,
            png: None,
            screen: None,
            keys: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value; {USAGE}"));
            match word.as_str() {
                "--model" => this.model = Some(value()?.into()),
                "--frames" => this.frames = number(&word, &value()?)?,
                "--seed" => this.seed = number(&word, &value()?)?,
                "--threads" => this.threads = number(&word, &value()?)?,
                "--strict" => this.strict = true,
                "--hashes" => this.hashes = true,
                "--png" => this.png = Some(value()?.into()),
                "--screen" => this.screen = Some(value()?),
                "--keys" => this.keys = Some(value()?.into()),
                _ => return Err(format!("`{word}` is no option; {USAGE}")),
            }
        }
        if this.png.is_none() && this.screen.is_none() && !this.hashes {
            return Err(format!("nothing would be shown: there are --screen, --png and --hashes; {USAGE}"));
        }
        Ok(this)
    }
}

fn number<T: FromStr>(word: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{word} is `{value}`, which is no number"))
}
