//! A recipe: one TOML file that says what to train from which data, stage by stage (docs/training.md).
//!
//! What a recipe leaves out is filled in when it is read, and the run folder keeps the filled-in one.

use std::ops::Range;
use std::path::{Path, PathBuf};

use causeway_runtime::file::regular;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::footage::world::{RecordError, Scene, Size};
use crate::method::delta_forcing::{Radius, Weighting};
use crate::method::resampling_forcing::{Degrade, Drawn};
use crate::method::self_forcing::Objective;
use crate::net::fast::kernels::Kernels;
use crate::net::mask::Route;
use crate::run::preset::Sizes;
use crate::train::optim::{Optimizer, Rule};
use crate::train::trainer::Span;

mod check;
mod method;

use check::Check;
pub use check::RecipeError;
pub use method::{History, Method};

/// The recipes that come with the trainer, by name.
pub const BUILT_IN: [(&str, &str); 2] =
    [("cpu", include_str!("../../../recipes/demo.toml")), ("gpu", include_str!("../../../recipes/gpu.toml"))];

/// Where footage comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// A folder with the recordings `train` and `held`.
    Folder(PathBuf),
    /// The built-in world, recorded into the run folder.
    World(WorldData),
}

/// What to record of the built-in world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldData {
    /// Seed of the walk; the held-out walk has another.
    pub seed: u64,
    /// Frames to train on.
    pub frames: usize,
    /// Frames held out.
    pub held: usize,
    /// Which place.
    #[serde(default = "place")]
    pub place: String,
    /// Columns of its pictures.
    #[serde(default = "side")]
    pub width: usize,
    /// Rows of its pictures.
    #[serde(default = "side")]
    pub height: usize,
    /// Share of the bot's plans in the frames to train on that are errands: to a fact of the episode, away from it, and back.
    #[serde(default)]
    pub away: f32,
}

impl WorldData {
    /// What is recorded.
    ///
    /// # Errors
    /// [`RecordError::Place`] if there is no such place.
    pub fn scene(&self) -> Result<Scene, RecordError> {
        Scene::named(&self.place, Size { width: self.width, height: self.height })
    }
}

fn place() -> String {
    crate::footage::world::KEEP.name.into()
}

fn side() -> usize {
    64
}

/// A stage with everything filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// What it does.
    #[serde(flatten)]
    pub method: Method,
    /// What it is called in the run's files.
    pub name: String,
    /// The denoiser stage whose averaged weights it starts from; by default the last causal one before, `None` if there is none.
    pub start: Option<String>,
    /// What it is distilled from; by default the last stage before that will do, rather a causal one to regress onto and rather a
    /// bidirectional one to be judged by; `None` where nothing is distilled.
    pub teacher: Option<String>,
    /// Samples a step: clips of three frames for the codec, windows for the denoiser.
    pub batch: usize,
    /// Frames of a window.
    pub frames: usize,
    /// History frames every query is routed to; 0 for all.
    pub route: Route,
    /// Noisy copies of a window behind its clean one.
    pub copies: usize,
    /// Share of windows in which the denoiser is not shown the frame before.
    pub drop_prev: f32,
    /// Share of frames that are nothing but noise.
    pub pure: f32,
    /// How much tokens count in which a fact of the episode comes back, for each ten frames it was out of sight; at least once.
    pub returns: f32,
    /// Parts in which each worker takes its share of a batch.
    pub accumulate: usize,
    /// Data-parallel workers.
    pub threads: usize,
    /// Seed of batches and noise.
    pub seed: u64,
    /// Held-out worlds rolled out in a look.
    pub worlds: usize,
    /// Frames of such a roll-out.
    pub horizon: usize,
    /// Optimizer settings.
    #[serde(flatten)]
    pub rule: Rule,
    /// When the stage is over.
    pub budget: Span,
    /// How often to save.
    pub checkpoint: Span,
    /// How often to look at the averaged weights.
    pub inspect: Span,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// The run folder.
    pub out: PathBuf,
    /// Seed of the first weights; stage number n takes batches from this plus n, unless it has a seed of its own.
    pub seed: u64,
    /// A finished run of the same model whose codec and newest denoiser the first stages start from; or a file that a run landed as, with
    /// which this one goes on.
    pub from: Option<PathBuf>,
    /// Whether the CPU's own passes multiply in single precision, slower, even where it has bf16 products.
    pub exact: bool,
    /// Footage.
    pub data: Data,
    /// Sizes of the networks.
    pub model: Sizes,
    /// What to do, in order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// A recipe as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    out: PathBuf,
    #[serde(default = "one")]
    seed: u64,
    from: Option<PathBuf>,
    #[serde(default)]
    exact: bool,
    data: Spanned<Data>,
    #[serde(default)]
    model: Sizes,
    defaults: Option<Spanned<Settings>>,
    #[serde(default)]
    stage: Vec<Spanned<Settings>>,
}

