//! The loop every stage shares: data-parallel workers, budget, metrics, progress, checkpoints.
//!
//! A run by steps is a function of its settings alone: batches and noise are keyed by step and part, so that one which was
//! killed goes on from its checkpoint to the same numbers, bit for bit.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::net::weights::{Leaves, Weights, floats};
use crate::rng::Rng;
use crate::train::metrics::Metrics;
use crate::train::optim::{Part, Rule};
use crate::train::plot;
use crate::train::progress::Progress;
use crate::train::state::{State, StateError};

/// Why training stopped before its budget.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be written or read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The gradient was not finite three steps in a row.
    #[error("stage {stage}: the gradient is not finite at step {step}; lower the learning rate")]
    Diverged {
        /// The stage.
        stage: String,
        /// Steps taken.
        step: u64,
    },
    /// Some tensor got no gradient, which means the loss does not use it.
    #[error("stage {stage}: only {found} of {expected} tensors have a gradient")]
    Gradients {
        /// The stage.
        stage: String,
        /// Tensors with a gradient.
        found: usize,
        /// Tensors of the network.
        expected: usize,
    },
}

/// What one worker knows about the step it computes.
pub struct Job<'a> {
    /// Weights and average before the step.
    pub state: &'a State,
    /// Generator of this worker for this step.
    pub rng: Rng,
    /// Samples this worker takes.
    pub share: usize,
    /// Device without autodiff, for passes that need no gradient.
    pub device: Device,
    /// Share of the stage that is over, 0 to 1.
    pub done: f64,
}

/// Named figures about a network.
pub type Figures = Vec<(String, f64)>;

/// A stage: what to minimise, and what to show now and then.
pub trait Stage: Sync {
    /// Name in metrics and file names.
    fn name(&self) -> &'static str;
    /// Samples a step, over all workers.
    fn batch(&self) -> usize;
    /// Optimizer settings.
    fn rule(&self) -> Rule;
    /// Which of `len` weights step number `step` moves: all, unless the stage trains networks by turns.
    fn part(&self, _step: u64, len: usize) -> Part {
        Part { range: 0..len, rate: 1.0 }
    }

    /// Adds the gradient of one worker's share to `flat`; returns its mean loss and how many tensors had a gradient.
    fn gradient(&self, job: Job<'_>, flat: &mut [f32]) -> (f32, usize);

    /// Looks at the averaged weights: writes pictures to `dir` and returns named figures for the metrics.
    ///
    /// # Errors
    /// [`StateError`] when a picture cannot be written.
    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError>;
}

/// [`Stage::gradient`] of a loss of `weights` by the tensor library, on any device.
pub fn library_gradient(
    weights: &Weights,
    device: &Device,
    flat: &mut [f32],
    loss: impl FnOnce(&Leaves) -> Tensor<1>,
) -> (f32, usize) {
    let net = weights.leaves(&device.clone().autodiff());
    let loss = loss(&net);
    let mut grads = loss.backward();
    let found = weights.gather(&net, &mut grads, flat);
    (floats(loss)[0], found)
}

/// How long a stage goes on, or how often something happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// Optimizer steps.
    Steps(u64),
    /// Minutes of wall clock.
    Minutes(f64),
}

impl Span {
    /// What share of the span `steps` or `seconds` are; 1 and more when it is over.
    pub fn share(self, steps: u64, seconds: f64) -> f64 {
        match self {
            Self::Steps(n) => steps as f64 / n.max(1) as f64,
            Self::Minutes(minutes) => seconds / (60.0 * minutes).max(1e-9),
        }
    }

    /// Whether something that happens this often is due at `step`, when it happened last at `last`.
    fn due(self, step: u64, last: Instant) -> bool {
        match self {
            Self::Steps(n) => step.is_multiple_of(n.max(1)),
            Self::Minutes(_) => self.share(0, last.elapsed().as_secs_f64()) >= 1.0,
        }
    }
}

/// How to run a stage.
pub struct Run<'a> {
    /// Folder of the run.
    pub dir: &'a Path,
    /// What the stage is called in the run's files.
    pub name: &'a str,
    /// When the stage is over, counted over all resumed parts.
    pub budget: Span,
    /// Data-parallel workers.
    pub threads: usize,
    /// Parts in which each worker takes its share of a batch, one after the other: less memory, the same step.
    pub accumulate: usize,
    /// Device without autodiff.
    pub device: &'a Device,
    /// Set from outside (Ctrl-C) to save and stop.
    pub stop: &'a AtomicBool,
    /// How often to save.
    pub save_every: Span,
    /// How often to look at the averaged weights.
    pub inspect_every: Span,
    /// Seed of batches and noise.
    pub seed: u64,
}

/// What is noted of a step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Mean loss of the batch.
    pub loss: f32,
    /// Norm of the gradient before clipping.
    pub norm: f32,
    /// Learning rate.
    pub rate: f32,
}

