//! Finds a Wan 2.1 network in a checkpoint, or a game made of one: its size from shapes, and what is missing, misshapen or unknown.

use std::collections::BTreeMap;
use std::path::Path;

use causeway_ops::quant::DType;

use super::found::{LISTED, compare, listed};
use super::game::{self, Outside};
use super::lora::Lora;
use super::names;
use super::patches::Patches;
use super::settings::Settings;
use super::strength::{LoraOptions, Merged};
use super::vae::latent_statistics;
use crate::config::{
    CodecConfig, CodecKind, Descriptors, DitConfig, FORMAT, Family, GameConfig, HealthConfig, HistoryConfig,
    LatentConfig, LimitsConfig, ModelConfig, Prediction, Provenance, ScheduleConfig, TextConfig,
};
use crate::file::{Sink, expected_tensors};
use crate::import::source::View;
use crate::import::{Checkpoint, Entry, ImportError, write};

/// Features of a head in every published Wan 2.1 model.
const HEAD_DIM: usize = 128;
/// The layer that takes patches of latents.
const PATCHES: &str = names::WAN;
/// What a network has that is told actions and events, as our own worlds are.
const ACTIONS: &str = "action_embedding.0.weight";
const EVENTS: &str = "event_embedding";
/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Part of the checkpoint to take; the best wrapper that is there if `None` (spec 1.3).
    pub key: Option<String>,
    /// Attention heads, which no tensor tells; as many as make heads of 128 if `None`.
    pub heads: Option<usize>,
}

/// A Wan network found in a checkpoint.
#[derive(Debug)]
pub struct Import {
    checkpoint: Checkpoint,
    /// Index of each tensor by its original name.
    found: BTreeMap<String, usize>,
    loras: Vec<Lora>,
    sizes: Sizes,
    unknown: Vec<String>,
    notes: Vec<String>,
}

/// What the network is told.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// Texts, or a picture's features, of so many numbers a row.
    Text(usize),
    /// What our worlds are told: so many actions, events, and rows of context for each of these.
    World { actions: usize, events: usize, rows: usize },
}

/// What shapes tell.
#[derive(Clone, Debug)]
struct Sizes {
    dim: usize,
    heads: usize,
    layers: usize,
    ffn_dim: usize,
    freq_dim: usize,
    told: Told,
    channels: usize,
    patch: [usize; 3],
    game: Option<game::Found>,
}

impl Import {
    /// Opens a checkpoint and finds the network in it.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `Network` listing missing and misshapen tensors by name.
    pub fn open(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Self, ImportError> {
        Self::of(Checkpoint::open(path)?, options)
    }

    /// As [`Self::open`] in an opened checkpoint.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(mut checkpoint: Checkpoint, options: &ImportOptions) -> Result<Self, ImportError> {
        let all: Vec<&str> = checkpoint.entries().iter().map(|entry| entry.name.as_str()).collect();
        let key = options.key.clone().or_else(|| game::key(&all));
        let found = names::original(&all, key.as_deref(), &names::ANCHORS)?;
        let acts = found.keys().any(|name| name.contains(".action_model."));
        let outside = if acts { Outside::beside(checkpoint.path())? } else { Outside::default() };
        let sizes = Sizes::infer(&found, checkpoint.entries(), options.heads, acts.then_some(&outside))?;
        // The same numbers in the same order, however many dimensions a format has for them.
        let [t, h, w] = sizes.patch;
        let inputs = sizes.channels + sizes.game.as_ref().map_or(0, |found| found.game.condition);
        checkpoint.entries[found[PATCHES]].shape = vec![sizes.dim, inputs, t, h, w];
        let mut import = Self { checkpoint, found, loras: Vec::new(), sizes, unknown: Vec::new(), notes: Vec::new() };
        let config = import.config(&import.usual())?;
        let expected = game::published(expected_tensors(&config));
        let compared = compare(&import.found, import.checkpoint.entries(), expected, "dit.");
        import.unknown = compared.map_err(ImportError::Network)?;
        if acts {
            import.note(&outside)?;
        }
        Ok(import)
    }