fn one() -> u64 {
    1
}

/// A stage as written, or what all stages share.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    method: Option<String>,
    name: Option<String>,
    start: Option<String>,
    teacher: Option<String>,
    budget: Option<Span>,
    batch: Option<usize>,
    frames: Option<usize>,
    route: Option<Route>,
    copies: Option<usize>,
    drop_prev: Option<f32>,
    pure: Option<f32>,
    returns: Option<f32>,
    accumulate: Option<usize>,
    threads: Option<usize>,
    seed: Option<u64>,
    worlds: Option<usize>,
    horizon: Option<usize>,
    optimizer: Option<Optimizer>,
    rate: Option<f32>,
    warmup: Option<u64>,
    beta1: Option<f32>,
    beta2: Option<f32>,
    decay: Option<f32>,
    clip: Option<f32>,
    ema: Option<f32>,
    checkpoint: Option<Span>,
    inspect: Option<Span>,
    degrade: Option<Degrade>,
    own: Option<f32>,
    own_steps: Option<usize>,
    shift: Option<f32>,
    drawn: Option<Drawn>,
    clean: Option<f32>,
    history: Option<History>,
    trajectories: Option<usize>,
    objective: Option<Objective>,
    steps: Option<usize>,
    context: Option<usize>,
    overlap: Option<usize>,
    changes: Option<usize>,
    weighting: Option<Weighting>,
    fall: Option<f32>,
    quantile: Option<f32>,
    levels: Option<[f32; 2]>,
    radius: Option<Radius>,
    continuity: Option<f32>,
    approach: Option<bool>,
}

