//! Finds Waypoint 1.5's network in a checkpoint and writes it as a model file (spec 2.14).
//!
//! Of the 393 tensors that are published ours are made by reordering rows and columns (`order`), and by computing the tables of conditions
//! (`conditions`), which takes the place of a third of all values.

mod conditions;
mod controls;
mod names;
mod order;
mod release;

use std::collections::BTreeMap;

use causeway_ops::quant::DType;

use self::{
    names::{Sizes, block, blocks, canonical},
    order::{Order, features},
    release::Release,
};
use super::found::{compare, listed};
use super::settings::Settings;
use crate::config::{
    CodecConfig, CodecKind, Descriptors, DitConfig, FORMAT, Family, GroupConfig, HealthConfig, HistoryConfig,
    LatentConfig, LimitsConfig, ModelConfig, Positions, Prediction, Provenance, ScheduleConfig, WaypointConfig,
};
use crate::file::Sink;
use crate::import::{Checkpoint, Entry, ImportError, write};
use crate::sampler::Sampler;

/// Epsilon of the norms: that of the type which the release computes in, bf16.
const EPS: f32 = 0.007_812_5;

/// Which of a layer's two `bias_in` its six condition vectors are made with. Networks whose two are the same do not ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BiasIn {
    /// Each half of a layer with its own, as they are stored.
    #[default]
    Apart,
    /// That of the feed-forward half for both, as the release's own runtime loads them.
    Mlp,
}

/// What to look for, and what no file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaypointOptions {
    /// How the two `bias_in` are read.
    pub bias: BiasIn,
    /// What the mouse's numbers are multiplied with.
    pub mouse_scale: f32,
}

impl Default for WaypointOptions {
    fn default() -> Self {
        Self { bias: BiasIn::Apart, mouse_scale: 1.0 }
    }
}

/// A Waypoint network found in a checkpoint.
#[derive(Debug)]
pub struct WaypointImport {
    checkpoint: Checkpoint,
    /// Index of each tensor by its published name.
    found: BTreeMap<String, usize>,
    sizes: Sizes,
    release: Release,
    options: WaypointOptions,
    unknown: Vec<String>,
    notes: Vec<String>,
}

impl WaypointImport {
    /// Finds the network in an opened checkpoint, which comes back where it holds none.
    ///
    /// # Errors
    /// `Waypoint` listing missing and misshapen tensors by name, and for a `config.yaml` that asks for what is not run.
    pub fn of(checkpoint: Checkpoint, options: WaypointOptions) -> Result<Result<Self, Checkpoint>, ImportError> {
        let names: Vec<&str> = checkpoint.entries().iter().map(|entry| entry.name.as_str()).collect();
        let Some(found) = canonical(&names) else { return Ok(Err(checkpoint)) };
        let release = Release::beside(checkpoint.path())?;
        let entry = |name: &str| found.get(name).map(|&at| &checkpoint.entries()[at]);
        let sizes = Sizes::infer(&entry, &release).map_err(ImportError::Waypoint)?;
        let compared = compare(&found, checkpoint.entries(), sizes.published(), "");
        let unknown = compared.map_err(ImportError::Waypoint)?;
        let mut import = Self { checkpoint, found, sizes, release, options, unknown, notes: Vec::new() };
        import.config(&import.usual())?;
        import.note()?;
        Ok(Ok(import))
    }

    /// Says what there is to know of the checkpoint.
    fn note(&mut self) -> Result<(), ImportError> {
        if !self.release.found {
            self.notes.push("there is no config.yaml beside it; it is taken for the 720p network".to_owned());
        }
        if !self.release.unknown.is_empty() {
            self.notes.push(listed("config.yaml has keys that are not known", &self.release.unknown));
        }
        let (mut layers, mut largest) = (0, 0.0f32);
        for n in 0..self.sizes.layers {
            let [attn, mlp] = [self.bias(n, "attn")?, self.bias(n, "mlp")?];
            let apart = attn.iter().zip(&mlp).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            layers += usize::from(apart > 0.0);
            largest = largest.max(apart);
        }
        let used = match self.options.bias {
            BiasIn::Apart => "each is used for its own half",
            BiasIn::Mlp => "that of the MLP is used for both halves",
        };
        self.notes.push(match layers {
            0 => "the two bias_in of every layer are the same".to_owned(),
            _ => format!("warning: the two bias_in differ in {layers} layers, by up to {largest}; {used} (--bias-in)"),
        });
        Ok(())
    }

