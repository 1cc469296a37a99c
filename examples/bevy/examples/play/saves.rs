//! Saved games in files.

use std::{fs, path::Path};

use bevy::prelude::*;
use causeway_bevy::{NeuralWorld, runtime::session::Saved};

/// Saves a game; one that was saved before is not lost if this does not come to its end.
pub fn save(world: &mut NeuralWorld, path: &Path) -> Result {
    let saved = world.save()?.ok_or("there is no world yet")?;
    let fresh = path.with_extension("new");
    fs::write(&fresh, saved.as_bytes())?;
    fs::rename(fresh, path)?;
    Ok(())
}

/// Goes on from a saved game.
pub fn load(world: &mut NeuralWorld, path: &Path) -> Result {
    world.load(Saved::from_bytes(fs::read(path)?))?;
    Ok(())
}