impl Recipe {
    /// Reads and checks the recipe in the file `path`.
    ///
    /// # Errors
    /// Any [`RecipeError`].
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let fail = |source| RecipeError::Io { path: path.into(), source };
        Self::parse(&regular::read_to_string(path).map_err(fail)?, path)
    }

    /// Checks the recipe `text`; `path` is for complaints.
    ///
    /// # Errors
    /// [`RecipeError::Syntax`] and [`RecipeError::Value`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let syntax = |e: toml::de::Error| RecipeError::Syntax { path: path.into(), reason: e.to_string() };
        let written: Written = toml::from_str(text).map_err(syntax)?;
        let check = |place: &str, at: Range<usize>| Check {
            path,
            line: text[..at.start].matches('\n').count() + 1,
            place: place.into(),
        };
        if let Data::World(world) = written.data.get_ref() {
            let check = check("data", written.data.span());
            check.that("frames", world.frames > 0, "at least 1", world.frames)?;
            check.that("held", world.held > 0, "at least 1", world.held)?;
            check.that("away", (0.0..=1.0).contains(&world.away), "a share from 0 to 1", world.away)?;
            let scene = world.scene().map(|_| ());
            check.that(
                "place",
                scene.is_ok(),
                "the name of a place",
                scene.err().map_or(String::new(), |e| e.to_string()),
            )?;
            for (field, side) in [("width", world.width), ("height", world.height)] {
                check.that(field, (16..=1024).contains(&side), "16 to 1024 pixels", side)?;
            }
        }
        let defaults = match &written.defaults {
            Some(found) => {
                let (check, d) = (check("defaults", found.span()), found.get_ref());
                let own = d.method.as_deref().or(d.name.as_deref()).or(d.start.as_deref()).or(d.teacher.as_deref());
                let own = own.unwrap_or_default();
                check.that("method, name, start, teacher", own.is_empty(), "none of them", own)?;
                let options = d.options().keys().cloned().collect::<Vec<_>>();
                check.that("options of a method", options.is_empty(), "none of them", options.join(", "))?;
                d.clone()
            }
            None => Settings::default(),
        };
        check("stage", 0..0).that("count", !written.stage.is_empty(), "at least one [[stage]]", 0)?;
        let mut stages: Vec<Stage> = Vec::new();
        for (i, settings) in written.stage.iter().enumerate() {
            let check = check(&format!("stage {}", i + 1), settings.span());
            let mut stage = settings.get_ref().fill(&defaults, written.seed + i as u64, &check)?;
            stage.check(&stages, &check)?;
            stage.method.check([stage.batch, stage.frames], &written.model.lists(), &check)?;
            let fits = stage.drop_prev == 0.0 || written.model.prev_frame != Some(false);
            check.that("drop_prev", fits, "0: the model is never shown the frame before", stage.drop_prev)?;
            stage.connect(&stages, written.from.is_some(), &check)?;
            stages.push(stage);
        }
        let Written { out, seed, from, exact, data, model, .. } = written;
        Ok(Self { out, seed, from, exact, data: data.into_inner(), model, stages })
    }

    /// The recipe with everything filled in, as TOML that [`Self::parse`] takes.
    ///
    /// # Errors
    /// The reason, should a value have no place in TOML.
    pub fn write(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|e| e.to_string())
    }

    /// What the CPU's own passes multiply with.
    pub fn kernels(&self) -> Kernels {
        if self.exact { Kernels::F32 } else { Kernels::fastest() }
    }

    /// The landed run to go on with, if that is what `from` names.
    pub fn landed(&self) -> Option<&Path> {
        self.from.as_deref().filter(|from| !from.is_dir())
    }

    /// The stage called `name`.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Where the recordings `train` and `held` lie.
    pub fn data(&self) -> PathBuf {
        match &self.data {
            Data::Folder(folder) => folder.clone(),
            Data::World(_) => self.out.join("data"),
        }
    }
}

/// The fields of `$settings` that are there, as a table.
macro_rules! table {
    ($settings:ident, $($field:ident),*) => {{
        let mut table = toml::Table::new();
        $(
            // A number or a name always has a place in TOML.
            if let Some(Ok(value)) = $settings.$field.map(toml::Value::try_from) {
                table.insert(stringify!($field).into(), value);
            }
        )*
        table
    }};
}

impl Settings {
    /// What only some methods have to be told; which of them, and what they do without, [`Method`] knows.
    fn options(&self) -> toml::Table {
        table!(
            self,
            degrade,
            own,
            own_steps,
            shift,
            drawn,
            clean,
            history,
            trajectories,
            objective,
            steps,
            context,
            overlap,
            changes,
            weighting,
            fall,
            quantile,
            levels,
            radius,
            continuity,
            approach
        )
    }

