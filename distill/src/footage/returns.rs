//! Where a fact of the episode comes back into sight: the few tokens of a recording that only memory can fill.
//!
//! A fact (a banner's colour, a torch) takes some pixels of some frames, and most of what shows it can be copied from the frame before.
//! Memory is asked for where it was seen, went out of sight and comes back: in the built-in world the renderer tells where that is.

use std::collections::HashMap;

use super::recording::Recording;
use super::world::facts::Facts;
use super::world::{Pose, Scene, view_from_row};

/// Frames from the first that shows a fact again: a quarter turn to it, and the rest after that.
const FRESH: usize = 8;

/// Which tokens of each frame of a recording show which fact.
#[derive(Clone, Debug)]
pub struct Returns {
    /// Tokens of a frame.
    tokens: usize,
    /// For each frame, what is seen from there in `looks`.
    places: Vec<usize>,
    /// For each pose, the tokens that show each fact; none where it is out of sight.
    looks: Vec<Vec<Vec<usize>>>,
}

impl Returns {
    /// Of `recording`, which shows `scene`, in tokens of `side` pixels; `None` where its frames do not say what they show.
    pub fn new(recording: &Recording, scene: Scene, side: usize) -> Option<Self> {
        let (facts, columns) = (Facts::new(scene), scene.size.width / side);
        let look = |pose: Pose| -> Vec<Vec<usize>> {
            let tokens = |pixels: Vec<bool>| {
                let changed = pixels.iter().enumerate().filter(|(_, changed)| **changed).map(|(at, _)| at);
                let all: Vec<usize> = changed.collect();
                let token = |&at: &usize| at / scene.size.width / side * columns + at % scene.size.width / side;
                let mut tokens: Vec<usize> =
                    if all.len() < facts.enough() { Vec::new() } else { all.iter().map(token).collect() };
                tokens.sort_unstable();
                tokens.dedup();
                tokens
            };
            facts.changed(pose).into_iter().map(tokens).collect()
        };
        let (mut known, mut looks, mut places) = (HashMap::new(), Vec::new(), Vec::new());
        for i in 0..recording.len() {
            let pose = view_from_row(recording.pose(i), recording.events[i])?.pose;
            let key = (pose.x.to_bits(), pose.y.to_bits(), pose.heading);
            places.push(*known.entry(key).or_insert_with(|| {
                looks.push(look(pose));
                looks.len() - 1
            }));
        }
        Some(Self { tokens: columns * (scene.size.height / side), places, looks })
    }

    /// For how many frames what each token of the `frames` frames from `first` on [F, S] shows was out of sight, where it is a fact that
    /// has just come back and was last seen in this window, less than `window` frames before; 0 elsewhere.
    pub fn gaps(&self, first: usize, frames: usize, window: usize) -> Vec<usize> {
        let mut gaps = vec![0; frames * self.tokens];
        let facts = self.looks.first().map_or(0, Vec::len);
        // When each fact was seen last; when it came back, and after how long.
        let (mut last, mut back) = (vec![None; facts], vec![None; facts]);
        for (f, &place) in self.places[first..first + frames].iter().enumerate() {
            for (fact, tokens) in self.looks[place].iter().enumerate().filter(|(_, tokens)| !tokens.is_empty()) {
                match last[fact] {
                    Some(seen) if seen + 1 == f => {}
                    Some(seen) if f - seen < window => back[fact] = Some((f, f - seen)),
                    _ => back[fact] = None,
                }
                last[fact] = Some(f);
                if let Some((_, gap)) = back[fact].filter(|(at, _)| f - at < FRESH) {
                    tokens.iter().for_each(|token| gaps[f * self.tokens + token] = gap);
                }
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footage::world::{Body, Habits, KEEP, Key, Light, Size, World, player, pose_row};

    fn empty(scene: Scene, habits: Habits) -> Recording {
        let info = scene.info(1, habits);
        let (frames, actions, events, poses, episode_starts) = Default::default();
        Recording { frames, actions, events, poses, episode_starts, info }
    }

    /// A banner is looked at, turned from and turned to again: its tokens are marked from the frame that shows it again on, for as long
    /// as it is fresh, and nowhere where the window no longer reaches back, or where it is seen for the first time.
    #[test]
    fn what_comes_back_is_marked() {
        let scene = Scene { map: &KEEP, size: Size { width: 64, height: 64 } };
        let mut world = World::new(&KEEP, Body::new((1, 1), 2), Light::Day, 0, [0, 0]);
        let keys: Vec<Option<Key>> =
            [[None; 5], [Some(Key::Left); 5], [None; 5], [Some(Key::Right); 5], [None; 5], [None; 5]].concat();
        let mut recording = empty(scene, Habits::default());
        for (i, &key) in keys.iter().enumerate() {
            let told = world.step(key, None);
            recording.frames.extend(scene.render(world.view()));
            recording.actions.extend(player::row(told));
            recording.events.push(0);
            recording.poses.extend(pose_row(world.view()));
            recording.episode_starts.push(u8::from(i == 0));
        }
        let returns = Returns::new(&recording, scene, 16).unwrap();
        let marked = |first: usize, window: usize| -> Vec<usize> {
            let all = returns.gaps(first, keys.len() - first, window);
            (0..keys.len() - first).map(|f| all[f * 16..][..16].iter().filter(|gap| **gap > 0).count()).collect()
        };
        let all = marked(0, 64);
        assert!(all[..15].iter().all(|&n| n == 0), "nothing has come back yet: {all:?}");
        let begin = all.iter().position(|&n| n > 0).unwrap();
        assert!((15..20).contains(&begin), "{all:?}");
        assert!(all[begin..begin + FRESH].iter().all(|&n| n > 0), "{all:?}");
        assert!(all[begin + FRESH..].iter().all(|&n| n == 0), "{all:?}");
        assert!(marked(0, 5).iter().all(|&n| n == 0), "the window does not reach back");
        assert!(marked(10, 64).iter().all(|&n| n == 0), "seen for the first time in this window");
    }

    /// Errands are what brings things back that were out of sight for long: the usual bot hardly does.
    #[test]
    fn errands_bring_back_what_was_long_away() {
        let scene = Scene { map: &KEEP, size: Size { width: 32, height: 32 } };
        let long = |away: f32| -> usize {
            let habits = Habits { away };
            let mut recording = empty(scene, habits);
            let shard = scene.play_by(habits, 1, 0, 4000, || ());
            (recording.frames, recording.actions, recording.events) = (shard.frames, shard.actions, shard.events);
            (recording.poses, recording.episode_starts) = (shard.poses, shard.episode_starts);
            let returns = Returns::new(&recording, scene, 8).unwrap();
            returns.gaps(0, 4000, 64).iter().filter(|gap| **gap >= 40).count()
        };
        let (usual, errands) = (long(0.0), long(0.5));
        println!("{errands} tokens against {usual}");
        assert!(errands > 2 * usual.max(1), "{errands} against {usual}");
    }
}
