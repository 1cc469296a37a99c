//! What a stage can do, with the options that only it has; their names, types and defaults are here and nowhere else.

use serde::{Deserialize, Serialize};

use super::check::{Check, RecipeError};
use crate::method::delta_forcing::{Options, Radius, Weighting};
use crate::method::resampling_forcing::Resampling;
use crate::method::self_forcing::Objective;
use crate::method::teacher_forcing::World;
use crate::net::mask::Mask;
use crate::train::optim::Rule;

/// A way to train, one stage of a run. As TOML it is `method = "NAME"` and the options beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase", deny_unknown_fields)]
pub enum Method {
    /// The autoencoder.
    Codec {},
    /// Teacher forcing.
    Teacher {},
    /// Diffusion forcing.
    Diffusion {},
    /// A flow of whole windows, whose frames see each other: a score of the data, not a world to play.
    Bidirectional {},
    /// Resampling Forcing.
    Resampling(Resampling),
    /// Consistency distillation; on real history, as published, where `clean` is 1.
    Consistency(Resampling),
    /// Regression onto a teacher's trajectories.
    Ode {
        /// What the student sees of frames before.
        #[serde(default)]
        history: History,
        /// Trajectories that are stored.
        #[serde(default = "trajectories")]
        trajectories: usize,
    },
    /// Self Forcing.
    #[serde(rename = "self")]
    SelfForcing {
        /// What the scores are used for.
        #[serde(default)]
        objective: Objective,
        /// Denoising steps of a frame.
        #[serde(default = "steps")]
        steps: usize,
    },
    /// Tuning on streams whose event changes.
    Streaming {
        /// Denoising steps of a frame.
        #[serde(default = "steps")]
        steps: usize,
        /// Frames before the change that the student remembers.
        #[serde(default = "context")]
        context: usize,
        /// The last of them that the scores see too.
        #[serde(default = "context")]
        overlap: usize,
        /// Most changes that a stream has gone through before.
        #[serde(default)]
        changes: usize,
    },
    /// The same with Delta Forcing.
    Delta {
        /// Denoising steps of a frame.
        #[serde(default = "steps")]
        steps: usize,
        /// Frames before the change that the student remembers.
        #[serde(default = "context")]
        context: usize,
        /// The last of them that the scores see too.
        #[serde(default = "context")]
        overlap: usize,
        /// Most changes that a stream has gone through before.
        #[serde(default)]
        changes: usize,
        /// How supervision is weighed.
        #[serde(default)]
        weighting: Weighting,
        /// How trust falls beyond the radius.
        #[serde(default)]
        fall: f32,
        /// Share of deltas without an event within the radius.
        #[serde(default = "quantile")]
        quantile: f32,
        /// Noise levels between which deltas are measured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        levels: Option<[f32; 2]>,
        /// Whether the radius follows the student.
        #[serde(default)]
        radius: Radius,
        /// Size of the pull of continuity.
        #[serde(default = "continuity")]
        continuity: f32,
        /// Whether continuity pulls towards the teacher after an event.
        #[serde(default)]
        approach: bool,
    },
    /// Distribution matching with causal scores and a discriminator: what made the demo world.
    Dmd {},
    /// The decoder once more, latents unchanged.
    Polish {},
}

/// History of a student of trajectories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// Clean frames: those that the teacher saw or, where it saw none, those it made.
    #[default]
    Clean,
    /// The states of the trajectory itself, as noisy as the frame in question.
    Noisy,
}

fn trajectories() -> usize {
    256
}

fn steps() -> usize {
    4
}

fn context() -> usize {
    6
}

fn continuity() -> f32 {
    Options::default().continuity
}

fn quantile() -> f32 {
    Options::default().quantile
}

