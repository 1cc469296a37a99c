//! How strongly a LoRA is added to each weight, and what is said about it.
//!
//! The scale is strength * alpha / rank, or over the root of the rank with PEFT's `use_rslora`. Alpha is, the first that is there:
//! 1. the layer's own tensor `alpha`, which its trainer divides by the rank;
//! 2. the one asked for ([`LoraOptions::alpha`]);
//! 3. what the file's metadata or its `adapter_config.json` say, see `alpha`;
//! 4. the rank, which makes the scale 1.

use core::fmt;

use super::alpha::{Module, Settings, sound};

/// How a LoRA is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraOptions {
    /// Key of the checkpoint that holds it; `generator_lora` or all if `None`.
    pub key: Option<String>,
    /// Alpha of layers that have no tensor of it, whatever the file's settings say; what these say if `None`, else the rank.
    pub alpha: Option<f32>,
    /// Multiplies the update.
    pub strength: f32,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self { key: None, alpha: None, strength: 1.0 }
    }
}

/// What was found out about one LoRA.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Merged {
    /// Weights by how they are updated; most weights first.
    pub scales: Vec<Scale>,
    /// Tensors that a full difference is added to.
    pub differences: usize,
    /// What differences are multiplied with.
    pub strength: f32,
    /// Settings that do not count though they say something else, one sentence each.
    pub notes: Vec<String>,
}

/// How strongly some weights are updated.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scale {
    /// How many weights.
    pub weights: usize,
    /// What the product of the factors is multiplied with.
    pub scale: f32,
    /// Alpha and where it was found; `None` where nothing names one.
    pub alpha: Option<(f64, String)>,
    /// The factors' rank.
    pub rank: usize,
    /// Whether alpha is divided by the root of the rank.
    pub root: bool,
    /// What it is multiplied with besides.
    pub strength: f32,
}

impl Merged {
    /// Weights that are updated by factors.
    pub fn weights(&self) -> usize {
        self.scales.iter().map(|scale| scale.weights).sum()
    }

    /// Counts one more weight.
    pub(super) fn count(&mut self, scale: Scale) {
        let same = |other: &&mut Scale| Scale { weights: 1, ..(**other).clone() } == scale;
        match self.scales.iter_mut().find(same) {
            Some(known) => known.weights += 1,
            None => self.scales.push(scale),
        }
    }

    pub(super) fn note(&mut self, text: String) {
        if !self.notes.contains(&text) && self.notes.len() < 8 {
            self.notes.push(text);
        }
    }

    /// The scale of a module's update; `own` is its alpha tensor.
    ///
    /// # Errors
    /// A sentence: an alpha that cannot be meant, or settings that contradict each other.
    pub(super) fn scale(
        &mut self,
        module: &Module<'_>,
        own: Option<f64>,
        settings: &Settings,
        options: &LoraOptions,
    ) -> Result<Scale, String> {
        let (said, divided) = (settings.alpha(module), settings.divisor(module));
        let asked = options.alpha.map(f64::from);
        let (chosen, root) = match (own, asked) {
            (Some(own), _) => {
                sound(own).map_err(|what| format!("alpha of {} is {what}", module.raw))?;
                if asked.is_some_and(|asked| asked != own) {
                    self.note("the alpha asked for is not used where layers have their own".to_owned());
                }
                if let Ok(true) = divided {
                    self.note("use_rslora is set, but alpha tensors are divided by the rank".to_owned());
                }
                (Some((own, "of its own tensor".to_owned())), false)
            }
            (None, Some(asked)) => {
                // A contradiction is settled by who asks; of the divisor nobody has said anything then.
                let root = divided.unwrap_or_else(|why| {
                    self.note(why);
                    false
                });
                (Some((asked, "as asked for".to_owned())), root)
            }
            (None, None) => match (said.clone().map_err(|why| format!("{why}; give the right alpha"))?, divided?) {
                (Some(alpha), root) => (Some((alpha.value, format!("of {}", alpha.source))), root),
                (None, true) => return Err("it says use_rslora and no alpha; give the alpha".to_owned()),
                (None, false) => (None, false),
            },
        };
        match said {
            Ok(Some(said)) if chosen.as_ref().is_some_and(|(alpha, _)| *alpha != said.value) => {
                self.note(format!("{} is {} and is not used", said.source, said.value));
            }
            Err(why) => self.note(why),
            Ok(_) => {}
        }
        let rank = module.rank as f64;
        let alpha = chosen.as_ref().map_or(rank, |(alpha, _)| *alpha);
        let scale = f64::from(options.strength) * alpha / if root { rank.sqrt() } else { rank };
        Ok(Scale {
            weights: 1,
            scale: scale as f32,
            alpha: chosen,
            rank: module.rank,
            root,
            strength: options.strength,
        })
    }

    /// The most common scales first.
    pub(super) fn sorted(mut self) -> Self {
        self.scales.sort_by_key(|scale| core::cmp::Reverse(scale.weights));
        self
    }
}

/// Most kinds of scales that are listed.
const LISTED: usize = 6;

impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.differences > 0 {
            write!(f, "adds {} differences", self.differences)?;
            if self.strength != 1.0 {
                write!(f, " times {}", self.strength)?;
            }
            f.write_str(if self.scales.is_empty() { "" } else { " and " })?;
        }
        if !self.scales.is_empty() {
            write!(f, "updates {} tensors", self.weights())?;
        }
        for (at, scale) in self.scales.iter().take(LISTED).enumerate() {
            f.write_str(if at == 0 { " " } else { ", " })?;
            if self.scales.len() > 1 {
                write!(f, "{} ", scale.weights)?;
            }
            write!(f, "{scale}")?;
        }
        if self.scales.len() > LISTED {
            write!(f, ", and {} other kinds", self.scales.len() - LISTED)?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scale, rank, .. } = self;
        write!(f, "at scale {scale} (")?;
        match &self.alpha {
            Some((alpha, source)) if self.root => write!(f, "alpha {alpha} {source}, over the root of rank {rank}")?,
            Some((alpha, source)) => write!(f, "alpha {alpha} {source}, rank {rank}")?,
            None => write!(f, "no alpha is named: taken for the rank, {rank}")?,
        }
        if self.strength != 1.0 {
            write!(f, ", strength {}", self.strength)?;
        }
        f.write_str(")")
    }
}
