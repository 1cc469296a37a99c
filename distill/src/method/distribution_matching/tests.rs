//! The generator's and the critic's gradients against spec 5.5, word for word.

#[path = "../../../tests/tiny/mod.rs"]
mod tiny;

use self::tiny::{REACH, assert_slopes, weights, with_world};
use super::*;
use crate::footage::latents::warp;
use crate::net::dit;
use crate::rng::Rng;
use crate::train::slope::slopes;
use crate::train::state::State;

/// A student, its teacher and its critic, three different denoisers; the adversary is fresh.
fn with_stage(f: impl FnOnce(&DistributionMatching<'_>, &Weights, &Weights, &Weights)) {
    let mut config = tiny::tiny();
    let dit = &mut config.dit;
    (dit.dim, dit.layers, dit.ffn_dim) = (24, 1, 48);
    let student = weights(&config);
    let other = |factor: f32| student.with(student.data.iter().map(|w| factor * w).collect());
    let (teacher, critic) = (other(0.9), other(1.1));
    let adversary = Weights::init(&adversary::specs(&config.dit), 3);
    with_world(&config, true, 5, |world| {
        f(&DistributionMatching { world, teacher: &teacher }, &student, &critic, &adversary);
    });
}

fn job(state: &State) -> Job<'_> {
    Job { state, rng: Rng::new(8), share: 2, device: Device::flex(), done: 0.0 }
}

/// Mean of absolute values.
fn size(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(v.abs())).sum::<f64>() / values.len() as f64
}

#[test]
fn the_generator_moves_along_the_normalised_difference_of_scores() {
    with_stage(|stage, student, critic, adversary| {
        let (world, c) = (&stage.world, &stage.world.config.dit);
        let state = State::new(student.clone());
        let mut job = job(&state);
        let (made, truth) = stage.roll_out(student, &mut job);
        let mut replay = job.rng.clone();
        let r = stage.student([critic, adversary], &made, &truth, &mut job);
        let (frame, frames, given) = (made.windows.len, made.windows.frames, made.given);
        assert!(given < frames, "nothing was generated");

        // x_F = C(y, t), x_R = R(y, t); g = (x_F - x_R) / mean |x - x_R|, for each sample.
        let x = &made.windows.real;
        let t: Vec<f32> =
            (0..2 * frames).map(|_| warp(replay.unit(), world.config.schedule.shift).clamp(0.02, 0.98)).collect();
        let y = made.windows.mix(x, &replay.normals(x.len()), &t);
        let input = made.windows.doubled(x, &y, &t);
        let clean = |net: &Weights| -> Vec<f32> {
            let v = world.velocity(net, &job.device, world.mask(), &input);
            (0..x.len()).map(|i| y[i] - t[i / frame] * v[i]).collect()
        };
        let (fake, real) = (clean(critic), clean(stage.teacher));
        let mut g = vec![0.0f32; x.len()];
        for sample in 0..2 {
            let live: Vec<usize> =
                (0..x.len()).filter(|i| i / frame / frames == sample && i / frame % frames >= given).collect();
            let away: Vec<f32> = live.iter().map(|&i| x[i] - real[i]).collect();
            live.iter().for_each(|&i| g[i] = (fake[i] - real[i]) / size(&away) as f32);
        }

        // The regression's residual at the student itself is x - (x - g): so dL/dx = 2 g / numel, and nothing for given frames.
        let v = dit::to_tokens(c, &world.velocity(student, &job.device, r.mask, &r.input));
        let row = c.latent_len();
        let residual: Vec<f32> = (0..v.len()).map(|i| r.goal[i] - r.scale[i / row] * v[i]).collect();
        let found = dit::from_tokens(c, &residual);
        let [real_pairs, fake_pairs] = pairs(c, &made, &truth);
        let slopes_of_frames = adversary::pass_for_real(adversary, &real_pairs, &fake_pairs).1;
        let mut pull = vec![0.0f32; x.len()];
        for (slope, at) in slopes_of_frames.iter().zip(places(&made)) {
            pull[at * frame..][..frame].copy_from_slice(slope);
        }
        let share = f64::from(ADVERSARY) * size(&g) / size(&pull);
        let expected: Vec<f32> = g.iter().zip(&pull).map(|(g, p)| g + share as f32 * p).collect();
        let off: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
        assert!(size(&off) < 1e-3 * size(&expected), "off by {} of {}", size(&off), size(&expected));
        for (i, value) in found.iter().enumerate().filter(|(i, _)| i / frame % frames < given) {
            assert!(*value == 0.0, "value {i} of a given frame is pulled by {value}");
        }

        // And that residual's gradient is the slope of its square.
        let at = |moved: &Weights| {
            let mut flat = vec![0.0; student.data.len()];
            (world.gradient(moved, &job.device, &r, &mut flat).0, flat)
        };
        assert_slopes("generator", &slopes(student, &at(student).1, REACH, |moved| at(moved).0), 0.02);
    });
}

#[test]
fn the_critic_descends_the_flow_of_what_was_made() {
    with_stage(|stage, student, critic, _| {
        let state = State::new(student.clone());
        let mut job = job(&state);
        let made = stage.roll_out(student, &mut job).0;
        let r = score::critic(&stage.world, stage.world.mask(), &made, &mut job.rng);
        let at = |moved: &Weights| {
            let mut flat = vec![0.0; critic.data.len()];
            (stage.world.gradient(moved, &job.device, &r, &mut flat).0, flat)
        };
        assert_slopes("critic", &slopes(critic, &at(critic).1, REACH, |moved| at(moved).0), 0.02);
    });
}