    /// Notes what a game's checkpoint has that is not used.
    fn note(&mut self, outside: &Outside) -> Result<(), ImportError> {
        if !outside.found {
            self.notes.push("there is no config.json beside it; its window is taken to be 6 latent frames".to_owned());
        }
        if !outside.unknown.is_empty() {
            self.notes.push(listed("config.json has keys that are not known", &outside.unknown));
        }
        let mut learnt = Vec::new();
        for (_, &index) in self.found.iter().filter(|(name, _)| game::unused(name)) {
            let entry = &self.checkpoint.entries()[index];
            learnt.extend(game::ones(entry, &self.checkpoint.read_all(entry)?));
        }
        if !learnt.is_empty() {
            let what = "warning: these weights of norms are not ones; the released networks do not apply them, and neither does this";
            self.notes.push(listed(what, &learnt));
        }
        Ok(())
    }

    /// What there is to say of the checkpoint, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The settings that published networks of this kind use, as far as the checkpoint and what lies beside it tell.
    pub fn usual(&self) -> Settings {
        self.sizes.game.as_ref().map_or_else(Settings::default, |found| found.settings(self.checkpoint.path()))
    }

    /// Adds a LoRA to merge, a file or the folder of one; returns how strongly it updates which share of the weights.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `Lora` where it does not fit, or says nothing certain about its strength.
    pub fn add_lora(&mut self, path: impl AsRef<Path>, options: &LoraOptions) -> Result<Merged, ImportError> {
        let shapes =
            self.found.iter().map(|(name, &index)| (name.clone(), self.checkpoint.entries()[index].shape.clone()));
        let (lora, merged) = Lora::open(path.as_ref(), options, &shapes.collect())?;
        self.loras.push(lora);
        Ok(merged)
    }

    /// Tensors of the chosen part that the network does not use.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The configuration of the network with these settings.
    ///
    /// # Errors
    /// `Network` where as many actions or events are not named as there are, `Config` where a size is out of range.
    pub fn config(&self, settings: &Settings) -> Result<ModelConfig, ImportError> {
        let mut config = configuration(&self.sizes, settings);
        let dit = &mut config.dit;
        for (kind, there, given) in
            [("actions", &mut dit.actions, &settings.actions), ("events", &mut dit.events, &settings.events)]
        {
            if !given.is_empty() && given.len() != there.len() {
                let what = format!("it is told {} {kind}, and {} are named", there.len(), given.len());
                return Err(ImportError::Network(what));
            }
            if !given.is_empty() {
                there.clone_from(given);
            }
        }
        config.validate()?;
        Ok(config)
    }

    /// Writes the model file of `config` (one of [`Self::config`]) to `sink`; `choose` gives each tensor's type by its name and
    /// shape. No tensor is ever whole in memory, LoRA factors apart.
    ///
    /// # Errors
    /// `File` for a type that a tensor cannot have, or for values that are not finite or do not fit; `Tensor` and `Io` where
    /// the checkpoint cannot be read.
    pub fn write<W: Sink>(
        &self,
        sink: W,
        config: &ModelConfig,
        choose: impl FnMut(&str, &[usize]) -> DType,
    ) -> Result<W, ImportError> {
        // The values of a tensor come in slabs; its LoRA product is made once.
        let mut updates = (String::new(), Vec::new());
        let shapes: BTreeMap<_, _> = expected_tensors(config).into_iter().collect();
        write::stream(sink, config, &[], choose, |name, start, values| {
            let shape = shapes.get(name).map_or(&[][..], Vec::as_slice);
            let [rows, row] = [shape.first().copied().unwrap_or(0), shape.iter().skip(1).product()];
            let name = name.trim_start_matches("dit.");
            if game::unused(name) {
                values.fill(1.0);
                return Ok(());
            }
            let from = game::source(name, rows);
            let (name, start) = (from.name.as_str(), from.rows.start * row + start);
            let Some(entry) = self.found.get(name).map(|&index| &self.checkpoint.entries()[index]) else {
                return Err(ImportError::Network(format!("missing: {name}")));
            };
            if updates.0 != name {
                let list = self.loras.iter().filter_map(|lora| lora.update(name).transpose());
                updates = (name.to_owned(), list.collect::<Result<Vec<_>, _>>()?);
            }
            self.checkpoint.read(entry, start, values)?;
            updates.1.iter().try_for_each(|update| update.add(start, values))
        })
    }
}

