//! Runs a recipe: which stage follows which, and what each starts from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use causeway_runtime::config::{CodecKind, ModelConfig};

use crate::footage::data::Episodes;
use crate::footage::latents::{self, Latents};
use crate::footage::recording::{Recording, RecordingError};
use crate::footage::returns::Returns;
use crate::footage::world::{Habits, RecordError, Scene};
use crate::judge::eval::{self, Held, START, Sampler};
use crate::method::consistency::Consistency;
use crate::method::delta_forcing::DeltaForcing;
use crate::method::diffusion_forcing::DiffusionForcing;
use crate::method::distribution_matching::DistributionMatching;
use crate::method::ode_distillation::{OdeDistillation, Trajectories};
use crate::method::principal;
use crate::method::reconstruction::Reconstruction;
use crate::method::resampling_forcing::ResamplingForcing;
use crate::method::score::Pair;
use crate::method::self_forcing::SelfForcing;
use crate::method::streaming::Streaming;
use crate::method::teacher_forcing::{TeacherForcing, World};
use crate::net::mask::Mask;
use crate::net::precision::{Precision, PrecisionError};
use crate::run::folder::{Folder, FolderError};
use crate::run::recipe::{Data, Method, Recipe, RecipeError, Stage};
use crate::train::state::{State, StateError};
use crate::train::trainer::{Run, TrainError};

/// Frames a shard of the built-in world's recording.
const SHARD: usize = 1000;

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The recipe cannot be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The built-in world could not be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Training stopped.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file of the run folder cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A recording is too short for the recipe.
    #[error("{path}: the longest episode has {found} frames, the recipe needs {expected}")]
    Short {
        /// The recording.
        path: PathBuf,
        /// Frames of its longest episode.
        found: usize,
        /// Frames that are needed.
        expected: usize,
    },
    /// The run folder holds another recording of the built-in world.
    #[error(
        "{path}: a recording of another place, of other frames or another seed; delete it or train in another folder"
    )]
    OtherRecording {
        /// The recording.
        path: PathBuf,
    },
    /// A stage wants changes of event, and nothing can change.
    #[error("stage {stage} tunes on changes of event; the recording has {found}, expected at least 2")]
    Events {
        /// The stage.
        stage: String,
        /// Events of the recording.
        found: usize,
    },
    /// A stage weighs facts, and nothing tells where they are.
    #[error(
        "stage {stage} weighs facts that come back; only footage of the built-in world, with its poses, tells where that is"
    )]
    Facts {
        /// The stage.
        stage: String,
    },
    /// A linear codec has nothing to polish.
    #[error("stage {stage} polishes a linear codec, expected a TAEHV")]
    Polish {
        /// The stage.
        stage: String,
    },
    /// No stage of the recipe is called that.
    #[error("the recipe has no stage {name}; it has {known}")]
    NoStage {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// An opened run: recordings and folder.
pub struct Pipeline<'a> {
    device: &'a Device,
    cpu: bool,
    precision: Precision,
    stop: &'a AtomicBool,
    train: Recording,
    held: Recording,
    folder: Folder,
}

