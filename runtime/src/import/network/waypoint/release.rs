//! What `config.yaml` beside a Waypoint checkpoint says, and what the published ones do.

use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

use crate::import::ImportError;

/// Largest file that is read as a configuration.
const MOST: u64 = 1 << 20;

/// What no shape tells. Keys that shapes tell, or that change nothing, are looked for and not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Whether there is such a file.
    pub found: bool,
    pub heads: Option<usize>,
    pub kv_heads: Option<usize>,
    /// Rows and columns of tokens.
    pub grid: (usize, usize),
    /// Latent frames that a local layer sees, its own included.
    pub local_window: usize,
    /// Latent frames that a global layer's past reaches over, of which it keeps one of `dilation`.
    pub global_window: usize,
    pub dilation: usize,
    /// A layer i is global where i - offset is a multiple of the period.
    pub period: usize,
    pub offset: i64,
    pub theta: f32,
    pub nyquist: f32,
    /// Falling noise levels; the last is 0.
    pub sigmas: Vec<f32>,
    /// Picture frames a second.
    pub fps: f32,
    /// Keys that are not known.
    pub unknown: Vec<String>,
}

/// The 720p network's.
impl Default for Release {
    fn default() -> Self {
        Self {
            found: false,
            heads: None,
            kv_heads: None,
            grid: (16, 32),
            local_window: 16,
            global_window: 128,
            dilation: 8,
            period: 4,
            offset: -1,
            theta: 10_000.0,
            nyquist: 0.8,
            sigmas: vec![1.0, 0.9, 0.75, 0.3, 0.0],
            fps: 60.0,
            unknown: Vec::new(),
        }
    }
}

impl Release {
    /// Reads the file beside a checkpoint, or in its folder, where there is one.
    ///
    /// # Errors
    /// It is no map, a key holds something else than it should, or asks for what is not run.
    pub fn beside(checkpoint: Option<&Path>) -> Result<Self, ImportError> {
        let Some(path) = checkpoint.and_then(Path::parent).map(|folder| folder.join("config.yaml")) else {
            return Ok(Self::default());
        };
        match std::fs::metadata(&path) {
            Ok(about) if about.is_file() && about.len() <= MOST => {}
            _ => return Ok(Self::default()),
        }
        let text = std::fs::read_to_string(&path).map_err(ImportError::io("read", &path))?;
        Self::of(&text).map_err(|what| ImportError::Waypoint(format!("{}: {what}", path.display())))
    }

    fn of(text: &str) -> Result<Self, String> {
        /// Shapes tell them, or nothing here depends on them.
        const KNOWN: [&str; 12] = [
            "model_type",
            "d_model",
            "n_layers",
            "d_head",
            "mlp_ratio",
            "channels",
            "patch",
            "n_buttons",
            "ctrl_conditioning_period",
            "tokens_per_frame",
            "n_frames",
            "auto_aspect_ratio",
        ];
        let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
        let Some(Yaml::Hash(all)) = documents.first() else { return Err("it is not a map of keys".into()) };
        let mut release = Self { found: true, ..Self::default() };
        let (mut base, mut frames) = (15, 4);
        for (key, value) in all {
            let Some(key) = key.as_str() else { return Err(format!("{key:?} is no key")) };
            let count = || count(key, value);
            let number = || number(key, value);
            // What else they could be would compute something else.
            // What it could say besides would compute something else.
            let run = |as_released: bool| {
                if as_released { Ok(()) } else { Err(format!("{key} is {}, which is not run", shown(value))) }
            };
            match key {
                "n_heads" => release.heads = Some(count()?),
                "n_kv_heads" => release.kv_heads = Some(count()?),
                "height" => release.grid.0 = count()?,
                "width" => release.grid.1 = count()?,
                "local_window" => release.local_window = count()?,
                "global_window" => release.global_window = count()?,
                "global_pinned_dilation" => release.dilation = count()?,
                "global_attn_period" => release.period = count()?,
                "global_attn_offset" => {
                    release.offset = value.as_i64().ok_or_else(|| format!("{key} is {}", shown(value)))?;
                }
                "rope_theta" => release.theta = number()?,
                "rope_nyquist_frac" => release.nyquist = number()?,
                "inference_fps" => release.fps = number()?,
                "base_fps" => base = count()?,
                "temporal_compression" => frames = count()?,
                "scheduler_sigmas" => {
                    let list = value.as_vec().ok_or_else(|| format!("{key} is {}", shown(value)))?;
                    release.sigmas = list.iter().map(|value| self::number(key, value)).collect::<Result<_, _>>()?;
                }
                "value_residual" | "taehv_ae" => run(value.as_bool() == Some(true))?,
                "gated_attn" | "moe" => run(value.as_bool() == Some(false))?,
                "noise_conditioning" => run(value.as_str() == Some("wan"))?,
                "rope_impl" => run(value.as_str() == Some("ortho"))?,
                "prompt_conditioning" => run(value.is_null())?,
                known if KNOWN.contains(&known) => {}
                _ => release.unknown.push(key.to_owned()),
            }
        }
        release.check(base, frames)?;
        Ok(release)
    }

