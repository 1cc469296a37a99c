//! Changing the prompt of a running stream (spec 2.6).

use alloc::{vec, vec::Vec};

use super::{Rollout, RolloutError, Side, Sink};

/// What becomes of the ring when the prompt changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The window is computed anew under the new prompt from the latents that it shows, in one pass: the video goes on smoothly.
    Recache,
    /// The ring keeps the old prompt's keys and values: the new prompt has a slow effect.
    Keep,
    /// The ring is emptied: a cut.
    Reset,
}

/// A change of prompt that takes several chunks.
pub(super) struct Blend {
    from: Vec<f32>,
    to: Vec<f32>,
    rows: usize,
    /// Parts that are in force, of how many.
    done: usize,
    parts: usize,
    how: Switch,
}

impl Rollout {
    /// Changes the prompt at a chunk boundary: text embeddings [n, text dim] without their padding. Over `chunks` chunks, at least one,
    /// the embeddings go from the old to the new prompt in equal parts; a recache follows each part, a reset only comes with the first.
    /// Must be called between chunks.
    ///
    /// # Errors
    /// As [`Self::set_text`]; [`RolloutError::Option`] for a recache that the stream was not created for.
    pub fn switch(&mut self, text: &[f32], how: Switch, chunks: usize) -> Result<(), RolloutError> {
        if how == Switch::Recache && self.sink.is_none() {
            return Err(RolloutError::Option("this stream was not created for recaching".into()));
        }
        let to = self.padded(text)?;
        let old =
            self.prompt.chunks(self.text_dim()).rposition(|row| row.iter().any(|&x| x != 0.0)).map_or(0, |n| n + 1);
        let rows = old.max(text.len() / self.text_dim());
        let rows = if chunks > 1 { rows } else { text.len() / self.text_dim() };
        if how == Switch::Reset {
            self.frame = 0;
            self.recent.clear();
        }
        self.blend = Some(Blend { from: self.prompt.clone(), to, rows, done: 0, parts: chunks.max(1), how });
        self.blend_on()
    }

    /// Puts the next part of a change of prompt in force.
    pub(super) fn blend_on(&mut self) -> Result<(), RolloutError> {
        let Some(mut blend) = self.blend.take() else { return Ok(()) };
        blend.done += 1;
        let share = blend.done as f32 / blend.parts as f32;
        let mix = |(from, to): (&f32, &f32)| (1.0 - share) * from + share * to;
        self.prompt = blend.from.iter().zip(&blend.to).map(mix).collect();
        let prompt = core::mem::take(&mut self.prompt);
        let result = self.condition(Side::Positive, &prompt, blend.rows);
        self.prompt = prompt;
        result?;
        if blend.how == Switch::Recache {
            self.recache()?;
        }
        if blend.done < blend.parts {
            self.blend = Some(blend);
        }
        Ok(())
    }

    /// Remembers a chunk's latents for a recache.
    pub(super) fn keep(&mut self, latents: &[f32]) {
        if self.sink.is_none() {
            return;
        }
        let most = self.ring.window * self.config.latent_len();
        let latents = &latents[latents.len() - latents.len().min(most)..];
        self.recent.drain(..(self.recent.len() + latents.len()).saturating_sub(most));
        self.recent.extend(latents);
    }

    /// Computes the keys and values of the visible frames anew, all in one pass in which they see each other.
    fn recache(&mut self) -> Result<(), RolloutError> {
        let len = self.config.latent_len();
        let held = self.recent.len() / len;
        let history = match self.sink {
            Some(Sink::Protect) if self.frame > held as u64 => self.ring.sink,
            // What the window shows is all the stream has been.
            Some(_) => {
                self.frame = held as u64;
                0
            }
            None => return Ok(()),
        };
        let frames = held - history;
        if frames == 0 {
            return Ok(());
        }
        let latents: Vec<f32> = self.recent.iter().skip(history * len).copied().collect();
        self.write(&latents, &vec![self.context_timestep; frames])?;
        let rope = (self.config.rope_dims()[0], self.config.rope_theta);
        let buffers = (self.wan.frames, self.wan.rotations);
        self.table.recache(self.backend.as_mut(), buffers, &self.ring, rope, self.frame, (history, frames))?;
        for side in self.sides() {
            let passes = &self.branch(side)?.recache;
            let Some(&(_, pass)) = passes.iter().find(|(own, _)| *own == (history, frames)) else {
                return Err(RolloutError::Option(alloc::format!("the plan has no pass for {frames} frames")));
            };
            self.pass(pass, history as u32)?;
        }
        Ok(())
    }
}