    /// What there is to say of the checkpoint, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Tensors that the network does not use.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The settings that the checkpoint's `config.yaml` says, or the published networks use.
    pub fn usual(&self) -> Settings {
        usual(&self.sizes, &self.release)
    }

    /// The configuration of the network with these settings.
    ///
    /// # Errors
    /// `Config` where a size is out of range.
    pub fn config(&self, settings: &Settings) -> Result<ModelConfig, ImportError> {
        let config = configuration(&self.sizes, &self.release, settings, self.options.mouse_scale);
        config.validate()?;
        Ok(config)
    }

    fn entry(&self, name: &str) -> Result<&Entry, ImportError> {
        let missing = || ImportError::Waypoint(format!("missing: {name}"));
        self.found.get(name).map(|&at| &self.checkpoint.entries()[at]).ok_or_else(missing)
    }

    /// The stored `bias_in` of a half of layer n.
    fn bias(&self, n: usize, half: &str) -> Result<Vec<f32>, ImportError> {
        self.checkpoint.read_all(self.entry(&block(n, &format!("{half}_cond_head.bias_in")))?)
    }

    /// Writes the model file of `config` (one of [`Self::config`]) to `sink`; `choose` gives each tensor's type by its name and shape. Of no
    /// tensor more than a slab is held, but for those that are computed.
    ///
    /// # Errors
    /// `File` for a type that a tensor cannot have, or for values that are not finite or do not fit; `Tensor` and `Io` where the checkpoint
    /// cannot be read.
    pub fn write<W: Sink>(
        &self,
        sink: W,
        config: &ModelConfig,
        choose: impl FnMut(&str, &[usize]) -> DType,
    ) -> Result<W, ImportError> {
        let levels = config.dit.waypoint().map_or(&[][..], |waypoint| &waypoint.levels);
        let step = |layer: &str| self.entry(&format!("denoise_step_emb.mlp.{layer}.weight"));
        let embedded = conditions::embedded(&self.checkpoint, levels, [step("fc1")?, step("fc2")?])?;
        // The values of a tensor come in slabs; what is computed is computed once.
        let mut computed = (String::new(), Vec::new());
        write::stream(sink, config, &[], choose, |name, start, values| {
            if computed.0 != name
                && let Some(whole) = self.whole(name, &embedded)?
            {
                computed = (name.to_owned(), whole);
            }
            if computed.0 == name {
                values.copy_from_slice(&computed.1[start..start + values.len()]);
                return Ok(());
            }
            let (published, order) = self.source(name);
            let entry = self.entry(&published)?;
            match order {
                Some(order) => order.read(&self.checkpoint, entry, start, values),
                None => self.checkpoint.read(entry, start, values),
            }
        })
    }

    /// A tensor that is no published one's rows and columns.
    fn whole(&self, name: &str, embedded: &[Vec<f64>]) -> Result<Option<Vec<f32>>, ImportError> {
        let c = &self.sizes;
        // Ours count (row, column, channel) of a patch, published ones (channel, row, column).
        let area = c.patch * c.patch;
        let places = (0..area * c.channels).map(|at| at % c.channels * area + at / c.channels);
        Ok(Some(match name {
            "dit.head.head.weight" => {
                let published = self.checkpoint.read_all(self.entry("unpatchify.weight")?)?;
                let outputs = area * c.channels;
                // As a layer [outputs, dim], or as a transposed convolution [dim, outputs].
                let at = |place: usize, i: usize| if c.convolved { i * outputs + place } else { place * c.dim + i };
                places.flat_map(|place| (0..c.dim).map(move |i| at(place, i))).map(|at| published[at]).collect()
            }
            "dit.head.head.bias" => {
                let published = self.checkpoint.read_all(self.entry("unpatchify.bias")?)?;
                places.map(|place| published[if c.convolved { place / area } else { place }]).collect()
            }
            "dit.head.conditions" => {
                let matrix = self.entry("out_norm.fc.weight")?;
                conditions::table(&self.checkpoint, embedded, &[(matrix, Vec::new())])?
            }
            _ => match blocks(name) {
                Some((n, "conditions")) => self.conditions(n, embedded)?,
                _ => return Ok(None),
            },
        }))
    }