impl Run<'_> {
    /// Where the checkpoint lies.
    pub fn checkpoint(&self) -> PathBuf {
        checkpoint(self.dir, self.name)
    }

    /// Whether the stage is complete and its last look noted: then there is nothing left to do.
    ///
    /// # Errors
    /// [`TrainError`] when the figures cannot be read.
    pub fn is_over(&self, state: &State) -> Result<bool, TrainError> {
        let spent = self.budget.share(state.step, state.seconds) >= 1.0;
        Ok(spent && Metrics::open(self.dir, self.name, state.step)?.looked)
    }

    /// Trains until the budget is spent or a stop is asked for; returns whether the stage is complete.
    ///
    /// # Errors
    /// Any [`TrainError`].
    pub fn train(&self, stage: &dyn Stage, state: &mut State) -> Result<bool, TrainError> {
        let path = self.checkpoint();
        if self.is_over(state)? {
            return Ok(true);
        }
        let mut metrics = Metrics::open(self.dir, self.name, state.step)?;
        let done = |state: &State| self.budget.share(state.step, state.seconds);
        let mut progress = Progress::new(self.name, done(state));
        let (mut saved, mut looked, mut bad) = (Instant::now(), Instant::now(), 0);
        while done(state) < 1.0 && !self.stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            let before = done(state);
            let Step { loss, norm, rate } = self.step(stage, state, before)?;
            state.seconds += started.elapsed().as_secs_f64();
            metrics.note(state, &[("loss", loss.into()), ("norm", norm.into()), ("rate", rate.into())])?;
            bad = if norm.is_finite() { 0 } else { bad + 1 };
            if bad == 3 {
                return Err(TrainError::Diverged { stage: self.name.into(), step: state.step });
            }
            progress.step(state.step, loss, stage.batch(), done(state));
            if self.inspect_every.due(state.step, looked) && done(state) < 1.0 {
                self.look(stage, state, &mut metrics, &progress)?;
                progress.pause();
                looked = Instant::now();
            }
            // Nor is a bad step a place to go on from: the count of them is not saved.
            if self.save_every.due(state.step, saved) && bad == 0 {
                metrics.sync()?;
                state.save(&path)?;
                saved = Instant::now();
            }
        }
        metrics.sync()?;
        state.save(&path)?;
        let complete = done(state) >= 1.0;
        if complete {
            self.look(stage, state, &mut metrics, &progress)?;
        }
        Ok(complete)
    }

    /// Takes one step of `stage`, of which a share `done` is over.
    ///
    /// # Errors
    /// [`TrainError::Gradients`].
    pub fn step(&self, stage: &dyn Stage, state: &mut State, done: f64) -> Result<Step, TrainError> {
        let (loss, grad) = self.gradient(stage, state, done)?;
        let rule = stage.rule();
        let rate = rule.rate_at(state.step - state.begun, done);
        let part = stage.part(state.step, grad.len());
        Ok(Step { loss, norm: rule.step(state, &grad, &part, rate, self.threads), rate })
    }

    /// Mean loss and gradient over the batch. Its parts are summed in order, so that a run is reproducible, and so that a batch
    /// in two rounds of two workers is one of four.
    fn gradient(&self, stage: &dyn Stage, state: &State, done: f64) -> Result<(f32, Vec<f32>), TrainError> {
        let batch = stage.batch();
        let workers = self.threads.clamp(1, batch);
        let parts = (workers * self.accumulate.max(1)).min(batch);
        let share = |part: usize| batch * (part + 1) / parts - batch * part / parts;
        let one = |part: usize| {
            let rng = Rng::keyed(self.seed, state.step, part as u64);
            let job = Job { state, rng, share: share(part), device: self.device.clone(), done };
            let mut flat = vec![0.0; state.weights.data.len()];
            let (loss, found) = stage.gradient(job, &mut flat);
            (loss, flat, found)
        };
        let expected = state.weights.entries().len();
        let (mut loss, mut grad) = (0.0, vec![0.0; state.weights.data.len()]);
        for first in (0..parts).step_by(workers) {
            let round = std::thread::scope(|scope| {
                let last = (first + workers).min(parts);
                let others: Vec<_> = (first + 1..last).map(|p| scope.spawn(move || one(p))).collect();
                let mut round = vec![one(first)];
                round.extend(others.into_iter().map(|o| o.join().unwrap_or_else(|e| std::panic::resume_unwind(e))));
                round
            });
            for (part, (l, g, found)) in (first..).zip(round) {
                if found != expected {
                    return Err(TrainError::Gradients { stage: self.name.into(), found, expected });
                }
                let weight = share(part) as f32 / batch as f32;
                loss += weight * l;
                grad.iter_mut().zip(g).for_each(|(a, b)| *a += weight * b);
            }
        }
        Ok((loss, grad))
    }

    /// Pictures go to a folder of the stage's own.
    fn look(
        &self,
        stage: &dyn Stage,
        state: &State,
        metrics: &mut Metrics,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        let sheets = self.dir.join(self.name);
        std::fs::create_dir_all(&sheets).map_err(|source| StateError::Io { path: sheets.clone(), source })?;
        let figures = stage.inspect(&state.averaged(), self.device, &sheets, state.step)?;
        let pairs: Vec<(&str, f64)> = figures.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        let shown: Vec<String> = pairs.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        progress.say(&format!("{} step {}: {}", self.name, state.step, shown.join(", ")));
        metrics.note(state, &pairs)?;
        Ok(plot::loss(self.dir)?)
    }
}

/// Where the checkpoint of the stage called `name` lies in the run folder `dir`.
pub fn checkpoint(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.state.safetensors"))
}
