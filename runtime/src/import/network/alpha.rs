//! What a LoRA file says about its strength beside its tensors: alpha, and by what it is divided.
//!
//! Sources, each as its writer writes it:
//! * `__metadata__`, `lora_adapter_metadata`: JSON of diffusers, PEFT's settings under the component's name (`transformer.lora_alpha`);
//! * `__metadata__`, plain keys: `lora_alpha` with or without a component or a module before it, `network_alpha`, kohya's
//!   `ss_network_alpha`, and the ranks that go with them;
//! * `adapter_config.json` of PEFT, in the folder.
//!
//! A module's own setting counts before that of all: PEFT's `alpha_pattern`, then the longest prefix that covers the module. Settings
//! that count alike must agree, and a rank that is named must be the factors'.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::names;
use crate::config::printable;
use crate::file::container::Pairs;
use crate::import::{Checkpoint, ImportError};

/// Longest `adapter_config.json`, bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// Most prefixes of settings, and most entries of all patterns: each is compared with each layer.
const MAX_GROUPS: usize = 2048;
const MAX_PATTERNS: usize = 4096;
/// Largest alpha taken for one.
const MAX_ALPHA: f64 = 65_536.0;

/// Settings that count wherever they stand.
const FIELDS: [&str; 10] = [
    "lora_alpha",
    "r",
    "alpha_pattern",
    "rank_pattern",
    "use_rslora",
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "fan_in_fan_out",
    "init_lora_weights",
];
/// Other names of alpha and of the rank in plain metadata.
const PLAIN_ALPHAS: [&str; 3] = ["network_alpha", "ss_network_alpha", "alpha"];
const PLAIN_RANKS: [&str; 4] = ["network_dim", "ss_network_dim", "lora_rank", "rank"];

/// An alpha as a file gives it, and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alpha {
    pub value: f64,
    /// The setting, for people.
    pub source: String,
}

/// Names of the module that an update belongs to.
pub(super) struct Module<'a> {
    /// As in the file, without the factor's ending.
    pub raw: &'a str,
    /// The same without what wrappers add.
    stripped: String,
    /// As in the network.
    original: &'a str,
    pub rank: usize,
}

impl<'a> Module<'a> {
    /// A module of these names, in the file and in the network, whose factors have this rank.
    pub fn new(raw: &'a str, original: &'a str, rank: usize) -> Self {
        Self { raw, stripped: names::stripped(raw), original, rank }
    }

    fn names(&self) -> [&str; 3] {
        [self.raw, &self.stripped, self.original]
    }
}

/// A setting that could be read, or why not.
type Setting = Result<f64, String>;
/// Settings by what names them.
type Named = Vec<(String, Setting)>;

/// The settings of one source and prefix.
#[derive(Debug, Default)]
struct Group {
    source: String,
    /// What stands before the settings, without what wrappers add.
    prefix: String,
    alphas: Named,
    ranks: Named,
    alpha_pattern: Named,
    rank_pattern: Named,
    /// Whether alpha is divided by the root of the rank.
    rslora: Vec<bool>,
    /// A switch that is on and changes what is added.
    unmergeable: Option<String>,
    /// Whether it was asked for any module.
    reached: Cell<bool>,
}

/// Everything that a file says.
#[derive(Debug, Default)]
pub(super) struct Settings {
    groups: Vec<Group>,
    /// Entries of all patterns.
    patterns: usize,
    /// What cannot be read; an error only where it would be needed.
    broken: Option<String>,
}

/// A value of JSON, or a text of `__metadata__`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Null(()),
    Flag(bool),
    Number(f64),
    Text(String),
    Table(Pairs<Value>),
    Other(serde::de::IgnoredAny),
}

impl Value {
    /// A number; `None` where the writer says that there is none.
    fn number(&self) -> Option<Setting> {
        match self {
            Self::Null(()) => None,
            Self::Number(value) => Some(Ok(*value)),
            Self::Text(text) => match text.trim() {
                // Python's, JSON's and the word of kohya's resizing script, which then gives every layer its tensor.
                "" | "None" | "null" | "Dynamic" => None,
                text => Some(text.parse().map_err(|_| printable(text))),
            },
            _ => Some(Err("not a number".to_owned())),
        }
    }

