//! A run folder: which stage follows which, what each starts from, and what is on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use causeway_runtime::config::ModelConfig;

use crate::data::Episodes;
use crate::eval::{self, Held, START, Sampler};
use crate::latents::{self, Latents};
use crate::method::consistency::Consistency;
use crate::method::distribution_matching::DistributionMatching;
use crate::method::reconstruction::Reconstruction;
use crate::method::resampling_forcing::ResamplingForcing;
use crate::method::teacher_forcing::{TeacherForcing, World};
use crate::optim::Rule;
use crate::preset::{Preset, Recipe};
use crate::recording::{Recording, RecordingError};
use crate::state::{State, StateError, write_whole};
use crate::trainer::{Run, TrainError};
use crate::weights::Weights;
use crate::{codec, dit};

/// A stage of training, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Step {
    /// The autoencoder.
    Codec,
    /// Teacher forcing.
    Teacher,
    /// Resampling Forcing.
    Resampling,
    /// Consistency distillation.
    Consistency,
    /// Distribution matching distillation.
    Dmd,
    /// The decoder once more, latents unchanged.
    Polish,
}

impl Step {
    /// All stages in order.
    pub const ALL: [Self; 6] =
        [Self::Codec, Self::Teacher, Self::Resampling, Self::Consistency, Self::Dmd, Self::Polish];

    /// Name in file names and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Teacher => "teacher",
            Self::Resampling => "resampling",
            Self::Consistency => "consistency",
            Self::Dmd => "dmd",
            Self::Polish => "polish",
        }
    }
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Training stopped.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A file of the run folder cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// A stage needs the one before it.
    #[error("{dir} has no checkpoint of stage {stage}; train it first")]
    Missing {
        /// The run folder.
        dir: PathBuf,
        /// The stage that is missing.
        stage: &'static str,
    },
    /// `config.json` is missing or damaged.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// How to train.
pub struct Options {
    /// Recording folders `train` and `held` lie here.
    pub data: PathBuf,
    /// The run folder.
    pub dir: PathBuf,
    /// Size.
    pub preset: Preset,
    /// Data-parallel workers.
    pub threads: usize,
    /// Seconds between looks at the averaged weights.
    pub inspect_every: f64,
    /// Frames of a training window.
    pub frames: usize,
    /// History frames a query is routed to; 0 for all.
    pub route: usize,
    /// Whether the device is the CPU, where hand-written passes are faster than the library's.
    pub cpu: bool,
    /// A finished run of the same model whose weights the first stages start from.
    pub from: Option<PathBuf>,
}

/// An opened run: recordings and configuration.
pub struct Pipeline<'a> {
    options: &'a Options,
    device: &'a Device,
    stop: &'a AtomicBool,
    train: Recording,
    held: Recording,
    config: ModelConfig,
    recipe: Recipe,
}

