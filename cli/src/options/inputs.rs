//! The tensors that a rollout reads.

use std::path::Path;

use causeway_runtime::import::Checkpoint;

use crate::{error::Error, options::stream::Prompts};

/// The tensors of `--in`.
pub struct Inputs {
    /// F, C, H, W.
    pub shape: [usize; 4],
    pub noise: Vec<f32>,
    pub renoise: Vec<f32>,
    /// Clean latents that the video begins with.
    pub initial: Vec<f32>,
    pub prompts: Prompts,
}

impl Inputs {
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = Checkpoint::open(path).map_err(Error::import(path))?;
        let tensor = |name: &str| match file.entries().iter().find(|entry| entry.name == name) {
            Some(entry) => Ok(Some((entry.shape.clone(), file.read_all(entry).map_err(Error::import(path))?))),
            None => Ok::<_, Error>(None),
        };
        let wrong = |what: &str, found: &[usize]| {
            Error::Usage(format!("{}: {what}, but the tensor is {found:?}", path.display()))
        };
        let missing = |name| Error::Usage(format!("{}: there is no tensor `{name}`", path.display()));
        let (shape, noise) = tensor("noise")?.ok_or_else(|| missing("noise"))?;
        let Ok([f, c, h, w]) = <[usize; 4]>::try_from(shape.as_slice()) else {
            return Err(wrong("noise must be [F, C, H, W]", &shape));
        };
        if noise.is_empty() {
            return Err(wrong("noise must not be empty", &shape));
        }
        let prompts = Prompts::of(&file, path)?;
        let initial = match tensor("initial")? {
            Some((shape, values)) if shape.len() == 4 && shape[1..] == [c, h, w] => values,
            Some((shape, _)) => return Err(wrong("initial must be [n, C, H, W]", &shape)),
            None => Vec::new(),
        };
        let renoise = match tensor("renoise")? {
            Some((shape, values)) if shape.len() == 5 && (shape[0] == 0 || shape[1..] == [f, c, h, w]) => values,
            Some((shape, _)) => return Err(wrong("renoise must be [steps - 1, F, C, H, W]", &shape)),
            None => Vec::new(),
        };
        Ok(Self { shape: [f, c, h, w], noise, renoise, initial, prompts })
    }
}
