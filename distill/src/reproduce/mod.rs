//! `reproduce NAME`: the claims of the papers, measured on worlds with an exact truth ([`toy`]), with seeds and error bars.
//!
//! An experiment trains everything it compares, for each seed on a thread of its own, under `DIR/NAME/seed-N/`; every network is a
//! run folder of the trainer, so a run that was stopped goes on. Its figures become a table and a plot in the folder of results.

pub mod bias;
pub mod causal;
pub mod chart;
pub mod delta;
pub mod place;
pub mod report;
pub mod resampling;
pub mod routing;
pub mod table;
pub mod toy;
pub mod tuned;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use burn::tensor::Device;
use causeway_runtime::config::ModelConfig;

use crate::footage::latents::Latents;
use crate::method::teacher_forcing::World;
use crate::net::dit;
use crate::net::mask::Route;
use crate::net::precision::Precision;
use crate::net::weights::Weights;
use crate::train::optim::Rule;
use crate::train::state::{State, StateError};
use crate::train::trainer::{Run, Span, Stage, TrainError};

/// Why an experiment ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A file could not be written or read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A plot could not be drawn.
    #[error("{path}: {reason}")]
    Plot {
        /// The picture.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// Ctrl-C.
    #[error("stopped; the same command goes on")]
    Stopped,
}

/// What was trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Steps of the optimizer.
    pub steps: u64,
    /// Windows they were taken on.
    pub windows: u64,
}

/// How to run an experiment.
pub struct Plan<'a> {
    /// Where networks are kept.
    pub runs: &'a Path,
    /// How often everything is trained anew.
    pub seeds: u64,
    /// Seeds trained at once.
    pub threads: usize,
    /// Factor on the steps of every training; 1 is what the results are from.
    pub effort: f64,
    /// Set from outside to stop.
    pub stop: &'a AtomicBool,
    /// Where to train.
    pub device: Device,
    /// Whether that is the CPU, where hand-written passes compute.
    pub cpu: bool,
}

impl Plan<'_> {
    /// Runs `experiment` for every seed and returns what it found, in order of seeds, and what was trained for it.
    ///
    /// # Errors
    /// The first error of any seed.
    pub fn run<T: Send>(
        &self,
        name: &str,
        experiment: impl Fn(&Lab<'_>) -> Result<T, ReproduceError> + Sync,
    ) -> Result<(Vec<T>, Cost), ReproduceError> {
        let next = AtomicU64::new(0);
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.seeds {
                            return;
                        }
                        let dir = self.runs.join(name).join(format!("seed-{seed}"));
                        let (device, cpu) = (self.device.clone(), self.cpu);
                        let cost = Mutex::default();
                        let lab = Lab { dir, seed, effort: self.effort, stop: self.stop, device, cpu, cost };
                        let result = experiment(&lab).map(|found| (found, lab.cost()));
                        found.lock().unwrap_or_else(|e| e.into_inner()).push((seed, result));
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap_or_else(|e| e.into_inner());
        found.sort_by_key(|pair| pair.0);
        let found = found.into_iter().map(|pair| pair.1).collect::<Result<Vec<(T, Cost)>, _>>()?;
        let mut all = Cost::default();
        found
            .iter()
            .for_each(|(_, cost)| (all.steps, all.windows) = (all.steps + cost.steps, all.windows + cost.windows));
        Ok((found.into_iter().map(|pair| pair.0).collect(), all))
    }
}

/// One seed of an experiment.
pub struct Lab<'a> {
    dir: PathBuf,
    /// Which one.
    pub seed: u64,
    effort: f64,
    stop: &'a AtomicBool,
    /// Where to train; roll-outs that are only judged are the CPU's.
    pub device: Device,
    cpu: bool,
    cost: Mutex<Cost>,
}

impl Lab<'_> {
    /// What was trained so far.
    fn cost(&self) -> Cost {
        *self.cost.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Settings shared by all toys: one thread, real data, no routing.
    pub fn world<'b>(&self, config: &'b ModelConfig, data: &'b Latents, frames: usize, rate: f32) -> World<'b> {
        let rule = Rule { rate, ema: 0.995, decay: 0.0, ..Rule::default() };
        World {
            config,
            data,
            held: None,
            batch: 16,
            frames,
            route: Route::Fixed(0),
            copies: 1,
            drop_prev: 0.0,
            pure: 0.0,
            returns: None,
            rule,
            cpu: self.cpu,
            precision: Precision::F32,
        }
    }

    /// Weights to start from.
    pub fn fresh(&self, config: &ModelConfig) -> Weights {
        Weights::init(&dit::specs(&config.dit), 100 + self.seed)
    }

    /// Trains `stage` from `start` for `steps` steps (times the effort) as `name` in the seed's run folder, or goes on there; returns the
    /// averaged weights.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn train(&self, name: &str, stage: &dyn Stage, start: Weights, steps: u64) -> Result<Weights, ReproduceError> {
        std::fs::create_dir_all(&self.dir).map_err(|source| StateError::Io { path: self.dir.clone(), source })?;
        let label = name.replace([',', ':', '=', '.'], "").split_whitespace().collect::<Vec<_>>().join("-");
        let steps = ((steps as f64 * self.effort) as u64).max(2);
        let run = Run {
            dir: &self.dir,
            name: &label,
            budget: Span::Steps(steps),
            threads: 1,
            accumulate: 1,
            device: &self.device,
            stop: self.stop,
            save_every: Span::Minutes(0.5),
            inspect_every: Span::Minutes(f64::INFINITY),
            seed: 1000 * self.seed + 7,
        };
        let path = run.checkpoint();
        let mut state = if path.exists() { State::load(start, &path)? } else { State::new(start) };
        if !run.train(stage, &mut state)? {
            return Err(ReproduceError::Stopped);
        }
        // Counted from the budget, so that a run that went on costs what one does that was not stopped.
        let mut cost = self.cost.lock().unwrap_or_else(|e| e.into_inner());
        (cost.steps, cost.windows) = (cost.steps + steps, cost.windows + steps * stage.batch() as u64);
        Ok(state.averaged())
    }
}