impl Sizes {
    /// `outside` is what lies beside a network with action modules.
    fn infer(
        found: &BTreeMap<String, usize>,
        entries: &[Entry],
        heads: Option<usize>,
        outside: Option<&Outside>,
    ) -> Result<Self, ImportError> {
        let missing = |name: &str| {
            let first: Vec<String> = found.keys().take(LISTED).cloned().collect();
            let what = format!("missing: {name}; {}", listed("found", &first));
            ImportError::Network(what)
        };
        let shape = |name: &str| match found.get(name).map(|&index| &entries[index]) {
            Some(Entry { name, view: View::Unreadable(what), .. }) => {
                Err(ImportError::Tensor { name: name.clone(), what: what.clone() })
            }
            Some(entry) => Ok(&entry.shape),
            None => Err(missing(name)),
        };
        let misshapen = |name: &str, shape: &[usize]| ImportError::Network(format!("misshapen: {name} is {shape:?}"));
        let matrix = |name: &str| match shape(name)?.as_slice() {
            &[outputs, inputs] if outputs > 0 && inputs > 0 => Ok([outputs, inputs]),
            other => Err(misshapen(name, other)),
        };
        let patches = shape(PATCHES)?;
        let [head, width] = matrix("head.head.weight")?;
        let Some(Patches { dim, inputs, sides: patch }) = Patches::of(patches, width) else {
            return Err(misshapen(PATCHES, patches));
        };
        let area = patch.iter().try_fold(1usize, |product, &side| product.checked_mul(side)).filter(|&area| area > 0);
        let channels = area.and_then(|area| head.is_multiple_of(area).then(|| head / area));
        let Some(channels) = channels else { return Err(misshapen("head.head.weight", &[head])) };
        if channels != inputs && (outside.is_none() || inputs < channels) {
            let what =
                format!("it reads {inputs} channels and writes {channels}: an image-to-video or control checkpoint");
            return Err(ImportError::Network(what));
        }
        let blocks =
            found.keys().filter_map(|name| name.strip_prefix("blocks.")?.split_once('.')?.0.parse::<usize>().ok());
        let layers = blocks.max().map_or(0, |last| last.saturating_add(1));
        let heads = heads.or(outside.and_then(|outside| outside.heads));
        if heads.is_none() && !dim.is_multiple_of(HEAD_DIM) {
            let what = format!(
                "a width of {dim} is no multiple of {HEAD_DIM}, the usual head; say with --heads how many heads there are"
            );
            return Err(ImportError::Network(what));
        }
        let heads = heads.unwrap_or(dim / HEAD_DIM);
        let [ffn_dim, _] = matrix("blocks.0.ffn.0.weight")?;
        let [_, freq_dim] = matrix("time_embedding.0.weight")?;
        let game = outside
            .map(|outside| {
                let shape = |name: &str| found.get(name).map(|&index| entries[index].shape.clone());
                game::Found::infer(&shape, outside, layers, (inputs, channels))
            })
            .transpose()?;
        let told = match &game {
            Some(game) => Told::Text(game.features),
            None if found.contains_key(EVENTS) => {
                if found.keys().any(|name| name.starts_with("text_embedding.")) {
                    let what = format!("it has {EVENTS} and text_embedding; a network is told events or texts");
                    return Err(ImportError::Network(what));
                }
                let [_, actions] = matrix(ACTIONS)?;
                match shape(EVENTS)?.as_slice() {
                    &[events, rows, _] => Told::World { actions, events, rows },
                    other => return Err(misshapen(EVENTS, other)),
                }
            }
            None if found.contains_key(ACTIONS) => {
                let what =
                    format!("it has {ACTIONS} and no {EVENTS}; a network that is told actions is told events, too");
                return Err(ImportError::Network(what));
            }
            None => Told::Text(matrix("text_embedding.0.weight")?[1]),
        };
        Ok(Self { dim, heads, layers, ffn_dim, freq_dim, told, channels, patch, game })
    }
}

/// The published Wan 2.1 text-to-video model of 1.3 billion parameters (spec 1.1).
pub fn wan_1_3b(settings: &Settings) -> ModelConfig {
    configuration(&SIZES_1_3B, settings)
}

