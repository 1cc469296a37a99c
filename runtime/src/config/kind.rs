//! What all kinds of files have in common: their JSON, read and written with the same checks.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{ConfigError, FORMAT, MAX_JSON, objects::from_str, printable};

/// What every file says about its weights.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its family, as the JSON names it.
    pub family: &'static str,
    /// Licence of the weights.
    pub license: &'a str,
    /// Whom and what to credit.
    pub credits: &'a str,
    /// How the weights came to be.
    pub provenance: &'a Provenance,
}

/// How the weights came to be. Further keys are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Value>")]
pub struct Provenance {
    /// The command that made the weights.
    pub command: String,
    /// SHA-256 of the training data, hexadecimal.
    pub data_sha256: String,
    /// Optimiser steps.
    pub steps: u64,
    /// Whatever else the trainer noted.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Read as a map: what serde makes of a flattened field is large.
impl TryFrom<BTreeMap<String, Value>> for Provenance {
    type Error = &'static str;

    fn try_from(mut other: BTreeMap<String, Value>) -> Result<Self, Self::Error> {
        let mut text = |key| match other.remove(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err("`command` and `data_sha256` of the provenance are texts"),
        };
        let (command, data_sha256) = (text("command")?, text("data_sha256")?);
        let steps = match other.remove("steps") {
            None => 0,
            Some(steps) => steps.as_u64().ok_or("`steps` of the provenance is a whole number")?,
        };
        Ok(Self { command, data_sha256, steps, other })
    }
}

/// What a file of one kind says about itself. Each kind has families of its own, named in the JSON.
pub trait FileConfig: Serialize + DeserializeOwned {
    /// Families of this kind, as the JSON names them.
    const FAMILIES: &'static [&'static str];

    /// Short name of the model.
    fn name(&self) -> &str;

    /// What is the same for all kinds.
    fn about(&self) -> About<'_>;

    /// The network and its settings, for people: lines of a label and what it stands for.
    fn summary(&self) -> Vec<(&'static str, String)>;

    /// Checks every field, alone and against the others.
    ///
    /// # Errors
    /// The first thing that is wrong, as [`ConfigError::Field`] or [`ConfigError::Version`].
    fn validate(&self) -> Result<(), ConfigError>;
}

/// Reads just the version and the family, so that a file of a later format or of another kind is refused for that and not for
/// its fields.
#[derive(Deserialize)]
struct Kind {
    format: u32,
    family: Option<String>,
}

/// Parses and validates the `causeway` JSON of a file.
///
/// # Errors
/// Any [`ConfigError`].
pub fn from_json<C: FileConfig>(text: &str) -> Result<C, ConfigError> {
    if text.len() > MAX_JSON {
        return Err(ConfigError::TooLong(text.len()));
    }
    let json = |error: serde_json::Error| ConfigError::Json(printable(&error.to_string()));
    let Kind { format, family } = from_str(text).map_err(json)?;
    check_version(format)?;
    if let Some(family) = family.filter(|family| !C::FAMILIES.contains(&family.as_str())) {
        return Err(ConfigError::Family { found: printable(&family), expected: C::FAMILIES.join(" or ") });
    }
    let config: C = from_str(text).map_err(json)?;
    config.validate()?;
    Ok(config)
}

/// The family that the `causeway` JSON of a file names.
///
/// # Errors
/// Any [`ConfigError`] that does not depend on the family.
pub fn family(text: &str) -> Result<String, ConfigError> {
    let json = |error: serde_json::Error| ConfigError::Json(printable(&error.to_string()));
    let Kind { format, family } = from_str(text).map_err(json)?;
    check_version(format)?;
    Ok(family.map_or_else(String::new, |family| printable(&family)))
}

/// The JSON that [`from_json`] reads, on one line.
///
/// # Errors
/// What [`FileConfig::validate`] finds; a file is never written with a configuration that could not be read back.
pub fn to_json<C: FileConfig>(config: &C) -> Result<String, ConfigError> {
    config.validate()?;
    let text = serde_json::to_string(config).map_err(|error| ConfigError::Json(printable(&error.to_string())))?;
    if text.len() > MAX_JSON {
        return Err(ConfigError::TooLong(text.len()));
    }
    Ok(text)
}

pub(crate) fn check_version(found: u32) -> Result<(), ConfigError> {
    if found == FORMAT { Ok(()) } else { Err(ConfigError::Version { found }) }
}
