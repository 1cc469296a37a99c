//! A student's own roll-out, and the regression that moves it (Self Forcing, spec 5.5): training sees what playing will.

use crate::footage::latents::Windows;
use crate::method::teacher_forcing::{Regression, World};
use crate::net::dit;
use crate::net::rollout::Engine;
use crate::rng::Rng;

/// Something a student made, after `given` frames it did not make.
pub struct Made {
    /// Actions and events of the stream; its `real` frames are the given ones followed by generated ones.
    pub windows: Windows,
    /// Inputs of the last denoising step of each frame [B, F, C, H, W]; zeros for given frames.
    pub noisy: Vec<f32>,
    /// Their noise levels [B, F].
    pub sigma: Vec<f32>,
    /// Frames at the start that were not generated.
    pub given: usize,
    /// Frames at the start that the scores do not see: what only the student remembers.
    pub unseen: usize,
}

impl Made {
    /// Rolls out the frames of `windows` from number `given` on over the falling noise levels `sigmas`; the last of them is where
    /// the gradient enters, for all frames.
    pub fn roll_out(
        engine: Engine<'_>,
        world: &World<'_>,
        mut windows: Windows,
        given: usize,
        sigmas: &[f32],
        rng: &mut Rng,
    ) -> Self {
        let exit = sigmas.last().copied().unwrap_or(1.0);
        let mut rollout = world.rollout(engine, windows.before.clone());
        let (mut noisy, mut sigma) = (vec![0.0; windows.real.len()], vec![0.0; windows.batch * windows.frames]);
        for f in 0..windows.frames {
            let (actions, events) = (windows.at(&windows.actions, f), windows.at(&windows.events, f));
            if f < given {
                rollout.commit(&windows.at(&windows.real, f), &actions, &events);
                continue;
            }
            let (x, made) = rollout.denoise(sigmas, &actions, &events, rng);
            rollout.commit(&made, &actions, &events);
            windows.put(f, &made);
            for b in 0..windows.batch {
                let row = b * windows.frames + f;
                noisy[row * windows.len..][..windows.len].copy_from_slice(&x[b * windows.len..][..windows.len]);
                sigma[row] = exit;
            }
        }
        Self { windows, noisy, sigma, given, unseen: 0 }
    }

    /// The windows that the scores see, and the frames at their start that were not generated.
    pub fn seen(&self) -> (Windows, usize) {
        (self.windows.part(self.unseen, self.windows.frames - self.unseen), self.given - self.unseen)
    }

    /// Values of the generated frames of window `b`, in [B, F, C, H, W].
    pub fn live(&self, b: usize) -> std::ops::Range<usize> {
        let (row, len) = (self.windows.frames * self.windows.len, self.windows.len);
        b * row + self.given * len..(b + 1) * row
    }

    /// What the student learns: its last steps should have ended `gradient` [B, F, C, H, W] away from where they did. The
    /// history is its own, and constant.
    pub fn regression(&self, world: &World<'_>, gradient: &[f32]) -> Regression {
        let x = &self.windows.real;
        // The step ends at noisy - sigma v; it should end at x - gradient.
        let goal: Vec<f32> = (0..x.len()).map(|i| self.noisy[i] - x[i] + gradient[i]).collect();
        let mut r = Regression {
            mask: world.mask(),
            input: self.windows.doubled(x, &self.noisy, &self.sigma),
            scale: self.sigma.clone(),
            goal: dit::to_tokens(&world.config.dit, &goal),
        };
        forget_given(&mut r, &self.windows, self.given);
        r
    }
}

/// The first `given` frames of `windows` have no part in a loss.
pub fn forget_given(r: &mut Regression, windows: &Windows, given: usize) {
    for (row, goal) in r.goal.chunks_exact_mut(windows.len).enumerate() {
        if row % windows.frames < given {
            goal.fill(0.0);
            r.scale[row] = 0.0;
        }
    }
}