    fn flag(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            Self::Text(text) => text.trim().eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    fn pattern(&self) -> Named {
        let Self::Table(Pairs(pairs)) = self else { return Vec::new() };
        pairs.iter().filter_map(|(key, value)| Some((key.clone(), value.number()?))).collect()
    }
}

impl Settings {
    /// Collects what the file, and for PEFT's folders its neighbour, says.
    ///
    /// # Errors
    /// `Io`.
    pub fn of(checkpoint: &Checkpoint, asked: &Path) -> Result<Self, ImportError> {
        let mut settings = Self::default();
        for (key, text) in checkpoint.metadata() {
            if key == "lora_adapter_metadata" {
                settings.json(key, text);
            } else {
                settings.set("__metadata__", key, &Value::Text(text.clone()));
            }
        }
        // PEFT's weights bear this name; beside other files the settings may be another adapter's.
        let path = checkpoint.path();
        let ours =
            asked.is_dir() || path.is_some_and(|path| path.file_stem().is_some_and(|stem| stem == "adapter_model"));
        let config = path.and_then(Path::parent).map(|folder| folder.join("adapter_config.json"));
        if let Some(config) = config.filter(|config| ours && config.is_file()) {
            let mut text = String::new();
            let file = File::open(&config).map_err(ImportError::io("open", &config))?;
            match file.take(MAX_CONFIG).read_to_string(&mut text) {
                Ok(_) => settings.json("adapter_config.json", &text),
                Err(error) => settings.broken = Some(format!("adapter_config.json: {error}")),
            }
        }
        Ok(settings)
    }

    /// Takes the settings of a JSON object.
    fn json(&mut self, source: &str, text: &str) {
        match serde_json::from_str::<Pairs<Value>>(text) {
            Ok(Pairs(pairs)) => pairs.iter().for_each(|(key, value)| self.set(source, key, value)),
            Err(error) => self.broken = Some(format!("{source}: {}", printable(&error.to_string()))),
        }
    }

    fn set(&mut self, source: &str, key: &str, value: &Value) {
        let (prefix, field) = key.rsplit_once('.').unwrap_or(("", key));
        // Plain metadata hold much else, and so do PEFT's settings.
        let plain = source == "__metadata__";
        let ours =
            FIELDS.contains(&field) || (plain && PLAIN_ALPHAS.iter().chain(&PLAIN_RANKS).any(|own| *own == field));
        if !ours || self.broken.is_some() {
            return;
        }
        let prefix = names::stripped(&format!("{prefix}."));
        let prefix = prefix.trim_end_matches('.');
        let at = self.groups.iter().position(|group| group.source == source && group.prefix == prefix);
        let at = at.unwrap_or_else(|| {
            let (source, prefix) = (source.to_owned(), prefix.to_owned());
            self.groups.push(Group { source, prefix, ..Group::default() });
            self.groups.len() - 1
        });
        if self.groups.len() > MAX_GROUPS {
            self.broken = Some(format!("more than {MAX_GROUPS} parts have their own"));
            return;
        }
        let group = &mut self.groups[at];
        let named = if plain { printable(key) } else { format!("{source}, {}", printable(key)) };
        match field {
            "alpha_pattern" | "rank_pattern" => {
                let pattern = value.pattern();
                self.patterns += pattern.len();
                if self.patterns > MAX_PATTERNS {
                    self.broken = Some(format!("more than {MAX_PATTERNS} entries of patterns"));
                } else if field == "alpha_pattern" {
                    group.alpha_pattern.extend(pattern);
                } else {
                    group.rank_pattern.extend(pattern);
                }
            }
            "use_rslora" => group.rslora.push(value.flag()),
            "use_dora" | "use_qalora" | "use_bdlora" | "fan_in_fan_out" if value.flag() => {
                group.unmergeable = Some(field.to_owned());
            }
            "init_lora_weights" => {
                // These take the first factors out of the network, whose weights as published no longer fit.
                const CHANGING: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];
                if let Value::Text(text) = value
                    && CHANGING.iter().any(|way| text.starts_with(way))
                {
                    group.unmergeable = Some(format!("{field} {}", printable(text)));
                }
            }
            "lora_alpha" => group.alphas.extend(value.number().map(|value| (named, value))),
            "r" => group.ranks.extend(value.number().map(|value| (named, value))),
            alpha if PLAIN_ALPHAS.contains(&alpha) => group.alphas.extend(value.number().map(|value| (named, value))),
            rank if PLAIN_RANKS.contains(&rank) => group.ranks.extend(value.number().map(|value| (named, value))),
            _ => {}
        }
    }

    /// An error if a source could not be read.
    fn broken(&self) -> Result<(), String> {
        self.broken.as_ref().map_or(Ok(()), |what| Err(format!("its settings cannot be read, {what}")))
    }

    /// Refuses settings of the modules asked for under which the factors' product is not what is added to the published weights.
    pub fn mergeable(&self) -> Result<(), String> {
        let mut reached = self.groups.iter().filter(|group| group.reached.get());
        match reached.find_map(|group| Some((&group.source, group.unmergeable.as_ref()?))) {
            Some((source, what)) => Err(format!("{source} says {what}, which is not merged")),
            None => Ok(()),
        }
    }

