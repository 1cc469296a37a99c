//! A run folder: the model it trains, and the weights of each stage so far.

use std::path::{Path, PathBuf};

use causeway_runtime::config::{ConfigError, ModelConfig};
use causeway_runtime::file::regular;

use crate::method::distribution_matching::DistributionMatching;
use crate::method::score::Pair;
use crate::net::weights::Weights;
use crate::net::{codec, dit};
use crate::run::recipe::{Method, Recipe, RecipeError, Stage};
use crate::train::landed::Landed;
use crate::train::state::{State, StateError, write_whole};
use crate::train::trainer::checkpoint;

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder's recipe cannot be read.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A file of the folder cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The recipe's sizes make no model.
    #[error("the recipe's model: {0}")]
    Model(#[from] ConfigError),
    /// A stage needs one before it.
    #[error("{dir} has no checkpoint of stage {stage}; train it first")]
    Missing {
        /// The run folder.
        dir: PathBuf,
        /// The stage that is missing.
        stage: String,
    },
    /// A stage whose network cannot make frames one by one.
    #[error("stage {stage} makes whole windows; expected one that can be played")]
    Unplayable {
        /// The stage.
        stage: String,
    },
    /// A file of the folder is missing, damaged, or of another run.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// An opened run folder.
pub struct Folder {
    /// What is trained in it.
    pub recipe: Recipe,
    /// The model as known so far.
    pub config: ModelConfig,
    /// The landed run that it goes on with, where it has no checkpoint of its own.
    landed: Option<Landed>,
}

impl Folder {
    /// Opens the finished or unfinished run in `dir`.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(dir: &Path) -> Result<Self, FolderError> {
        let recipe = Self::recipe(dir)?;
        let Some(config) = read_config(dir)? else {
            return Err(content(dir.join("config.json"), "missing"));
        };
        let landed = landed(&recipe, &config)?;
        Ok(Self { recipe, config, landed })
    }

    /// The recipe of the run in `dir`, wherever the folder has been moved to.
    ///
    /// # Errors
    /// [`FolderError::Recipe`].
    pub fn recipe(dir: &Path) -> Result<Recipe, FolderError> {
        Ok(Recipe { out: dir.into(), ..Recipe::read(&dir.join("recipe.toml"))? })
    }

    /// Makes the folder of `recipe`, which trains `model`, or goes on with the one that is there; writes the recipe into it.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn create(recipe: &Recipe, model: ModelConfig) -> Result<Self, FolderError> {
        let mut config = model;
        if let Some(found) = read_config(&recipe.out)? {
            // Measured when the codec is ready; a fresh configuration cannot have them.
            (config.dit.latent_mean, config.dit.latent_std) =
                (found.dit.latent_mean.clone(), found.dit.latent_std.clone());
            if config != found {
                return Err(content(recipe.out.join("config.json"), "another model; train this one in another folder"));
            }
        }
        // What it went on from holds the codec and more that the folder lacks: without it another codec would be fitted under trained weights.
        let began = Self::recipe(&recipe.out).ok().and_then(|before| before.from);
        let recipe = &Recipe { from: recipe.from.clone().or(began), ..recipe.clone() };
        let path = recipe.out.join("recipe.toml");
        let text = recipe.write().map_err(|reason| content(path.clone(), &reason))?;
        write_whole(&path, text.as_bytes())?;
        let landed = landed(recipe, &config)?;
        let folder = Self { recipe: recipe.clone(), config, landed };
        folder.write_config()?;
        Ok(folder)
    }

    /// Notes the model as known so far.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn write_config(&self) -> Result<(), FolderError> {
        let path = self.dir().join("config.json");
        let text = serde_json::to_string_pretty(&serde_json::json!({ "model": self.config }))
            .map_err(|e| content(path.clone(), &e.to_string()))?;
        Ok(write_whole(&path, text.as_bytes())?)
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.recipe.out
    }

    /// The autoencoder before training.
    pub fn fresh_codec(&self) -> Weights {
        Weights::init(&codec::specs(&self.config.codec), self.recipe.seed)
    }

    /// The moments of latents that what landed was trained with, whatever footage it goes on with; `None` where nothing landed.
    pub fn landed_moments(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        let dit = &self.landed.as_ref()?.model().dit;
        (!dit.latent_std.is_empty()).then(|| (dit.latent_mean.clone(), dit.latent_std.clone()))
    }

    /// The denoiser before training.
    pub fn fresh_denoiser(&self) -> Weights {
        Weights::init(&dit::specs(&self.config.dit), self.recipe.seed + 1)
    }

    /// All networks that `stage` trains, as it begins; `from` is a finished run whose denoiser it may start from.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn begin(&self, stage: &Stage, from: Option<&Self>) -> Result<Weights, FolderError> {
        let start = match (&stage.start, from) {
            (Some(name), _) => self.named(name)?,
            (None, Some(from)) => from.newest()?.1,
            (None, None) => self.fresh_denoiser(),
        };
        if stage.method == (Method::Dmd {}) {
            return Ok(DistributionMatching::networks(&self.config.dit, &start, &self.teacher(stage)?));
        }
        if !stage.method.is_pair() {
            return Ok(start);
        }
        // A critic of the same teacher knows the student already.
        let before = stage.start.as_deref().and_then(|name| self.recipe.stage(name));
        let before = before.filter(|s| s.method.is_pair() && s.teacher == stage.teacher);
        match before.map(|s| self.state(s)).transpose()?.flatten() {
            Some(state) => Ok(state.averaged()),
            None => Ok(Pair::join(&start, &self.teacher(stage)?)),
        }
    }

    /// Networks with the tensors of those of `stage`, each like `one`.
    fn networks(&self, stage: &Stage, one: Weights) -> Weights {
        match stage.method {
            Method::Dmd {} => DistributionMatching::networks(&self.config.dit, &one, &one),
            method if method.is_pair() => Pair::join(&one, &one),
            _ => one,
        }
    }

    /// The checkpoint of `stage`, here or landed, whichever is further; `None` before its first.
    ///
    /// # Errors
    /// [`StateError`] when it is damaged or of another network.
    pub fn state(&self, stage: &Stage) -> Result<Option<State>, StateError> {
        let path = checkpoint(self.dir(), &stage.name);
        let start = || if stage.method.is_codec() { self.fresh_codec() } else { self.fresh_denoiser() };
        let own = path.exists().then(|| State::load(self.networks(stage, start()), &path)).transpose()?;
        let landed = self.landed.as_ref().filter(|landed| landed.step(&stage.name) > own.as_ref().map(|own| own.step));
        let Some(landed) = landed else { return Ok(own) };
        let path = self.recipe.from.clone().unwrap_or_default();
        landed.state(&stage.name, self.networks(stage, start()), &path)
    }

    /// Whether there is anything of `stage`.
    pub fn knows(&self, stage: &Stage) -> bool {
        let landed = self.landed.as_ref().is_some_and(|landed| landed.step(&stage.name).is_some());
        landed || checkpoint(self.dir(), &stage.name).exists()
    }

    /// Whether `stage` was over when the run landed that this one goes on with, and nothing needs it any more.
    pub fn passed(&self, stage: &Stage) -> bool {
        self.landed.as_ref().is_some_and(|landed| landed.passed(&stage.name))
    }

    /// The averaged weights of the autoencoder, with the polished decoder if there is one.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn codec(&self) -> Result<Weights, FolderError> {
        for stage in self.recipe.stages.iter().rev().filter(|s| s.method.is_codec()) {
            if let Some(state) = self.state(stage)? {
                return Ok(state.averaged());
            }
        }
        Err(self.missing("codec"))
    }

    /// The averaged weights of the denoiser of `stage`, `None` before its first checkpoint.
    fn denoiser(&self, stage: &Stage) -> Result<Option<Weights>, FolderError> {
        let fresh = self.fresh_denoiser();
        Ok(self.state(stage)?.map(|State { mut ema, .. }| {
            // Of several networks the denoiser is the first.
            ema.truncate(fresh.data.len());
            fresh.with(ema)
        }))
    }

    /// The newest denoiser there is that can be played.
    ///
    /// # Errors
    /// [`FolderError::Missing`] when none was trained.
    pub fn newest(&self) -> Result<(&Stage, Weights), FolderError> {
        let stages = || self.recipe.stages.iter().filter(|s| s.method.is_causal());
        for stage in stages().rev() {
            if let Some(weights) = self.denoiser(stage)? {
                return Ok((stage, weights));
            }
        }
        Err(self.missing(stages().next().map_or("teacher", |stage| &stage.name)))
    }

    /// The denoiser to play: that of the stage called `name`, or the newest.
    ///
    /// # Errors
    /// [`FolderError::Missing`] when it was not trained, [`FolderError::Unplayable`].
    pub fn playable(&self, name: Option<&str>) -> Result<(&Stage, Weights), FolderError> {
        let Some(name) = name else { return self.newest() };
        let stage = self.recipe.stage(name).filter(|s| !s.method.is_codec()).ok_or_else(|| self.missing(name))?;
        if !stage.method.is_causal() {
            return Err(FolderError::Unplayable { stage: name.into() });
        }
        Ok((stage, self.named(name)?))
    }

    /// The denoiser of the stage called `name`.
    ///
    /// # Errors
    /// [`FolderError::Missing`] when it was not trained.
    pub fn named(&self, name: &str) -> Result<Weights, FolderError> {
        let stage = self.recipe.stage(name).filter(|s| !s.method.is_codec());
        let found = stage.map(|stage| self.denoiser(stage)).transpose()?.flatten();
        found.ok_or_else(|| self.missing(name))
    }

    /// What `stage` is distilled from.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub fn teacher(&self, stage: &Stage) -> Result<Weights, FolderError> {
        self.named(stage.teacher.as_deref().unwrap_or("teacher"))
    }

    pub(crate) fn missing(&self, stage: &str) -> FolderError {
        FolderError::Missing { dir: self.dir().into(), stage: stage.into() }
    }
}

/// The landed run that `recipe`, whose model is `model`, goes on with.
fn landed(recipe: &Recipe, model: &ModelConfig) -> Result<Option<Landed>, FolderError> {
    let Some(path) = recipe.landed() else { return Ok(None) };
    let landed = Landed::open(path)?;
    let mut found = landed.model().clone();
    (found.dit.latent_mean, found.dit.latent_std) = (model.dit.latent_mean.clone(), model.dit.latent_std.clone());
    match found == *model {
        true => Ok(Some(landed)),
        false => Err(content(path.into(), "a landed run of another model than the recipe's")),
    }
}

fn content(path: PathBuf, reason: &str) -> FolderError {
    FolderError::Content { path, reason: reason.into() }
}

fn read_config(dir: &Path) -> Result<Option<ModelConfig>, FolderError> {
    let path = dir.join("config.json");
    if !path.exists() {
        return Ok(None);
    }
    let parse = || -> Result<ModelConfig, String> {
        let text = regular::read_to_string(&path).map_err(|e| e.to_string())?;
        let mut json: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        serde_json::from_value(json["model"].take()).map_err(|e| e.to_string())
    };
    parse().map(Some).map_err(|reason| content(path.clone(), &reason))
}
