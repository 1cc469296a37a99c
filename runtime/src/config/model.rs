//! Files of families `world` and `wan`: a denoiser and all that a stream of it needs to know.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    About, CodecConfig, ConfigError, ControlConfig, Descriptors, DitConfig, FileConfig, HealthConfig, HistoryConfig,
    LimitsConfig, Prediction, Provenance, ScheduleConfig, StartConfig,
    check::{check, positive, text, within},
    from_json,
    kind::check_version,
    to_json,
};

/// The model families this build can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// A small causal Wan-type DiT with action and event conditions, and a TAEHV codec.
    World,
    /// A causal Wan 2.1 DiT, told texts, or like a world actions and events. `codec` tells the size of its pictures; its weights are not in the file.
    Wan,
    /// Matrix-Game 2.0 and its relatives: a causal image-to-video DiT with action modules. `codec` is as of `Wan`.
    #[cfg(feature = "matrix-game")]
    #[serde(rename = "matrix-game")]
    MatrixGame,
    /// Waypoint 1.5: a causal DiT of another block, told keys, mouse buttons and the mouse's way. `codec` is as of `Wan`.
    #[cfg(feature = "waypoint")]
    Waypoint,
}

impl Family {
    /// The family of a denoiser, by what it is told.
    pub(crate) fn of(dit: &DitConfig) -> Self {
        #[cfg(feature = "waypoint")]
        if dit.waypoint().is_some() {
            return Self::Waypoint;
        }
        match (&dit.text, dit.game()) {
            #[cfg(feature = "matrix-game")]
            (Some(_), Some(_)) => Self::MatrixGame,
            (Some(_), _) => Self::Wan,
            (None, _) => Self::World,
        }
    }
}

/// Everything the `causeway` JSON holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Format version, [`FORMAT`].
    pub format: u32,
    /// Which network the tensors belong to.
    pub family: Family,
    /// Short name of the model.
    pub name: String,
    /// The denoiser.
    pub dit: DitConfig,
    /// The latent codec.
    pub codec: CodecConfig,
    /// Noise levels of a denoising run.
    pub schedule: ScheduleConfig,
    /// What attention remembers.
    pub history: HistoryConfig,
    /// Latents to begin a world from without an image, where the file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartConfig>,
    /// Pixel frames a second the world was trained at.
    pub fps: f32,
    /// Latent frames that an action lasts once it has begun: a session keeps it up so long, whatever is pressed meanwhile, so that
    /// each of them is told the movement under way. With 1 every chunk is told what is pressed.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub latch: usize,
    /// What its actions are played with by programs that know nothing else of it; the usual keys of their names if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<ControlConfig>,
    /// How large the numbers that it is told may be.
    #[serde(default, skip_serializing_if = "LimitsConfig::are_default")]
    pub limits: LimitsConfig,
    /// Where the figures of a sound stream of it lie.
    #[serde(default, skip_serializing_if = "HealthConfig::is_default")]
    pub health: HealthConfig,
    /// Licence of the weights.
    #[serde(default)]
    pub license: String,
    /// Whom and what to credit.
    #[serde(default)]
    pub credits: String,
    /// How the weights came to be.
    #[serde(default)]
    pub provenance: Provenance,
}

