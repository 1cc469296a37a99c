//! What a model's actions are played with, for programs that know nothing else of it.

use alloc::{borrow::ToOwned, format, string::String};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    check::{check, number, text, within},
};

/// What a key or the mouse does to one action. A game maps its own input and needs none of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlConfig {
    /// A letter, a digit, `space`, `up`, `down`, `left`, `right`, `shift`, `ctrl`, `tab`, `mouse-left`, `mouse-middle`, `mouse-right`; `mouse-x` and
    /// `mouse-y` for the mouse's way to the right and down; `rest` for what holds while nothing is pressed. A program leaves out what it does not have.
    pub key: String,
    /// Name of the action.
    pub action: String,
    /// What the action is while the key is down, or for each pixel of the mouse's way in one picture frame.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub value: f32,
}

fn one() -> f32 {
    1.0
}

fn is_one(value: &f32) -> bool {
    *value == 1.0
}

impl ControlConfig {
    /// The key `key` makes `action` be `value`.
    pub fn new(key: &str, action: &str, value: f32) -> Self {
        Self { key: key.to_owned(), action: action.to_owned(), value }
    }

    /// All of a model with these actions.
    pub(super) fn validate(all: &[Self], actions: &[String]) -> Result<(), ConfigError> {
        within("the number of controls", all.len(), 0, 1024)?;
        for (i, Self { key, action, value }) in all.iter().enumerate() {
            text(&format!("controls[{i}].key"), key)?;
            let known = actions.contains(action);
            check(&format!("controls[{i}].action"), action, known, || "one of dit.actions".to_owned())?;
            number(&format!("controls[{i}].value"), *value, value.abs() <= 1e3, "from -1000 to 1000")?;
        }
        Ok(())
    }

    /// What a list of names means: `key action value, ...`.
    #[cfg(feature = "std")]
    pub(crate) fn list(rows: &[(&str, &str, f32)]) -> alloc::vec::Vec<Self> {
        rows.iter().map(|&(key, action, value)| Self::new(key, action, value)).collect()
    }
}
