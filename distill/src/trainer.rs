//! The loop every stage shares: data-parallel workers, time budget, metrics, progress, checkpoints.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::optim::{Part, Rule};
use crate::plot;
use crate::rng::Rng;
use crate::state::{State, StateError};
use crate::weights::{Leaves, Weights, floats};

/// Why training stopped before its budget.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be written or read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The gradient is not finite three steps in a row.
    #[error("stage {stage}: the gradient is not finite at step {step}; lower the learning rate")]
    Diverged {
        /// The stage.
        stage: &'static str,
        /// Steps taken.
        step: u64,
    },
    /// Some tensor got no gradient, which means the loss does not use it.
    #[error("stage {stage}: only {found} of {expected} tensors have a gradient")]
    Gradients {
        /// The stage.
        stage: &'static str,
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
    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Vec<(String, f64)>, StateError>;
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

/// How to run a stage.
pub struct Run<'a> {
    /// Folder of the run.
    pub dir: &'a Path,
    /// Wall-clock budget, counted over all resumed parts.
    pub minutes: f64,
    /// Data-parallel workers.
    pub threads: usize,
    /// Device without autodiff.
    pub device: &'a Device,
    /// Set from outside (Ctrl-C) to save and stop.
    pub stop: &'a AtomicBool,
    /// Seconds between looks at the averaged weights.
    pub inspect_every: f64,
    /// Steps after which to stop even with time left.
    pub max_steps: u64,
    /// Seed of batches and noise.
    pub seed: u64,
}

impl Run<'_> {
    /// Where the checkpoint of a stage lies.
    pub fn checkpoint(&self, stage: &str) -> PathBuf {
        self.dir.join(format!("{stage}.state.safetensors"))
    }

    /// Trains until the budget is spent or a stop is asked for; returns whether the stage is complete.
    ///
    /// # Errors
    /// Any [`TrainError`].
    pub fn train(&self, stage: &dyn Stage, state: &mut State) -> Result<bool, TrainError> {
        let (name, rule) = (stage.name(), stage.rule());
        let budget = self.minutes * 60.0;
        let bar = bar(name, state.seconds, budget);
        let (mut saved, mut looked, mut noted) = (Instant::now(), Instant::now(), Instant::now());
        let (mut sum, mut count, mut bad) = (0.0f64, 0u32, 0);
        while state.seconds < budget && state.step < self.max_steps && !self.stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            let done = (state.seconds / budget).max(state.step as f64 / self.max_steps as f64);
            let (loss, grad) = self.gradient(stage, state, done)?;
            let rate = rule.rate_at(state.step, done);
            let part = stage.part(state.step, grad.len());
            let norm = rule.step(state, &grad, &part, rate);
            bad = if norm.is_finite() { 0 } else { bad + 1 };
            if bad == 3 {
                return Err(TrainError::Diverged { stage: name, step: state.step });
            }
            (sum, count) = (sum + f64::from(loss), count + 1);
            state.seconds += started.elapsed().as_secs_f64();
            bar.set_position(state.seconds as u64);
            if noted.elapsed().as_secs_f64() >= 10.0 || count == 100 {
                let speed = f64::from(count) * stage.batch() as f64 / noted.elapsed().as_secs_f64();
                let mean = sum / f64::from(count);
                bar.set_message(format!("step {} loss {mean:.4} {speed:.1}/s", state.step));
                if bar.is_hidden() {
                    eprintln!(
                        "{name} {:.0}s step {} loss {mean:.4} norm {norm:.2} {speed:.1}/s",
                        state.seconds, state.step
                    );
                }
                self.note(
                    name,
                    state,
                    &[("loss", mean), ("norm", norm.into()), ("rate", rate.into()), ("speed", speed)],
                )?;
                (noted, sum, count) = (Instant::now(), 0.0, 0);
            }
            if looked.elapsed().as_secs_f64() >= self.inspect_every {
                self.look(stage, state)?;
                (looked, noted, sum, count) = (Instant::now(), Instant::now(), 0.0, 0);
            }
            if saved.elapsed().as_secs_f64() >= 60.0 {
                state.save(&self.checkpoint(name))?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        state.save(&self.checkpoint(name))?;
        self.look(stage, state)?;
        Ok(!self.stop.load(Ordering::Relaxed))
    }

    /// Mean loss and gradient over the workers, summed in worker order so that a run is reproducible.
    fn gradient(&self, stage: &dyn Stage, state: &State, done: f64) -> Result<(f32, Vec<f32>), TrainError> {
        let workers = self.threads.clamp(1, stage.batch());
        let one = |worker: usize| {
            let (from, to) = (stage.batch() * worker / workers, stage.batch() * (worker + 1) / workers);
            let device = self.device.clone();
            let rng = Rng::keyed(self.seed, state.step, worker as u64);
            let job = Job { state, rng, share: to - from, device, done };
            let mut flat = vec![0.0; state.weights.data.len()];
            let (loss, found) = stage.gradient(job, &mut flat);
            (loss, flat, found)
        };
        let mut parts = std::thread::scope(|scope| {
            let others: Vec<_> = (1..workers).map(|w| scope.spawn(move || one(w))).collect();
            let mut parts = vec![one(0)];
            parts.extend(others.into_iter().map(|o| o.join().unwrap_or_else(|e| std::panic::resume_unwind(e))));
            parts
        });
        let expected = state.weights.entries().len();
        if let Some(part) = parts.iter().find(|p| p.2 != expected) {
            return Err(TrainError::Gradients { stage: stage.name(), found: part.2, expected });
        }
        let (mut loss, mut grad, _) = parts.remove(0);
        for (l, g, _) in parts {
            loss += l;
            grad.iter_mut().zip(g).for_each(|(a, b)| *a += b);
        }
        let scale = 1.0 / workers as f32;
        grad.iter_mut().for_each(|g| *g *= scale);
        Ok((loss * scale, grad))
    }

    fn look(&self, stage: &dyn Stage, state: &State) -> Result<(), TrainError> {
        let figures = stage.inspect(&state.averaged(), self.device, self.dir, state.step)?;
        let pairs: Vec<(&str, f64)> = figures.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        eprintln!("{} step {}: {pairs:?}", stage.name(), state.step);
        self.note(stage.name(), state, &pairs)?;
        Ok(plot::loss(self.dir)?)
    }

    fn note(&self, stage: &str, state: &State, figures: &[(&str, f64)]) -> Result<(), StateError> {
        let path = self.dir.join("metrics.jsonl");
        let mut line = serde_json::json!({ "stage": stage, "step": state.step, "seconds": state.seconds });
        for (key, value) in figures {
            line[*key] = (*value).into();
        }
        let append = || writeln!(OpenOptions::new().create(true).append(true).open(&path)?, "{line}");
        append().map_err(|source| StateError::Io { path: path.clone(), source })
    }
}

fn bar(name: &'static str, seconds: f64, budget: f64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(budget as u64), ProgressDrawTarget::stderr_with_hz(2));
    let style = ProgressStyle::with_template("{prefix:12} [{bar:30}] {elapsed_precise} eta {eta_precise} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_prefix(name);
    bar.set_position(seconds as u64);
    bar.reset_eta();
    bar
}