/// Which stages may teach, and how a complaint calls them.
pub(super) type Teachers = (fn(Method) -> bool, &'static str);

impl Method {
    /// Whether it trains the autoencoder, not the denoiser.
    pub fn is_codec(self) -> bool {
        matches!(self, Self::Codec {} | Self::Polish {})
    }

    /// Whether the denoiser makes one frame after the other, and so can be played.
    pub fn is_causal(self) -> bool {
        !self.is_codec() && !self.is_bidirectional()
    }

    /// Whether the causal denoiser comes out as a flow for many small steps, from which others can be distilled.
    pub fn is_flow(self) -> bool {
        matches!(self, Self::Teacher {} | Self::Diffusion {} | Self::Resampling(_))
    }

    /// Whether it trains a student and its critic by turns, judged by a teacher, as published a bidirectional one.
    pub fn is_pair(self) -> bool {
        matches!(self, Self::SelfForcing { .. } | Self::Streaming { .. } | Self::Delta { .. })
    }

    /// Whether what it trains on are changes of event.
    pub fn wants_events(self) -> bool {
        matches!(self, Self::Streaming { .. } | Self::Delta { .. })
    }

    /// Whether one clean window can stand before several noisy ones.
    pub(super) fn copies_windows(self) -> bool {
        matches!(self, Self::Teacher {} | Self::Resampling(_))
    }

    /// Whether its samples are windows of the data, so that the frame before may be kept from them.
    pub(super) fn sees_windows(self) -> bool {
        self.is_flow() || self.is_bidirectional() || matches!(self, Self::Consistency(_))
    }

    fn is_bidirectional(self) -> bool {
        matches!(self, Self::Bidirectional {})
    }

    /// Whether the denoiser may start from random weights.
    pub(super) fn begins(self) -> bool {
        self.is_flow() || self.is_bidirectional()
    }

    /// What it can be distilled from, if anything.
    pub(super) fn teachers(self) -> Option<Teachers> {
        match self {
            Self::Dmd {} => Some((Self::is_flow, "a stage that learns a causal flow")),
            _ if self.is_pair() || matches!(self, Self::Ode { .. } | Self::Consistency(_)) => {
                Some((|m| m.is_flow() || m.is_bidirectional(), "a stage that learns a flow"))
            }
            _ => None,
        }
    }

    /// Optimizer settings that suit the small world.
    pub(super) fn rule(self) -> Rule {
        let all = Rule::default();
        match self {
            Self::Codec {} => Rule { rate: 2e-3, ..all },
            // The frozen encoder must not decay either.
            Self::Polish {} => Rule { rate: 1e-3, decay: 0.0, ..all },
            Self::Teacher {} | Self::Diffusion {} | Self::Bidirectional {} => Rule { rate: 1.5e-3, ..all },
            Self::Resampling(_) => Rule { rate: 1.05e-3, ..all },
            Self::Consistency(_) => Rule { rate: 3.75e-4, beta1: 0.5, ema: 0.98, ..all },
            Self::Ode { .. } => Rule { rate: 7.5e-4, ..all },
            Self::Dmd {} => Rule { rate: 3e-4, beta1: 0.0, ema: 0.99, decay: 0.0, ..all },
            Self::SelfForcing { .. } | Self::Streaming { .. } | Self::Delta { .. } => {
                Rule { rate: 2e-4, beta1: 0.0, ema: 0.99, decay: 0.0, ..all }
            }
        }
    }

    /// Checks the options of a stage of so large batches of so many frames, for a model that is played in one of `lists` steps.
    pub(super) fn check(
        self,
        [batch, frames]: [usize; 2],
        lists: &[usize],
        check: &Check<'_>,
    ) -> Result<(), RecipeError> {
        let steps = |steps: usize| {
            check.that("steps", lists.contains(&steps), &format!("one of the model's `steps`, {lists:?}"), steps)
        };
        let before = |context: usize, overlap: usize| {
            let fits = (1..frames).contains(&context);
            check.that("context", fits, "at least 1 and less than `frames`", context)?;
            check.that("overlap", (1..=context).contains(&overlap), "at least 1 and at most `context`", overlap)
        };
        match self {
            Self::Resampling(r) | Self::Consistency(r) => {
                check.that("shift", r.shift > 0.0 && r.shift.is_finite(), "a positive number", r.shift)?;
                check.that("own", (0.0..=1.0).contains(&r.own), "a share from 0 to 1", r.own)?;
                check.that("own_steps", r.own_steps >= 1, "at least 1", r.own_steps)?;
                check.that("clean", (0.0..=1.0).contains(&r.clean), "a share from 0 to 1", r.clean)
            }
            Self::Ode { trajectories, .. } => {
                check.that("trajectories", trajectories >= batch, "at least as many as `batch`", trajectories)
            }
            Self::SelfForcing { steps: n, .. } => steps(n),
            Self::Streaming { steps: n, context, overlap, .. } => steps(n).and(before(context, overlap)),
            Self::Delta { steps: n, context, overlap, fall, quantile, levels, continuity, .. } => {
                steps(n).and(before(context, overlap))?;
                for (field, value) in [("fall", fall), ("continuity", continuity)] {
                    check.that(field, value >= 0.0 && value.is_finite(), "a number from 0 up", value)?;
                }
                check.that("quantile", (0.0..1.0).contains(&quantile), "a share from 0 up and below 1", quantile)?;
                let [low, high] = levels.unwrap_or([0.5; 2]);
                let fits = 0.0 < low && low <= high && high < 1.0;
                check.that("levels", fits, "[low, high] between 0 and 1", format!("[{low}, {high}]"))
            }
            _ => Ok(()),
        }
    }
}

impl Method {
    /// Trust region and continuity, of a method that has them.
    pub fn guard(self) -> Option<Options> {
        match self {
            Self::Delta { weighting, fall, quantile, levels, radius, continuity, approach, .. } => {
                Some(Options { weighting, fall, quantile, levels, radius, continuity, approach })
            }
            _ => None,
        }
    }
}

impl History {
    /// The mask of a student in `world`.
    pub fn mask(self, world: &World<'_>) -> Mask {
        match self {
            Self::Clean => world.mask(),
            Self::Noisy => Mask::Causal(world.ring()),
        }
    }
}
