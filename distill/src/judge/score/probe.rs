//! Where a picture was taken: the nearest of all that the renderer can make in one light and with one set of facts.

use crate::footage::sight::Nearest;
use crate::footage::world::{Body, Key, Pose, Scene, View, player};

use super::dreamer::Picture;

/// How far off a place may be, in cells.
const CELLS: f32 = 0.25;
/// How far off a heading may be, in tenths of a degree.
const TURN: i32 = 200;

/// All poses a body can have.
#[derive(Debug)]
pub struct Probe {
    scene: Scene,
    poses: Vec<Pose>,
}

impl Probe {
    /// Of the place that `scene` shows.
    pub fn new(scene: Scene) -> Self {
        let map = scene.map;
        let mut poses: Vec<Pose> = Vec::new();
        let rest = map.cells().into_iter().flat_map(|cell| (0..4).map(move |side| Body::new(cell, side)));
        for body in rest {
            // Steps into walls nudge by less than is told apart, and a hand moves nothing of the body.
            let keys = Key::ALL.into_iter().filter(|&key| key != Key::Use);
            for key in keys.filter(|&key| body.walks(map, key) || body.next(key) == body.cell) {
                let mut moving = body;
                for _ in 0..map.frames {
                    moving = moving.after(map, Some(key));
                    let pose = moving.pose(map);
                    if !poses.contains(&pose) {
                        poses.push(pose);
                    }
                }
            }
        }
        Self { scene, poses }
    }

    /// All poses.
    pub fn poses(&self) -> &[Pose] {
        &self.poses
    }

    /// What can be seen in the light and with the facts of `view`.
    pub fn gallery(&self, view: &View) -> Gallery {
        let like = View { from: view.light, fade: 1.0, phase: 0, change: 0.0, ..*view };
        let frames = self.poses.iter().map(|&pose| self.scene.render(&View { pose, ..like })).collect();
        Gallery { poses: self.poses.clone(), nearest: Nearest::new(frames, self.scene.size.width) }
    }
}

/// The pictures of one light and one set of facts.
pub struct Gallery {
    poses: Vec<Pose>,
    nearest: Nearest<Picture>,
}

impl Gallery {
    /// The pose of the nearest picture, and the mean squared error to it.
    pub fn find(&self, picture: &[u8]) -> Option<(Pose, f64)> {
        self.nearest.find(picture).map(|(i, mse)| (self.poses[i], mse))
    }

    /// Whether `picture` was taken at `pose`, within [`CELLS`] and [`TURN`].
    pub fn is_at(&self, picture: &[u8], pose: Pose) -> bool {
        self.find(picture).is_some_and(|(found, _)| near(found, pose))
    }
}

/// Whether two poses are one place.
pub fn near(a: Pose, b: Pose) -> bool {
    let full = i32::from(player::FULL_TURN);
    let turn = (i32::from(a.heading) - i32::from(b.heading)).rem_euclid(full);
    (a.x - b.x).hypot(a.y - b.y) <= CELLS && turn.min(full - turn) <= TURN
}