    fn check(&self, base: usize, frames: usize) -> Result<(), String> {
        let falls = self.sigmas.windows(2).all(|pair| pair[1] < pair[0]);
        let ends = (self.sigmas.first(), self.sigmas.last());
        if self.sigmas.len() < 2 || !falls || !matches!(ends, (Some(&first), Some(&0.0)) if first <= 1.0) {
            return Err(format!(
                "scheduler_sigmas are {:?}, expected levels that fall from at most 1 to 0",
                self.sigmas
            ));
        }
        if self.dilation == 0 || self.period == 0 || !self.global_window.is_multiple_of(self.dilation.max(1)) {
            let (window, dilation) = (self.global_window, self.dilation);
            return Err(format!("global layers keep one frame of {dilation} in a window of {window}"));
        }
        // Latent frames are numbered one by one where the rate is that of the training.
        let latents = self.fps / frames as f32;
        if !(latents > 0.0 && (base as f32 / latents).floor() == 1.0) {
            return Err(format!("{} pictures a second of {frames} a latent, trained at {base} latents", self.fps));
        }
        Ok(())
    }

    /// The global ones of so many layers.
    pub fn global(&self, layers: usize) -> Vec<usize> {
        (0..layers).filter(|&n| (n as i64 - self.offset).rem_euclid(self.period as i64) == 0).collect()
    }
}

fn count(key: &str, value: &Yaml) -> Result<usize, String> {
    let count = value.as_i64().and_then(|value| usize::try_from(value).ok());
    count.ok_or_else(|| format!("{key} is {}, expected a whole number", shown(value)))
}

fn number(key: &str, value: &Yaml) -> Result<f32, String> {
    let number = value.as_f64().or_else(|| value.as_i64().map(|value| value as f64)).map(|value| value as f32);
    let finite = number.filter(|number| number.is_finite());
    finite.ok_or_else(|| format!("{key} is {}, expected a number", shown(value)))
}

/// A value in a sentence.
fn shown(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Boolean(flag) => flag.to_string(),
        Yaml::Null => "null".into(),
        _ => "a list or a map".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = "model_type: waypoint-1.5\nd_model: 2048\nn_layers: 24\nn_heads: 32\nn_kv_heads: 16\nheight: 8\nwidth: 16\n\
        local_window: 16\nglobal_window: 128\nglobal_pinned_dilation: 8\nglobal_attn_period: 4\nglobal_attn_offset: -1\n\
        value_residual: true\ngated_attn: false\nmoe: false\nnoise_conditioning: wan\nprompt_conditioning: null\n\
        rope_impl: ortho\nrope_theta: 10000.0\nrope_nyquist_frac: 0.8\nscheduler_sigmas:\n- 1.0\n- 0.9\n- 0.75\n- 0.3\n- 0.0\n\
        base_fps: 15\ninference_fps: 60\ntemporal_compression: 4\ntaehv_ae: true\nauto_aspect_ratio: true\n";

    #[test]
    fn published_values_are_read_and_are_the_usual_ones() {
        let release = Release::of(PUBLISHED).unwrap();
        let usual = Release::default();
        let told = Release { found: true, heads: Some(32), kv_heads: Some(16), grid: (8, 16), ..usual };
        assert_eq!(release, told);
        assert_eq!(release.global(24), [3, 7, 11, 15, 19, 23]);
    }

    #[test]
    fn what_is_not_run_or_not_known_is_named() {
        for (from, to, what) in [
            ("moe: false", "moe: true", "moe is true, which is not run"),
            ("prompt_conditioning: null", "prompt_conditioning: cross", "prompt_conditioning is cross"),
            ("rope_impl: ortho", "rope_impl: axial", "rope_impl is axial, which is not run"),
            ("n_heads: 32", "n_heads: many", "n_heads is many, expected a whole number"),
            ("- 0.0\n", "- 0.1\n", "expected levels that fall from at most 1 to 0"),
            ("inference_fps: 60", "inference_fps: 20", "trained at 15 latents"),
        ] {
            let error = Release::of(&PUBLISHED.replace(from, to)).unwrap_err();
            assert!(error.contains(what), "{to}: {error}");
        }
        let release = Release::of(&format!("{PUBLISHED}fancy: [1]\n")).unwrap();
        assert_eq!(release.unknown, ["fancy"]);
        assert!(Release::of("- 1\n").is_err() && Release::of("{").is_err());
    }
}
