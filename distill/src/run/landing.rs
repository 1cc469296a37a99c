//! What of a run lands: the stage in training, and what later stages need of those before it.

use std::path::Path;

use crate::run::folder::{Folder, FolderError};
use crate::run::recipe::Stage;
use crate::train::landed::Landed;

impl Landed {
    /// Writes what the run in `folder` needs to go on to the file `path`; returns its bytes.
    ///
    /// # Errors
    /// [`FolderError`], [`FolderError::Missing`] where nothing was trained yet.
    pub fn write(folder: &Folder, path: &Path) -> Result<u64, FolderError> {
        let stages = &folder.recipe.stages;
        let newest = stages.iter().rposition(|s| !s.method.is_codec() && folder.knows(s));
        let newest = newest.ok_or_else(|| folder.missing("teacher"))?;
        let wanted = |name: &str| {
            let by = |s: &Stage| s.teacher.as_deref() == Some(name);
            stages[newest..].iter().any(by) || stages[newest + 1..].iter().any(|s| s.start.as_deref() == Some(name))
        };
        let (mut come, mut passed, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
        for (i, stage) in stages.iter().enumerate().filter(|(i, s)| *i <= newest || s.method.is_codec()) {
            if i != newest && !stage.method.is_codec() && !wanted(&stage.name) {
                passed.push(stage.name.clone());
                continue;
            }
            let Some(state) = folder.state(stage)? else { continue };
            come.push((stage.name.clone(), state.step, state.seconds));
            arrays.push((format!("{}.ema", stage.name), state.ema));
            if i == newest {
                arrays.push((format!("{}.weights", stage.name), state.weights.data.to_vec()));
            }
        }
        Ok(Self::save(path, folder.config.clone(), come, passed, arrays)?)
    }
}