    /// The table of layer n: scale, shift and gate of attention, then of the feed-forward part.
    fn conditions(&self, n: usize, embedded: &[Vec<f64>]) -> Result<Vec<f32>, ImportError> {
        let mut matrices = Vec::new();
        for half in ["attn", "mlp"] {
            let bias = self.bias(n, if self.options.bias == BiasIn::Mlp { "mlp" } else { half })?;
            for vector in 0..3 {
                let matrix = self.entry(&block(n, &format!("{half}_cond_head.cond_proj.{vector}.weight")))?;
                matrices.push((matrix, bias.clone()));
            }
        }
        conditions::table(&self.checkpoint, embedded, &matrices)
    }

    /// The published tensor that one of ours is, and where it is not as it is, its order.
    fn source(&self, name: &str) -> (String, Option<Order>) {
        let &Sizes { dim, heads, kv_heads, fused, .. } = &self.sizes;
        let (head_dim, shared) = (dim / heads, heads / kv_heads);
        let straight = || (0..dim).collect::<Vec<_>>();
        let (Some((n, part)), false) = (blocks(name), name.is_empty()) else {
            let published = match name {
                "dit.control_embedding.0.weight" => "ctrl_emb.mlp.fc1.weight",
                "dit.control_embedding.2.weight" => "ctrl_emb.mlp.fc2.weight",
                _ => "patchify.weight",
            };
            return (published.to_owned(), None);
        };
        let (published, order) = match part {
            "attn.q.weight" => (
                "attn.q_proj.weight",
                Some(Order { rows: features(heads, shared, head_dim, true), columns: straight() }),
            ),
            "attn.k.weight" => {
                ("attn.k_proj.weight", Some(Order { rows: features(kv_heads, 1, head_dim, true), columns: straight() }))
            }
            "attn.v.weight" => ("attn.v_proj.weight", None),
            "attn.o.weight" => {
                let columns = features(heads, shared, head_dim, false);
                ("attn.out_proj.weight", Some(Order { rows: straight(), columns }))
            }
            "attn.value_residual" => ("attn.v_lamb", None),
            "control.x.weight" if fused => {
                ("ctrl_mlpfusion.fc1.weight", Some(Order { rows: straight(), columns: straight() }))
            }
            "control.c.weight" if fused => {
                ("ctrl_mlpfusion.fc1.weight", Some(Order { rows: straight(), columns: (dim..2 * dim).collect() }))
            }
            "control.x.weight" => ("ctrl_mlpfusion.fc1_x.weight", None),
            "control.c.weight" => ("ctrl_mlpfusion.fc1_c.weight", None),
            "control.o.weight" => ("ctrl_mlpfusion.fc2.weight", None),
            "ffn.0.weight" => ("dit_mlp.fc1.weight", None),
            _ => ("dit_mlp.fc2.weight", None),
        };
        (block(n, published), order)
    }
}

/// The published network of one of the two sizes, with the settings that it is used with: 360p where `small`, else 720p.
pub fn waypoint(small: bool) -> ModelConfig {
    let grid = if small { (8, 16) } else { (16, 32) };
    let release = Release { grid, ..Release::default() };
    let sizes = Sizes::PUBLISHED;
    configuration(&sizes, &release, &usual(&sizes, &release), 1.0)
}

fn usual(sizes: &Sizes, release: &Release) -> Settings {
    let steps = &release.sigmas[..release.sigmas.len().saturating_sub(1)];
    Settings {
        name: "waypoint".to_owned(),
        chunk: 1,
        steps: vec![steps.iter().map(|sigma| 1000.0 * sigma).collect()],
        sampler: Sampler::Euler,
        shift: 1.0,
        context_noise: 0.0,
        window: release.local_window,
        latent: (release.grid.0 * sizes.patch, release.grid.1 * sizes.patch),
        fps: release.fps,
        ..Settings::default()
    }
}