impl<'a> Pipeline<'a> {
    /// Opens the recordings and makes (or re-reads) the run folder.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn open(options: &'a Options, device: &'a Device, stop: &'a AtomicBool) -> Result<Self, PipelineError> {
        let train = Recording::open(&options.data.join("train"))?;
        let held = Recording::open(&options.data.join("held"))?;
        fs::create_dir_all(&options.dir).map_err(|source| StateError::Io { path: options.dir.clone(), source })?;
        let config = match read_config(&options.dir) {
            Ok(config) => config,
            Err(_) => options.preset.model(&train.info),
        };
        let pipeline = Self { options, device, stop, train, held, config, recipe: options.preset.recipe() };
        pipeline.write_config()?;
        Ok(pipeline)
    }

    /// The model as known so far.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Trains one stage for `minutes` in all (resuming what is there); returns whether it ran to its end.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn train(&mut self, step: Step, minutes: f64) -> Result<bool, PipelineError> {
        let options = self.options;
        let run = Run {
            dir: &options.dir,
            minutes,
            threads: options.threads,
            device: self.device,
            stop: self.stop,
            inspect_every: options.inspect_every,
            max_steps: u64::MAX,
            seed: 1 + step as u64,
        };
        if matches!(step, Step::Codec | Step::Polish) {
            let polish = step == Step::Polish;
            // The frozen encoder must not decay either.
            let rule = if polish {
                Rule { rate: self.recipe.codec.rate * 0.5, decay: 0.0, ..self.recipe.codec }
            } else {
                self.recipe.codec
            };
            let stage = Reconstruction {
                config: &self.config.codec,
                train: &self.train,
                held: &self.held,
                episodes: Episodes::new(&self.train.episode_starts),
                batch: self.recipe.clips,
                rule,
                fast: options.cpu,
                polish,
            };
            let fresh = Weights::init(&codec::specs(&self.config.codec), 1);
            let start = if polish {
                Some(self.codec()?)
            } else {
                self.parent().map(|run| codec_of(run, &self.config)).transpose()?
            };
            let mut state = resume(&run, step, fresh, start)?;
            return Ok(run.train(&stage, &mut state)?);
        }
        let (train, held) = self.latents()?;
        let codec = self.codec()?;
        let held =
            Held { recording: &self.held, latents: &held, codec: &codec, worlds: 10, frames: 32, cpu: options.cpu };
        let scale = |share: f32| Rule { rate: self.recipe.flow.rate * share, ..self.recipe.flow };
        let world = |rule: Rule| World {
            config: &self.config,
            data: &train,
            held: &held,
            batch: self.recipe.windows,
            frames: options.frames,
            route: options.route,
            rule,
            cpu: options.cpu,
        };
        let fresh = || Weights::init(&dit::specs(&self.config.dit), 2);
        match step {
            Step::Codec | Step::Polish => Ok(true),
            Step::Teacher => {
                let start = self.parent().map(|run| newest_of(run, &self.config, Step::Polish)).transpose()?;
                let mut state = resume(&run, step, fresh(), start.map(|found| found.1))?;
                Ok(run.train(&TeacherForcing(world(scale(1.0))), &mut state)?)
            }
            Step::Resampling => {
                let before = self.denoiser(Step::Teacher)?;
                let mut state = resume(&run, step, fresh(), Some(before))?;
                Ok(run.train(&ResamplingForcing(world(scale(0.7))), &mut state)?)
            }
            Step::Consistency => {
                let teacher = self.latest(Step::Consistency)?.1;
                let mut state = resume(&run, step, fresh(), Some(teacher.clone()))?;
                let rule = Rule { beta1: 0.5, ema: 0.98, ..scale(0.25) };
                Ok(run.train(&Consistency { world: world(rule), teacher: &teacher }, &mut state)?)
            }
            Step::Dmd => {
                let (teacher, start) = (self.latest(Step::Consistency)?.1, self.latest(Step::Dmd)?.1);
                let all = DistributionMatching::networks(&self.config.dit, &start);
                let mut state = resume(&run, step, all.clone(), Some(all))?;
                let rule = Rule { beta1: 0.0, ema: 0.99, decay: 0.0, ..scale(0.2) };
                Ok(run.train(&DistributionMatching { world: world(rule), teacher: &teacher }, &mut state)?)
            }
        }
    }

    /// The averaged weights of the newest denoiser stage before `limit`, and which stage that is.
    ///
    /// # Errors
    /// [`PipelineError::Missing`] when there is none.
    pub fn latest(&self, limit: Step) -> Result<(Step, Weights), PipelineError> {
        newest_of(&self.options.dir, &self.config, limit)
    }

    /// The averaged weights of one denoiser stage.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn denoiser(&self, step: Step) -> Result<Weights, PipelineError> {
        denoiser_of(&self.options.dir, &self.config, step)
    }

    /// The averaged weights of the codec, with the polished decoder if there is one.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn codec(&self) -> Result<Weights, PipelineError> {
        codec_of(&self.options.dir, &self.config)
    }

    fn parent(&self) -> Option<&Path> {
        self.options.from.as_deref()
    }

    /// Optimizer steps that a denoiser stage has taken.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn steps(&self, step: Step) -> Result<u64, PipelineError> {
        let fresh = Weights::init(&dit::specs(&self.config.dit), 2);
        let fresh = if step == Step::Dmd { DistributionMatching::networks(&self.config.dit, &fresh) } else { fresh };
        Ok(load(&self.options.dir, step, fresh)?.step)
    }

    /// Where the checkpoint of a stage lies.
    pub fn checkpoint(&self, step: Step) -> PathBuf {
        self.options.dir.join(format!("{}.state.safetensors", step.name()))
    }

    /// Folder of the training recording.
    pub fn data(&self) -> PathBuf {
        self.options.data.join("train")
    }

    /// The held-out recording.
    pub fn held(&self) -> &Recording {
        &self.held
    }

    /// Normalised latents of both recordings; encodes and measures them once, and notes the moments in `config.json`.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn latents(&mut self) -> Result<(Latents, Latents), PipelineError> {
        let codec = self.codec()?;
        let area = latents::area(&self.config.dit);
        let mut both = Vec::new();
        for (name, recording) in [("train", &self.train), ("held", &self.held)] {
            let path = self.options.dir.join(format!("latents-{name}.safetensors"));
            let data = match latents::load(&path)? {
                Some(data) => data,
                None => {
                    eprintln!("encoding the {name} recording");
                    let data =
                        latents::encode(recording, &codec, &self.config.codec, self.device, self.options.threads);
                    latents::save(&path, &data)?;
                    data
                }
            };
            both.push(data);
        }
        let (mean, std) = latents::moments(&both[0], self.config.dit.latent.channels, area);
        (self.config.dit.latent_mean, self.config.dit.latent_std) = (mean, std);
        self.write_config()?;
        for data in &mut both {
            latents::normalise(data, area, &self.config.dit.latent_mean, &self.config.dit.latent_std);
        }
        let held = Latents::new(both.pop().unwrap_or_default(), &self.held);
        let train = Latents::new(both.pop().unwrap_or_default(), &self.train);
        Ok((train, held))
    }

    /// The table of `eval::table` for the newest denoiser, over `worlds` roll-outs of `frames` frames; the sheet of the first
    /// sampler goes to `eval.png` in the run folder.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn evaluate(&mut self, worlds: usize, frames: usize) -> Result<String, PipelineError> {
        let (_, held) = self.latents()?;
        let (codec, (step, denoiser)) = (self.codec()?, self.newest()?);
        let held = Held { recording: &self.held, latents: &held, codec: &codec, worlds, frames, cpu: self.options.cpu };
        let samplers = match step {
            Step::Consistency | Step::Dmd => vec![Sampler::Few(4), Sampler::Few(2), Sampler::Flow(1), Sampler::Flow(8)],
            _ => vec![Sampler::Flow(8), Sampler::Few(4), Sampler::Few(2), Sampler::Flow(1)],
        };
        eval::roll(&held, &self.config, &denoiser, self.device, samplers[0], &self.options.dir.join("eval.png"))?;
        let table = eval::table(&held, &self.config, &denoiser, self.device, &samplers);
        Ok(format!("Stage {}, {worlds} held-out worlds, {START} real start frames.\n\n{table}", step.name()))
    }

    fn write_config(&self) -> Result<(), PipelineError> {
        let path = self.options.dir.join("config.json");
        let json = serde_json::json!({ "model": self.config, "recipe": self.recipe });
        let text = serde_json::to_string_pretty(&json)
            .map_err(|e| PipelineError::Config { path: path.clone(), reason: e.to_string() })?;
        Ok(write_whole(&path, text.as_bytes())?)
    }
}