/// Sizes of it.
const SIZES_1_3B: Sizes = Sizes {
    dim: 1536,
    heads: 12,
    layers: 30,
    ffn_dim: 8960,
    freq_dim: 256,
    told: Told::Text(4096),
    channels: 16,
    patch: [1, 2, 2],
    game: None,
};

/// The published Matrix-Game 2.0 network with so many keys and numbers of the mouse, with an action module in the first 15 layers, and the
/// settings that it is used with (spec 2.13).
pub fn matrix_game(keys: usize, mouse: usize) -> ModelConfig {
    let game = GameConfig {
        condition: 20,
        layers: (0..15).collect(),
        keys,
        rows: 12,
        pictures: 4,
        key_dim: 128,
        heads: 16,
        head_dim: 64,
        rotated: 8,
        theta: 256.0,
    };
    let found = game::Found::published(game, 1280, mouse);
    let settings = found.settings(None);
    // All else is Wan's.
    configuration(&Sizes { told: Told::Text(found.features), game: Some(found), ..SIZES_1_3B }, &settings)
}

fn configuration(sizes: &Sizes, s: &Settings) -> ModelConfig {
    let &Sizes { dim, heads, layers, ffn_dim, freq_dim, told, channels, patch, ref game } = sizes;
    let (mean, std) = latent_statistics(channels);
    let numbered = |name: &str, count: usize| (1..=count).map(|n| format!("{name}{n}")).collect::<Vec<_>>();
    let (text, actions, events, event_tokens) = match told {
        Told::Text(dim) => {
            let actions = game.as_ref().map_or_else(Vec::new, game::Found::actions);
            (Some(TextConfig { dim, length: s.text_length }), actions, Vec::new(), 0)
        }
        Told::World { actions, events, rows } => (None, numbered("action", actions), numbered("event", events), rows),
    };
    let dit = DitConfig {
        dim,
        heads,
        layers,
        ffn_dim,
        freq_dim,
        eps: 1e-6,
        patch,
        latent: LatentConfig { channels, height: s.latent.0, width: s.latent.1 },
        chunk: s.chunk,
        prev_frame: false,
        prediction: Prediction::Flow,
        rope_theta: 10_000.0,
        actions,
        events,
        event_tokens,
        text,
        game: game.as_ref().map(|found| found.game.clone()),
        waypoint: None,
        latent_mean: mean,
        latent_std: std,
    };
    ModelConfig {
        format: FORMAT,
        family: if text.is_some() { Family::of(&dit) } else { Family::Wan },
        name: s.name.clone(),
        dit,
        // The public small decoder of these latents, taew2_1 (spec 3.2).
        codec: CodecConfig {
            kind: CodecKind::Taehv,
            channels,
            patch: 1,
            widths: [256, 128, 64, 64],
            blocks: 3,
            space_up: [true, true, true],
            time_up: [1, 2, 2],
            encoder: 0,
            warmup: 0,
        },
        schedule: ScheduleConfig {
            shift: s.shift,
            steps: s.steps.iter().map(|list| (list.len(), list.clone())).collect(),
            first: s.first_steps.clone(),
            sampler: s.sampler,
            default_steps: s.steps.first().map_or(0, Vec::len),
            context_noise: s.context_noise,
        },
        history: HistoryConfig {
            window: s.window,
            sink: s.sink,
            route: 0,
            descriptors: Descriptors::Rotated,
            positions: s.positions,
            groups: Vec::new(),
        },
        start: None,
        fps: s.fps,
        latch: 1,
        controls: game.as_ref().map_or_else(Vec::new, game::Found::controls),
        limits: LimitsConfig::default(),
        health: HealthConfig::default(),
        license: s.license.clone(),
        credits: s.credits.clone(),
        provenance: Provenance { command: s.command.clone(), ..Provenance::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the published files have them, a tensor for each name (spec 2.13).
    #[test]
    fn configurations_tell_exact_sizes() {
        use crate::model::Network;
        for (keys, mouse, values, tensors) in [(4, 2, 1_619_242_304usize, 1114), (7, 0, 1_508_715_584, 964)] {
            let config = matrix_game(keys, mouse);
            config.validate().unwrap();
            let ours = config.tensors();
            assert_eq!(ours.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>(), values);
            assert_eq!(game::published(ours).len(), tensors);
        }
    }
}