fn configuration(sizes: &Sizes, release: &Release, s: &Settings, mouse_scale: f32) -> ModelConfig {
    let &Sizes { dim, heads, kv_heads, layers, ffn_dim, freq_dim, channels, patch, entries, control_every, .. } = sizes;
    let mut levels: Vec<f32> = s.steps.iter().flatten().copied().chain([s.context_noise]).collect();
    levels.sort_by(|a, b| b.total_cmp(a));
    levels.dedup();
    let actions = controls::names(entries.saturating_sub(WaypointConfig::MOUSE + 1));
    let waypoint = WaypointConfig { kv_heads, control_every, nyquist: release.nyquist, levels, mouse_scale };
    let dit = DitConfig {
        dim,
        heads,
        layers,
        ffn_dim,
        freq_dim,
        eps: EPS,
        patch: [1, patch, patch],
        latent: LatentConfig { channels, height: s.latent.0, width: s.latent.1 },
        chunk: s.chunk,
        prev_frame: false,
        prediction: Prediction::Flow,
        rope_theta: release.theta,
        actions: actions.clone(),
        events: Vec::new(),
        event_tokens: 0,
        text: None,
        game: None,
        waypoint: Some(waypoint),
        latent_mean: vec![0.0; channels],
        latent_std: vec![1.0; channels],
    };
    let global = GroupConfig {
        layers: release.global(layers),
        window: release.global_window / release.dilation.max(1),
        sink: 0,
        every: release.dilation,
        route: 0,
    };
    ModelConfig {
        format: FORMAT,
        family: Family::of(&dit),
        name: s.name.clone(),
        dit,
        // The public codec of these latents, taehv1_5.
        codec: CodecConfig {
            kind: CodecKind::Taehv,
            channels,
            patch: 2,
            widths: [256, 128, 64, 64],
            blocks: 3,
            space_up: [true; 3],
            time_up: [1, 2, 2],
            encoder: 64,
            warmup: 3,
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
            positions: Positions::Absolute,
            groups: if global.layers.is_empty() { Vec::new() } else { vec![global] },
        },
        start: None,
        fps: s.fps,
        latch: 1,
        health: HealthConfig::default(),
        controls: controls::keys(&actions),
        limits: LimitsConfig::default(),
        license: s.license.clone(),
        credits: s.credits.clone(),
        provenance: Provenance { command: s.command.clone(), ..Provenance::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Network;

    /// 393 tensors, and 1.28 billion values where what all layers share counts once. The published count leaves out the embedding of no controls,
    /// which nothing reads, and has a bias for each sub-pixel (spec 2.14).
    #[test]
    fn configurations_tell_exact_sizes() {
        let published = Sizes::PUBLISHED.published();
        assert_eq!(published.len(), 393);
        let values = |(_, shape): &(String, Vec<usize>)| shape.iter().product::<usize>();
        let stored: usize = published.iter().map(values).sum();
        let shared = |(name, _): &&(String, Vec<usize>)| name.contains("cond_proj.") && !name.contains("blocks.0.");
        let again: usize = published.iter().filter(shared).map(values).sum();
        let (unread, spread) = (Sizes::PUBLISHED.dim, 3 * Sizes::PUBLISHED.channels);
        assert_eq!(stored - again - unread + spread, 1_282_007_192);
        // 3.72 GB in bf16.
        assert_eq!(2 * stored, 3_721_646_192);
        for small in [false, true] {
            let config = waypoint(small);
            config.validate().unwrap();
            assert_eq!(config.picture(), if small { (512, 256) } else { (1024, 512) });
            let global = &config.history.groups[0];
            assert_eq!((global.window, global.every, config.history.window), (16, 8, 16));
            let ours: usize = config.tensors().iter().map(values).sum();
            // What is left to run, with tables in place of what makes them.
            assert_eq!(ours, 1_228_877_975);
        }
    }
}
