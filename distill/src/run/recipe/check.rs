//! What is wrong with a recipe, and where.

use std::path::{Path, PathBuf};

/// Why a recipe could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not TOML, or a field that no recipe has, or a value of the wrong type. The reason shows the line.
    #[error("{path}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A value that cannot be trained with.
    #[error("{path}, line {line}: {place}: expected {expected}, found {found}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The line on which the table with the value begins.
        line: usize,
        /// The field.
        place: String,
        /// What would do.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// Says in which table of which file a value is wrong.
pub(super) struct Check<'a> {
    pub path: &'a Path,
    pub line: usize,
    pub place: String,
}

impl Check<'_> {
    pub fn that(&self, field: &str, ok: bool, expected: &str, found: impl ToString) -> Result<(), RecipeError> {
        if ok { Ok(()) } else { Err(self.fail(field, expected, found)) }
    }

    pub fn fault(&self, reason: &str) -> RecipeError {
        let reason = format!("line {}: {}: {reason}", self.line, self.place);
        RecipeError::Syntax { path: self.path.into(), reason }
    }

    pub fn fail(&self, field: &str, expected: &str, found: impl ToString) -> RecipeError {
        let place = format!("{}, `{field}`", self.place);
        let (expected, found) = (expected.into(), found.to_string());
        RecipeError::Value { path: self.path.into(), line: self.line, place, expected, found }
    }
}