    /// The alpha of a module; `None` where nothing says it.
    ///
    /// # Errors
    /// A sentence: settings that contradict each other or the factors, or that cannot be read.
    pub fn alpha(&self, module: &Module<'_>) -> Result<Option<Alpha>, String> {
        self.broken()?;
        let alpha = self.pick(module, |group| (&group.alphas, &group.alpha_pattern), "alpha")?;
        let Some((source, value)) = alpha else { return Ok(None) };
        let value = sound(value).map_err(|what| format!("{source} is {what}"))?;
        let rank = self.pick(module, |group| (&group.ranks, &group.rank_pattern), "rank")?;
        if let Some((named, rank)) = rank.filter(|(_, rank)| *rank != module.rank as f64) {
            return Err(format!("{named} is {rank}, but the factors of {} have rank {}", module.raw, module.rank));
        }
        Ok(Some(Alpha { value, source }))
    }

    /// Whether alpha is divided by the root of the rank, `use_rslora`, and not by the rank.
    ///
    /// # Errors
    /// Settings that contradict each other, or that cannot be read.
    pub fn divisor(&self, module: &Module<'_>) -> Result<bool, String> {
        self.broken()?;
        let flags = self.groups.iter().filter(|group| group.reach(module).is_some()).flat_map(|group| &group.rslora);
        let mut flags = flags.copied();
        let first = flags.next().unwrap_or(false);
        if flags.any(|flag| flag != first) {
            return Err("use_rslora is both true and false in its settings".to_owned());
        }
        Ok(first)
    }

    /// Alphas of prefixes that reached none of the modules asked for.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        // Where something cannot be read, nothing of it is asked for.
        let idle = self.groups.iter().filter(|group| self.broken.is_none() && !group.reached.get());
        idle.flat_map(|group| group.alphas.iter().map(|(key, _)| key.as_str()))
    }

    /// The setting of the groups that reach the module, by pattern or the longest prefix.
    fn pick<'a>(
        &'a self,
        module: &Module<'_>,
        lists: impl Fn(&'a Group) -> (&'a Named, &'a Named),
        what: &str,
    ) -> Result<Option<(String, f64)>, String> {
        let mut best: Vec<(usize, String, &Setting)> = Vec::new();
        for group in &self.groups {
            let Some(reach) = group.reach(module) else { continue };
            let (all, pattern) = lists(group);
            // PEFT takes the first that fits.
            for (key, value) in pattern {
                if fits(key, module).map_err(|why| format!("{}: {why}", group.source))? {
                    let named = format!("{}, {what}_pattern of {}", group.source, printable(key));
                    best.push((usize::MAX, named, value));
                    break;
                }
            }
            best.extend(all.iter().map(|(key, value)| (reach, key.clone(), value)));
        }
        let top = best.iter().map(|(reach, ..)| *reach).max();
        let mut picked: Option<(String, f64)> = None;
        for (_, key, value) in best.into_iter().filter(|(reach, ..)| Some(*reach) == top) {
            let value = *value.as_ref().map_err(|found| format!("{key} is {found}, expected a number"))?;
            match &picked {
                Some((other, first)) if *first != value => {
                    return Err(format!("{other} is {first}, but {key} is {value}"));
                }
                Some(_) => {}
                None => picked = Some((key, value)),
            }
        }
        Ok(picked)
    }
}

impl Group {
    /// How closely this group's prefix names the module: 0 for all modules, `None` if it names others.
    fn reach(&self, module: &Module<'_>) -> Option<usize> {
        let prefix = self.prefix.as_str();
        let covers =
            |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let reaches = prefix.is_empty() || module.names().into_iter().any(covers);
        self.reached.set(self.reached.get() || reaches);
        reaches.then_some(prefix.len())
    }
}

/// Whether a key of a pattern names the module, as PEFT's `(.*\.)?(KEY)$` does for names.
fn fits(key: &str, module: &Module<'_>) -> Result<bool, String> {
    let whole = key.starts_with('^');
    let name = key.trim_start_matches('^').trim_end_matches('$').replace("\\.", ".");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("the pattern {} is not a name", printable(key)));
    }
    Ok(module.names().into_iter().any(|module| {
        let rest = module.strip_suffix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || (!whole && rest.ends_with('.')))
    }))
}

/// An alpha that can be meant.
pub(super) fn sound(value: f64) -> Result<f64, String> {
    if value > 0.0 && value <= MAX_ALPHA {
        Ok(value)
    } else {
        Err(format!("{value}, expected a number above 0 and at most {MAX_ALPHA}"))
    }
}