/// The model of a run folder.
///
/// # Errors
/// [`PipelineError::Config`].
pub fn read_config(dir: &Path) -> Result<ModelConfig, PipelineError> {
    let path = dir.join("config.json");
    let fail = |reason: String| PipelineError::Config { path: path.clone(), reason };
    let text = fs::read_to_string(&path).map_err(|e| fail(e.to_string()))?;
    let mut json: serde_json::Value = serde_json::from_str(&text).map_err(|e| fail(e.to_string()))?;
    serde_json::from_value(json["model"].take()).map_err(|e| fail(e.to_string()))
}

fn newest_of(dir: &Path, config: &ModelConfig, limit: Step) -> Result<(Step, Weights), PipelineError> {
    for step in [Step::Dmd, Step::Consistency, Step::Resampling, Step::Teacher] {
        if step < limit && dir.join(format!("{}.state.safetensors", step.name())).exists() {
            return Ok((step, denoiser_of(dir, config, step)?));
        }
    }
    Err(PipelineError::Missing { dir: dir.into(), stage: Step::Teacher.name() })
}

fn denoiser_of(dir: &Path, config: &ModelConfig, step: Step) -> Result<Weights, PipelineError> {
    let fresh = Weights::init(&dit::specs(&config.dit), 2);
    if step != Step::Dmd {
        return Ok(load(dir, step, fresh)?.averaged());
    }
    let mut all = load(dir, step, DistributionMatching::networks(&config.dit, &fresh))?.averaged().data;
    all.truncate(fresh.data.len());
    Ok(fresh.with(all))
}

fn codec_of(dir: &Path, config: &ModelConfig) -> Result<Weights, PipelineError> {
    let fresh = || Weights::init(&codec::specs(&config.codec), 1);
    let state = match load(dir, Step::Polish, fresh()) {
        Err(PipelineError::Missing { .. }) => load(dir, Step::Codec, fresh())?,
        found => found?,
    };
    Ok(state.averaged())
}

fn load(dir: &Path, step: Step, fresh: Weights) -> Result<State, PipelineError> {
    let path = dir.join(format!("{}.state.safetensors", step.name()));
    if !path.exists() {
        return Err(PipelineError::Missing { dir: dir.into(), stage: step.name() });
    }
    Ok(State::load(fresh, &path)?)
}

fn resume(run: &Run<'_>, step: Step, fresh: Weights, start: Option<Weights>) -> Result<State, StateError> {
    let path = run.checkpoint(step.name());
    if path.exists() { State::load(fresh, &path) } else { Ok(State::new(start.unwrap_or(fresh))) }
}
