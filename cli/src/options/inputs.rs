//! The tensors that a rollout reads.

use std::path::Path;

use causeway_runtime::{ModelConfig, Session, SessionError, import::Checkpoint};

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
    /// Picture condition [n, channels, H, W] of a game.
    pub condition: Vec<f32>,
    /// Actions of a game.
    pub rows: Rows,
}

/// Rows of actions, one for each picture frame.
#[derive(Default)]
pub struct Rows {
    /// `keyboard` and `mouse`, each [rows, entries], and their entries.
    parts: [(Vec<f32>, usize); 2],
    /// `controls` [frames, entries], and their entries: of each latent frame that is made, in place of all other.
    controls: (Vec<f32>, usize),
    /// Latent frames that are given before these.
    given: u64,
    /// Picture frames of a latent frame; 0 of a model that takes no rows.
    pictures: usize,
}

impl Rows {
    /// The rows for `frames` latent frames, behind `given` others, of a model of this configuration.
    ///
    /// # Errors
    /// They are not as many as it takes, or it takes none.
    pub fn check(mut self, config: &ModelConfig, given: usize, frames: usize) -> Result<Self, Error> {
        let wanted = config.dit.waypoint().map_or(0, |_| config.dit.actions.len());
        let (controls, entries) = (self.controls.0.len(), self.controls.1);
        if (controls, entries) != (wanted * frames, wanted) {
            return Err(Error::Usage(format!(
                "`controls` has {} rows of {entries}, the model takes {} rows of {wanted}",
                controls.checked_div(entries).unwrap_or(0),
                if wanted > 0 { frames } else { 0 },
            )));
        }
        self.given = given as u64;
        let frames = given + frames;
        let game = config.dit.game();
        let keys = game.map_or(0, |game| game.keys);
        self.pictures = game.map_or(0, |game| game.pictures);
        let rows = if game.is_some() { 1 + self.pictures * (frames - 1) } else { 0 };
        let expected = [("keyboard", keys), ("mouse", game.map_or(0, |_| config.dit.actions.len() - keys))];
        for ((values, entries), (name, wanted)) in self.parts.iter().zip(expected) {
            if (*entries, values.len()) != (wanted, rows * wanted) {
                let found = values.len().checked_div(*entries).unwrap_or(0);
                return Err(Error::Usage(format!(
                    "`{name}` has {found} rows of {entries}, the model takes {} rows of {wanted}",
                    if wanted > 0 { rows } else { 0 }
                )));
            }
        }
        Ok(self)
    }

    /// Presses the rows of the chunk that a session is about to begin.
    ///
    /// # Errors
    /// Rows that the session refuses.
    pub fn press(&self, session: &mut Session) -> Result<(), SessionError> {
        let (controls, entries) = &self.controls;
        if *entries > 0 {
            let frame = session.position().saturating_sub(self.given) as usize;
            return session.set_action(&controls[frame * entries..][..*entries]).map(drop);
        }
        if self.pictures == 0 {
            return Ok(());
        }
        let before = |frame: u64| if frame == 0 { 0 } else { 1 + self.pictures * (frame as usize - 1) };
        let [start, end] = [0, session.chunk_frames()].map(|frames| before(session.position() + frames as u64));
        let row = |at: usize| self.parts.iter().flat_map(move |(all, width)| &all[at * width..(at + 1) * width]);
        let actions: Vec<f32> = (start..end).flat_map(row).copied().collect();
        session.set_actions(&actions)?;
        Ok(())
    }
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
        let condition = match tensor("condition")? {
            Some((shape, values)) if shape.len() == 4 && shape[2..] == [h, w] => values,
            Some((shape, _)) => return Err(wrong("condition must be [n, channels, H, W]", &shape)),
            None => Vec::new(),
        };
        let part = |name: &str| match tensor(name)? {
            Some((shape, values)) if shape.len() == 2 => Ok((values, shape[1])),
            Some((shape, _)) => Err(wrong("rows of actions must be [rows, entries]", &shape)),
            None => Ok((Vec::new(), 0)),
        };
        let controls = part("controls")?;
        // A model that is told controls reads no prompts.
        let prompts = if controls.1 > 0 { Prompts::default() } else { Prompts::of(&file, path)? };
        let rows = Rows { parts: [part("keyboard")?, part("mouse")?], controls, ..Rows::default() };
        Ok(Self { shape: [f, c, h, w], noise, renoise, initial, prompts, condition, rows })
    }
}