impl<'a> Pipeline<'a> {
    /// Opens the recordings and makes (or goes on with) the run folder; `cpu` tells whether `device` is the CPU, where
    /// hand-written passes compute.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn open(recipe: &Recipe, device: &'a Device, cpu: bool, stop: &'a AtomicBool) -> Result<Self, PipelineError> {
        // The run folder is made by what is first written into it: a run that cannot begin leaves none.
        record(recipe, stop)?;
        let (train, held) =
            (Recording::open(&recipe.data().join("train"))?, Recording::open(&recipe.data().join("held"))?);
        train.info.fits(&held.info, &recipe.data())?;
        let most = |of: fn(&Stage) -> usize| recipe.stages.iter().map(of).max().unwrap_or(0);
        // A window also wants the frame before it, and so does a look, which begins with real frames.
        let (window, look) = (most(|s| s.frames) + 1, most(|s| s.horizon) + START + 1);
        for (name, recording, expected) in [("train", &train, window), ("held", &held, look.max(window).max(32))] {
            let found = Episodes::new(&recording.episode_starts).longest();
            if found < expected {
                return Err(PipelineError::Short { path: recipe.data().join(name), found, expected });
            }
        }
        let events = train.info.events.len();
        if let Some(stage) = recipe.stages.iter().find(|s| s.method.wants_events() && events < 2) {
            return Err(PipelineError::Events { stage: stage.name.clone(), found: events });
        }
        let model = recipe.model.model(&train.info).map_err(FolderError::Model)?;
        let (precision, folder) = (Precision::F32, Folder::create(recipe, model)?);
        Ok(Self { device, cpu, precision, stop, train, held, folder })
    }

    /// The same run, in which the tensor library multiplies in `precision`.
    ///
    /// # Errors
    /// [`PrecisionError`] when the device cannot.
    pub fn in_precision(self, precision: Precision) -> Result<Self, PrecisionError> {
        precision.check(self.cpu, |dtype| self.device.supports_dtype(dtype))?;
        Ok(Self { precision, ..self })
    }

    /// The run folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The model as known so far.
    pub fn config(&self) -> &ModelConfig {
        &self.folder.config
    }

    /// The held-out recording.
    pub fn held(&self) -> &Recording {
        &self.held
    }

    /// Trains all stages, or the one called `only`, resuming what is there; returns the stage that a stop was asked for in.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn run(&mut self, only: Option<&str>) -> Result<Option<String>, PipelineError> {
        let stages = self.folder.recipe.stages.clone();
        if let Some(name) = only.filter(|name| stages.iter().all(|s| s.name != *name)) {
            let known: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
            return Err(PipelineError::NoStage { name: name.into(), known: known.join(", ") });
        }
        for stage in &stages {
            if only.is_none_or(|name| name == stage.name) && !self.train(stage)? {
                return Ok(Some(stage.name.clone()));
            }
        }
        Ok(None)
    }

    /// Trains `stage`; returns whether it ran to its end.
    fn train(&mut self, stage: &Stage) -> Result<bool, PipelineError> {
        if self.folder.passed(stage) {
            return Ok(true);
        }
        let (recipe, saved) = (self.folder.recipe.clone(), self.folder.state(stage)?);
        let run = Run {
            dir: &recipe.out,
            name: &stage.name,
            budget: stage.budget,
            threads: stage.threads,
            accumulate: stage.accumulate,
            device: self.device,
            stop: self.stop,
            save_every: stage.checkpoint,
            inspect_every: stage.inspect,
            seed: stage.seed,
        };
        if stage.method.is_codec() && self.folder.config.codec.kind == CodecKind::Linear {
            if saved.is_none() {
                self.fit(stage)?.save(&run.checkpoint())?;
            }
            return Ok(true);
        }
        // Before anything is read, recorded or measured for it.
        if saved.as_ref().map(|state| run.is_over(state)).transpose()? == Some(true) {
            return Ok(true);
        }
        let parent = recipe.from.as_deref().filter(|_| recipe.landed().is_none()).map(Folder::open).transpose()?;
        let kernels = recipe.kernels();
        if stage.method.is_codec() {
            let polish = stage.method == Method::Polish {};
            let mut state = match (saved, &parent) {
                (Some(state), _) => state,
                (None, _) if polish => State::new(self.folder.codec()?),
                (None, Some(parent)) => State::new(parent.codec()?),
                (None, None) => State::new(self.folder.fresh_codec()),
            };
            state.weights.kernels = kernels;
            if !polish && run.budget.share(state.step, state.seconds) < 1.0 {
                // Latents of an encoder that moves on are of no use.
                self.forget_latents()?;
            }
            let method = Reconstruction {
                config: &self.folder.config.codec,
                train: &self.train,
                held: &self.held,
                episodes: Episodes::new(&self.train.episode_starts),
                batch: stage.batch,
                rule: stage.rule,
                fast: self.cpu,
                polish,
            };
            return Ok(run.train(&method, &mut state)?);
        }

        let (train, held) = self.latents()?;
        let (folder, codec) = (&self.folder, self.folder.codec()?);
        let held = Held {
            recording: &self.held,
            latents: &held,
            codec: &codec,
            worlds: stage.worlds,
            frames: stage.horizon,
            cpu: self.cpu,
        };
        let returns = (stage.returns > 0.0).then(|| self.returns(stage)).transpose()?;
        let world = World {
            config: &folder.config,
            data: &train,
            held: Some(&held),
            batch: stage.batch,
            frames: stage.frames,
            route: stage.route,
            copies: stage.copies,
            drop_prev: stage.drop_prev,
            pure: stage.pure,
            returns: returns.as_ref().map(|returns| (stage.returns, returns)),
            rule: stage.rule,
            cpu: self.cpu,
            precision: self.precision,
        };
        let mut state = match saved {
            Some(state) => state,
            None => State::new(folder.begin(stage, parent.as_ref())?),
        };
        state.weights.kernels = kernels;
        let teacher = || folder.teacher(stage).map(|weights| weights.on(kernels));
        // What the teacher sees.
        let causal = stage.teacher.as_deref().and_then(|name| recipe.stage(name)).is_some_and(|s| s.method.is_causal());
        let mask = if causal { world.mask() } else { Mask::Full };
        Ok(match stage.method {
            Method::Codec {} | Method::Polish {} => true,
            Method::Teacher {} => run.train(&TeacherForcing(world), &mut state)?,
            Method::Diffusion {} => {
                let mask = Mask::Causal(world.ring());
                run.train(&DiffusionForcing { world, mask }, &mut state)?
            }
            Method::Bidirectional {} => run.train(&DiffusionForcing { world, mask: Mask::Full }, &mut state)?,
            Method::Resampling(resampling) => run.train(&ResamplingForcing { world, resampling }, &mut state)?,
            Method::Consistency(how) => {
                let resampling = (how.clean < 1.0 || how.own > 0.0).then_some(how);
                run.train(&Consistency { world, teacher: &teacher()?, mask, resampling }, &mut state)?
            }
            Method::Ode { history, trajectories } => {
                let (trajectories, mask) =
                    (&self.trajectories(stage, &world, mask, trajectories)?, history.mask(&world));
                run.train(&OdeDistillation { world, trajectories, mask }, &mut state)?
            }
            Method::SelfForcing { objective, steps } => {
                let pair = Pair { teacher: &teacher()?, mask };
                run.train(&SelfForcing { world, pair, objective, steps }, &mut state)?
            }
            Method::Streaming { steps, context, overlap, changes }
            | Method::Delta { steps, context, overlap, changes, .. } => {
                let pair = Pair { teacher: &teacher()?, mask };
                let mut streaming = Streaming { world, pair, steps, context, overlap, changes, among: 0, delta: None };
                if let Some(options) = stage.method.guard() {
                    eprintln!("measuring the trust region");
                    // Of the student as the stage began, also where it goes on.
                    let begun = folder.begin(stage, parent.as_ref())?;
                    let quiet = streaming.judged(&begun, self.device, false, options.levels, stage.seed);
                    streaming.delta = Some(DeltaForcing::new(options, &quiet));
                }
                run.train(&streaming, &mut state)?
            }
            Method::Dmd {} => run.train(&DistributionMatching { world, teacher: &teacher()? }, &mut state)?,
        })
    }

    /// Where facts come back in the training footage.
    fn returns(&self, stage: &Stage) -> Result<Returns, PipelineError> {
        let (info, dit) = (&self.train.info, &self.folder.config.dit);
        let found = Scene::of(info).and_then(|scene| Returns::new(&self.train, scene, info.width / dit.token_grid().1));
        found.ok_or_else(|| PipelineError::Facts { stage: stage.name.clone() })
    }

    /// The linear codec, which needs no steps.
    fn fit(&self, stage: &Stage) -> Result<State, PipelineError> {
        if stage.method == (Method::Polish {}) {
            return Err(PipelineError::Polish { stage: stage.name.clone() });
        }
        self.forget_latents()?;
        let codec = &self.folder.config.codec;
        let weights = principal::fit(&self.train, codec);
        let kept = principal::kept(&self.held, &weights, codec);
        eprintln!(
            "{}: {} of {} components keep {kept:.1} dB",
            stage.name,
            codec.channels,
            3 * codec.patch * codec.patch
        );
        Ok(State::new(weights))
    }

    /// The trajectories that `stage` learns, stored in the run folder; recorded anew if its teacher has moved since.
    fn trajectories(
        &self,
        stage: &Stage,
        world: &World<'_>,
        mask: Mask,
        count: usize,
    ) -> Result<Trajectories, PipelineError> {
        let folder = &self.folder;
        let name = stage.teacher.as_deref().unwrap_or_default();
        let (teacher, of) = (folder.teacher(stage)?.on(folder.recipe.kernels()), folder.recipe.stage(name));
        let step = of.map(|of| folder.state(of)).transpose()?.flatten().map_or(0, |state| state.step);
        let what = format!("{count} of {name} at step {step}, {} frames, seed {}", stage.frames, stage.seed);
        let path = folder.dir().join(format!("{}.trajectories.safetensors", stage.name));
        if let Some(known) = Trajectories::load(&path, &what)? {
            return Ok(known);
        }
        eprintln!("recording {count} trajectories of {name}");
        let new = Trajectories::record_on(stage.threads, world, &teacher, self.device, mask, count, stage.seed);
        new.save(&path, &what)?;
        Ok(new)
    }

    /// Normalised latents of both recordings; encodes and measures them once, and notes the moments in `config.json`.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn latents(&mut self) -> Result<(Latents, Latents), PipelineError> {
        let codec = self.folder.codec()?.on(self.folder.recipe.kernels());
        let threads = self.folder.recipe.stages.iter().map(|s| s.threads).max().unwrap_or(1);
        let (area, len) = (latents::area(&self.config().dit), self.config().dit.latent_len());
        let mut both = Vec::new();
        for (name, recording) in [("train", &self.train), ("held", &self.held)] {
            let path = latents_path(self.folder.dir(), name);
            let known = latents::load(&path)?.filter(|data| data.len() == recording.len() * len);
            both.push(match known {
                Some(data) => data,
                None => {
                    eprintln!("encoding the {name} recording");
                    let library = (!self.cpu).then_some(self.device);
                    let data = latents::encode(recording, &codec, &self.config().codec, library, threads);
                    latents::save(&path, &data)?;
                    data
                }
            });
        }
        let linear = self.folder.config.codec.kind == CodecKind::Linear;
        let moments = self.folder.landed_moments();
        let dit = &mut self.folder.config.dit;
        (dit.latent_mean, dit.latent_std) = moments.unwrap_or_else(|| {
            let (mean, mut std) = latents::moments(&both[0], dit.latent.channels, area);
            if linear {
                latents::soften(&mut std);
            }
            (mean, std)
        });
        self.folder.write_config()?;
        for data in &mut both {
            latents::normalise(data, area, &self.config().dit.latent_mean, &self.config().dit.latent_std);
        }
        let held = Latents::new(both.pop().unwrap_or_default(), &self.held);
        let train = Latents::new(both.pop().unwrap_or_default(), &self.train);
        Ok((train, held))
    }

    fn forget_latents(&self) -> Result<(), StateError> {
        for path in ["train", "held"].map(|name| latents_path(self.folder.dir(), name)) {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StateError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The table of `eval::table` for the denoiser of the stage called `name`, or the newest, over `worlds` roll-outs of `frames`
    /// frames; the sheet of the first sampler goes to `eval.png` in the run folder.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn evaluate(&mut self, name: Option<&str>, worlds: usize, frames: usize) -> Result<String, PipelineError> {
        let (_, held) = self.latents()?;
        let (codec, (stage, denoiser)) = (self.folder.codec()?, self.folder.playable(name)?);
        let held = Held { recording: &self.held, latents: &held, codec: &codec, worlds, frames, cpu: self.cpu };
        let few = self.config().schedule.steps.keys().rev().filter(|&&steps| steps > 1);
        let few = few.map(|&steps| Sampler::Few(steps));
        let mut samplers: Vec<Sampler> = few.chain([Sampler::Flow(1), Sampler::Flow(8)]).collect();
        if stage.method.is_flow() {
            samplers.rotate_right(1);
        }
        let sheet = self.folder.dir().join("eval.png");
        eval::roll(&held, self.config(), &denoiser, self.device, samplers[0], &sheet)?;
        let table = eval::table(&held, self.config(), &denoiser, self.device, &samplers);
        Ok(format!("Stage {}, {worlds} held-out worlds, {START} real start frames.\n\n{table}", stage.name))
    }
}

fn latents_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("latents-{name}.safetensors"))
}

/// Records the built-in world where the recipe asks for it, unless that is done.
fn record(recipe: &Recipe, stop: &AtomicBool) -> Result<(), PipelineError> {
    let Data::World(data) = &recipe.data else { return Ok(()) };
    let scene = data.scene()?;
    // Held-out frames are the usual bot's, so that looks at them compare.
    let (errands, usual) = (Habits { away: data.away }, Habits::default());
    let both = [("train", errands, data.seed, data.frames), ("held", usual, data.seed + 1000, data.held)];
    for (name, habits, seed, frames) in both {
        let (path, shard) = (recipe.data().join(name), frames.min(SHARD));
        let shards = frames.div_ceil(shard);
        // Each shard is written at once or not at all.
        if (0..shards).any(|index| !path.join(format!("{index:05}.safetensors")).exists()) {
            scene.record(&path, habits, seed, frames, shard, stop)?;
        }
        let found = Recording::open(&path)?;
        if found.info != scene.info(seed, habits) || found.len() != shards * shard {
            return Err(PipelineError::OtherRecording { path });
        }
    }
    Ok(())
}