    fn fill(&self, d: &Self, seed: u64, check: &Check<'_>) -> Result<Stage, RecipeError> {
        let Some(name) = &self.method else {
            return Err(check.fail("method", "one", "none"));
        };
        let mut options = self.options();
        options.insert("method".into(), name.as_str().into());
        let method = Method::deserialize(toml::Value::Table(options)).map_err(|e| check.fault(e.message()))?;
        let Some(budget) = self.budget.or(d.budget) else {
            return Err(check.fail("budget", "{ steps = N } or { minutes = N }", "none"));
        };
        let rule = method.rule();
        // What only some stages do, the others do not take from `[defaults]`.
        let one = |route: &Route| matches!(route, Route::Fixed(_));
        let route = self.route.or(d.route.filter(|route| one(route) || method.copies_windows()));
        let copies = self.copies.or(d.copies.filter(|_| method.copies_windows()));
        let drop_prev = self.drop_prev.or(d.drop_prev.filter(|_| method.sees_windows()));
        let pure = self.pure.or(d.pure.filter(|_| method.copies_windows()));
        let returns = self.returns.or(d.returns.filter(|_| method.copies_windows()));
        let optimizer = self.optimizer.or(d.optimizer.filter(|_| !method.is_codec()));
        Ok(Stage {
            method,
            name: self.name.as_ref().unwrap_or(name).clone(),
            start: self.start.clone(),
            teacher: self.teacher.clone(),
            batch: self.batch.or(d.batch).unwrap_or(4),
            frames: self.frames.or(d.frames).unwrap_or(12),
            route: route.unwrap_or(Route::Fixed(0)),
            copies: copies.unwrap_or(1),
            drop_prev: drop_prev.unwrap_or(0.0),
            pure: pure.unwrap_or(0.0),
            returns: returns.unwrap_or(0.0),
            accumulate: self.accumulate.or(d.accumulate).unwrap_or(1),
            threads: self.threads.or(d.threads).unwrap_or(2),
            seed: self.seed.or(d.seed).unwrap_or(seed),
            worlds: self.worlds.or(d.worlds).unwrap_or(10),
            horizon: self.horizon.or(d.horizon).unwrap_or(32),
            rule: Rule {
                optimizer: optimizer.unwrap_or(rule.optimizer),
                rate: self.rate.or(d.rate).unwrap_or(rule.rate),
                warmup: self.warmup.or(d.warmup).unwrap_or(rule.warmup),
                beta1: self.beta1.or(d.beta1).unwrap_or(rule.beta1),
                beta2: self.beta2.or(d.beta2).unwrap_or(rule.beta2),
                decay: self.decay.or(d.decay).unwrap_or(rule.decay),
                clip: self.clip.or(d.clip).unwrap_or(rule.clip),
                ema: self.ema.or(d.ema).unwrap_or(rule.ema),
            },
            budget,
            checkpoint: self.checkpoint.or(d.checkpoint).unwrap_or(Span::Minutes(1.0)),
            inspect: self.inspect.or(d.inspect).unwrap_or(Span::Minutes(2.0)),
        })
    }
}