/// Names, of which there may be hundreds.
fn listed(names: &[String]) -> String {
    const MOST: usize = 8;
    let shown = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

fn once() -> usize {
    1
}

fn is_once(latch: &usize) -> bool {
    *latch == 1
}

impl FileConfig for ModelConfig {
    const FAMILIES: &'static [&'static str] = &[
        "world",
        "wan",
        #[cfg(feature = "matrix-game")]
        "matrix-game",
        #[cfg(feature = "waypoint")]
        "waypoint",
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> About<'_> {
        About {
            family: match self.family {
                Family::World => "world",
                Family::Wan => "wan",
                #[cfg(feature = "matrix-game")]
                Family::MatrixGame => "matrix-game",
                #[cfg(feature = "waypoint")]
                Family::Waypoint => "waypoint",
            },
            license: &self.license,
            credits: &self.credits,
            provenance: &self.provenance,
        }
    }

    fn summary(&self) -> Vec<(&'static str, String)> {
        let (dit, history) = (&self.dit, &self.history);
        let ((width, height), latent) = (self.picture(), dit.latent);
        let counts: Vec<_> = self.schedule.steps.keys().collect();
        let mut lines = vec![
            ("picture", format!("{width} x {height}, {} frames/s", self.fps)),
            (
                "latent",
                format!(
                    "{} x {} x {}, {} tokens, {} picture frame(s)",
                    latent.channels,
                    latent.height,
                    latent.width,
                    dit.tokens_per_frame(),
                    self.codec.time_factor()
                ),
            ),
            (
                "denoiser",
                format!(
                    "dim {}, heads {}, layers {}, ffn {}, chunk {}",
                    dit.dim, dit.heads, dit.layers, dit.ffn_dim, dit.chunk
                ),
            ),
            ("history", format!("{history}")),
            ("steps", format!("{counts:?}, {} by default", self.schedule.default_steps)),
        ];
        match dit.text {
            Some(text) if dit.game().is_some() => lines.extend([
                ("image", format!("{} rows of {} features", text.length, text.dim)),
                ("actions", dit.actions.join(", ")),
            ]),
            Some(text) => lines.push(("text", format!("at most {} rows of {}", text.length, text.dim))),
            None if dit.waypoint().is_some() => lines.push(("actions", listed(&dit.actions))),
            None => lines.extend([("actions", dit.actions.join(", ")), ("events", dit.events.join(", "))]),
        }
        lines
    }

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }
}

impl ModelConfig {
    /// [`from_json`].
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        from_json(text)
    }

    /// [`to_json`].
    ///
    /// # Errors
    /// What [`Self::validate`] finds.
    pub fn to_json(&self) -> Result<String, ConfigError> {
        to_json(self)
    }

    /// Checks every field, alone and against the others.
    ///
    /// # Errors
    /// The first thing that is wrong, as [`ConfigError::Field`] or [`ConfigError::Version`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_version(self.format)?;
        text("name", &self.name)?;
        self.dit.validate()?;
        let family = self.family;
        let told = Family::of(&self.dit);
        let fits = family == told || (family, told) == (Family::Wan, Family::World);
        check("family", format!("{family:?}"), fits, || {
            "Wan with `dit.text`, Waypoint with `dit.waypoint`, World or Wan without both".to_owned()
        })?;
        self.codec.validate()?;
        let channels = self.dit.latent.channels;
        check("codec.channels", self.codec.channels, self.codec.channels == channels, || {
            format!("dit.latent.channels, {channels}")
        })?;
        let clean = self.dit.prediction == Prediction::Clean;
        check("dit.prediction", "clean", !clean || family == Family::World, || "flow in this family".to_owned())?;
        self.schedule.validate()?;
        ControlConfig::validate(&self.controls, &self.dit.actions)?;
        self.limits.validate()?;
        self.health.validate()?;
        self.history.validate(self.dit.chunk, self.dit.layers)?;
        let plain = self.history.descriptors == Descriptors::Plain;
        check("history.descriptors", "plain", !plain || self.dit.waypoint().is_none(), || {
            "rotated in this family".to_owned()
        })?;
        if let Some(start) = &self.start {
            check("start", "given", family == Family::World, || "none in this family".to_owned())?;
            start.validate(self.dit.events.len())?;
        }
        within("latch", self.latch, 1, 1000)?;
        let chunk = self.dit.chunk;
        check("latch", self.latch, self.latch == 1 || self.latch.is_multiple_of(chunk), || {
            format!("1, or whole chunks of {chunk} latent frames")
        })?;
        positive("fps", self.fps, 1000.0)
    }

    /// Whether the codec's weights are in the file. Those of published networks have files of their own.
    pub fn holds_codec(&self) -> bool {
        self.family == Family::World
    }

    /// Size of a picture in pixels: (width, height).
    pub fn picture(&self) -> (usize, usize) {
        let scale = self.codec.space_factor();
        (self.dit.latent.width * scale, self.dit.latent.height * scale)
    }
}
