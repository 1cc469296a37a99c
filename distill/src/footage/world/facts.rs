//! Facts in pictures: which of them a view shows, what history can tell of them, and the pixels they take.

use std::collections::HashMap;
use std::sync::Mutex;

use super::fact::Fact;
use super::{Light, Pose, Scene, View};

/// A pose as a key.
type Place = [u32; 3];

/// How much of a picture each fact takes, from each pose that was asked for.
#[derive(Debug)]
pub struct Facts {
    scene: Scene,
    all: Vec<Fact>,
    seen: Mutex<HashMap<Place, Vec<usize>>>,
}

impl Facts {
    /// Of the place that `scene` shows.
    pub fn new(scene: Scene) -> Self {
        Self { scene, all: Fact::all(scene.map), seen: Mutex::default() }
    }

    /// Pixels that each of the place's facts changes in what is seen from `pose`.
    fn pixels(&self, pose: Pose) -> Vec<usize> {
        let key = [pose.x.to_bits(), pose.y.to_bits(), u32::from(pose.heading)];
        let lock = || self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = lock().get(&key) {
            return found.clone();
        }
        let count = |pixels: Vec<bool>| pixels.into_iter().filter(|changed| *changed).count();
        let found: Vec<usize> = self.changed(pose).into_iter().map(count).collect();
        lock().insert(key, found.clone());
        found
    }

    /// The pixels [H, W] that each of the place's facts changes in what is seen from `pose`.
    pub fn changed(&self, pose: Pose) -> Vec<Vec<bool>> {
        let light = Light::Day;
        let view = View { pose, from: light, light, fade: 1.0, phase: 0, banners: 0, on: 0, change: 0.0 };
        let plain = self.scene.render(&view);
        let changes = |fact: &Fact| differ(&plain, &self.scene.render(&fact.other(view, 1))).collect::<Vec<bool>>();
        self.all.iter().map(changes).collect()
    }

    /// Pixels a fact must take to count as shown: a 128th of the picture.
    pub fn enough(&self) -> usize {
        (self.scene.size.width * self.scene.size.height / 128).max(1)
    }

    /// Whether not a pixel of `fact` is seen from `pose`.
    pub fn hidden(&self, fact: Fact, pose: Pose) -> bool {
        self.all.iter().zip(self.pixels(pose)).all(|(one, pixels)| *one != fact || pixels == 0)
    }

    /// Facts that nothing can know in the last of `views`: those which `shown` real views do not show, and those which later
    /// were out of sight for as long as a window of `window` frames reaches back.
    pub fn unknown(&self, views: &[View], shown: usize, window: usize) -> Vec<Fact> {
        let enough = self.enough();
        let mut last: Vec<Option<usize>> = vec![None; self.all.len()];
        let reaches = |now: usize, seen: &Option<usize>| seen.is_some_and(|at| now - at < window);
        for (now, view) in views.iter().enumerate() {
            for (seen, pixels) in last.iter_mut().zip(self.pixels(view.pose)) {
                let known = now < shown || reaches(now, seen);
                if pixels >= enough && known {
                    *seen = Some(now);
                }
            }
        }
        let now = views.len().saturating_sub(1);
        let lost = self.all.iter().zip(&last).filter(|(_, seen)| !reaches(now, seen));
        lost.map(|(fact, _)| *fact).collect()
    }

    /// The pixels [H, W] of `view` that would be the same whatever `unknown` facts were.
    pub fn certain(&self, view: &View, unknown: &[Fact]) -> Vec<bool> {
        let (w, h) = (self.scene.size.width, self.scene.size.height);
        let mut certain = vec![true; w * h];
        if unknown.is_empty() {
            return certain;
        }
        let truth = self.scene.render(view);
        // Two other colours: one may agree with the true one in a mixed pixel.
        for by in [1, 3] {
            let other = self.scene.render(&unknown.iter().fold(*view, |view, fact| fact.other(view, by)));
            certain.iter_mut().zip(differ(&truth, &other)).for_each(|(certain, differs)| *certain &= !differs);
        }
        certain
    }

    /// The value of `fact` whose true picture is nearest to `picture`, of all views like `view`.
    pub fn judged(&self, fact: Fact, view: &View, picture: &[u8]) -> u32 {
        let distance = |value: u32| crate::footage::sight::mse(picture, &self.scene.render(&fact.with(*view, value)));
        let all = (0..fact.values()).map(|value| (value, distance(value)));
        all.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |best| best.0)
    }
}

/// For each pixel, whether two pictures differ there.
fn differ<'a>(a: &'a [u8], b: &'a [u8]) -> impl Iterator<Item = bool> + 'a {
    a.chunks_exact(3).zip(b.chunks_exact(3)).map(|(a, b)| a != b)
}