impl Stage {
    /// Checks what all stages have.
    fn check(&self, before: &[Self], check: &Check<'_>) -> Result<(), RecipeError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let fits = !self.name.is_empty() && self.name.chars().all(plain) && self.name != "data";
        check.that("name", fits, "letters, digits, - and _, and not `data`", &self.name)?;
        check.that("name", before.iter().all(|s| s.name != self.name), "a name no other stage has", &self.name)?;
        for (field, value) in
            [("batch", self.batch), ("accumulate", self.accumulate), ("threads", self.threads), ("worlds", self.worlds)]
        {
            check.that(field, value >= 1, "at least 1", value)?;
        }
        check.that("frames", self.frames >= 2, "at least 2", self.frames)?;
        check.that("copies", self.copies >= 1, "at least 1", self.copies)?;
        let fits = self.copies == 1 || self.method.copies_windows();
        check.that("copies", fits, "1: only `teacher` and `resampling` have more", self.copies)?;
        if let Route::Between(least, most) = self.route {
            let found = format!("[{least}, {most}]");
            let fits = (1..=most).contains(&least);
            check.that("route", fits, "at least 1 and then no less", &found)?;
            check.that(
                "route",
                self.method.copies_windows(),
                "a number: only `teacher` and `resampling` draw one",
                found,
            )?;
        }
        // Without any the frame before would be strange to the model when it is played.
        let fits = (0.0..1.0).contains(&self.drop_prev);
        check.that(
            "drop_prev",
            fits,
            "a share from 0 up and below 1; for all, `prev_frame = false` in [model]",
            self.drop_prev,
        )?;
        let fits = self.drop_prev == 0.0 || self.method.sees_windows();
        check.that("drop_prev", fits, "0: it does not learn from windows of the data", self.drop_prev)?;
        check.that("pure", (0.0..=1.0).contains(&self.pure), "a share from 0 to 1", self.pure)?;
        check.that("returns", self.returns >= 0.0 && self.returns.is_finite(), "a number from 0 up", self.returns)?;
        let flows = self.method.copies_windows();
        check.that("pure", flows || self.pure == 0.0, "0: only `teacher` and `resampling` have it", self.pure)?;
        check.that(
            "returns",
            flows || self.returns == 0.0,
            "0: only `teacher` and `resampling` weigh",
            self.returns,
        )?;
        // A contact sheet shows twelve pictures of a roll-out.
        check.that("horizon", self.horizon >= 11, "at least 11", self.horizon)?;
        for (field, span) in [("budget", self.budget), ("checkpoint", self.checkpoint), ("inspect", self.inspect)] {
            let fits = match span {
                Span::Steps(steps) => steps >= 1,
                Span::Minutes(minutes) => minutes > 0.0,
            };
            check.that(field, fits, "more than nothing", format!("{span:?}"))?;
        }
        let r = &self.rule;
        let fits = r.optimizer == Optimizer::Adamw || !self.method.is_codec();
        check.that("optimizer", fits, "\"adamw\": a codec has no blocks of matrices", "\"muon\"")?;
        check.that("rate", r.rate > 0.0 && r.rate.is_finite(), "a positive number", r.rate)?;
        check.that("clip", r.clip > 0.0, "a positive number", r.clip)?;
        check.that("decay", r.decay >= 0.0 && r.decay.is_finite(), "a number from 0 up", r.decay)?;
        for (field, value) in [("beta1", r.beta1), ("beta2", r.beta2), ("ema", r.ema)] {
            check.that(field, (0.0..1.0).contains(&value), "a number from 0 up and below 1", value)?;
        }

        Ok(())
    }

    /// Finds the stages `before` it that it goes on from; `from` tells whether another run's weights are there to start from.
    fn connect(&mut self, before: &[Self], from: bool, check: &Check<'_>) -> Result<(), RecipeError> {
        let last = |fits: &dyn Fn(Method) -> bool| before.iter().rfind(|s| fits(s.method)).map(|s| s.name.clone());
        let named = |name: &Option<String>, fits: &dyn Fn(Method) -> bool| {
            name.as_ref().is_none_or(|n| before.iter().any(|s| s.name == *n && fits(s.method)))
        };
        if self.method != (Method::Codec {}) {
            let fits = last(&|m| m == Method::Codec {}).is_some();
            check.that("method", fits, "stage `codec` before it", &self.name)?;
        }
        let found = self.teacher.clone().unwrap_or_default();
        if let Some((fits, which)) = self.method.teachers() {
            let which = format!("{which} before it");
            check.that("teacher", named(&self.teacher, &fits), &which, found)?;
            // Who is regressed onto should be causal (spec 5.4), who judges was published as bidirectional (spec 5.5).
            let usual = || last(&|m| fits(m) && m.is_causal() != self.method.is_pair());
            self.teacher = self.teacher.clone().or_else(usual).or_else(|| last(&fits));
            check.that("method", self.teacher.is_some(), &which, &self.name)?;
        } else {
            check.that("teacher", found.is_empty(), "none: nothing is distilled", found)?;
        }
        let found = self.start.clone().unwrap_or_default();
        if self.method.is_codec() {
            return check.that("start", found.is_empty(), "none: it goes on with the codec", found);
        }
        check.that("start", named(&self.start, &|m| !m.is_codec()), "an earlier stage of the denoiser", found)?;
        self.start = self.start.take().or_else(|| last(&Method::is_causal));
        let fits = self.start.is_some() || from || self.method.begins();
        check.that("method", fits, "a causal stage before it, to start from", &self.name)
    }
}
