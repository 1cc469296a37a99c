//! Histories that a model made itself, and routes that are drawn.

mod tiny;

use std::collections::BTreeSet;

use burn::tensor::Device;
use causeway_distill::footage::latents::even_levels;
use causeway_distill::method::resampling_forcing::Resampling;
use causeway_distill::net::mask::Route;
use causeway_distill::net::rollout::{Engine, Rollout};
use causeway_distill::rng::Rng;

use self::tiny::{tiny, weights, with_world};

/// The first frame of each window [B, F] of `made` that is not that of `real`, in frames.
fn departures(real: &[f32], made: &[f32], frames: usize, len: usize) -> Vec<usize> {
    let row = frames * len;
    let first = |(a, b): (&[f32], &[f32])| a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(row) / len;
    real.chunks_exact(row).zip(made.chunks_exact(row)).map(first).collect()
}

#[test]
fn an_own_roll_out_follows_real_frames_as_one_would_play() {
    let mut config = tiny();
    config.history.window = 4;
    let base = weights(&config);
    let resampling = Resampling { own: 1.0, own_steps: 3, ..Resampling::default() };
    for cpu in [true, false] {
        with_world(&config, cpu, 6, |world| {
            let mut rng = Rng::new(8);
            let mut windows = world.data.windows(2, 6, &mut rng);
            let (real, before) = (windows.real.clone(), windows.before.clone());
            let mut replay = rng.clone();
            let history = resampling.history(&world, &base, &Device::flex(), &mut windows, &mut rng);
            assert_eq!((&windows.real, &windows.before), (&real, &before), "a roll-out begins with what was");
            let given = departures(&real, &history, 6, windows.len);
            assert_eq!(given[0], given[1]);

            // Which windows, and how long.
            let _ = (replay.unit(), replay.unit(), replay.below(5));
            let mut rollout = Rollout::new(Engine::Fast(&base), &config.dit, 4, before);
            let levels = even_levels(3, config.schedule.shift);
            for f in 0..6 {
                let (actions, events) = (windows.at(&windows.actions, f), windows.at(&windows.events, f));
                let found = windows.at(&history, f);
                if f < given[0] {
                    rollout.commit(&found, &actions, &events);
                    continue;
                }
                let made = rollout.integrate(&levels, &actions, &events, &mut replay);
                let off = made.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < if cpu { 1e-6 } else { 1e-2 }, "frame {f}: {off}");
            }
        });
    }
}

#[test]
fn some_windows_are_rolled_out_from_anywhere_and_not_for_long() {
    let config = tiny();
    let base = weights(&config);
    // What is neither rolled out nor clean is re-made from its first frame on.
    let resampling = Resampling { own: 0.5, own_steps: 1, clean: 0.0, ..Resampling::default() };
    for (frames, most) in [(4, 3), (30, 24)] {
        let (mut lengths, mut rolled) = (BTreeSet::new(), 0);
        let seeds = if frames == 4 { 40 } else { 12 };
        for seed in 0..seeds {
            with_world(&config, true, frames, |world| {
                let mut rng = Rng::new(seed);
                let mut windows = world.data.windows(2, frames, &mut rng);
                let history = resampling.history(&world, &base, &Device::flex(), &mut windows, &mut rng);
                let own = departures(&windows.real, &history, frames, windows.len).into_iter().filter(|&f| f > 0);
                own.for_each(|given| {
                    lengths.insert(frames - given);
                    rolled += 1;
                });
            });
        }
        assert!((seeds / 2..3 * seeds / 2).contains(&rolled), "{rolled} of {} windows", 2 * seeds);
        assert!(lengths.iter().all(|&length| length <= most), "{lengths:?}");
        assert!(frames > 4 || lengths.len() == most, "{lengths:?}");
    }
}

#[test]
fn a_route_is_drawn_from_all_of_its_range() {
    let mut rng = Rng::new(1);
    let drawn: BTreeSet<usize> = (0..200).map(|_| Route::Between(3, 6).draw(&mut rng)).collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
    let (mut one, mut other) = (Rng::new(2), Rng::new(2));
    assert_eq!(Route::Fixed(5).draw(&mut one), 5);
    assert_eq!(one.unit(), other.unit(), "a fixed route draws nothing");
}
