//! The player's body: pose, motion, sliding along walls.

use super::map::{self, PILLAR_RADIUS, PILLARS};

/// Names of the actions, in the order of [`Action::row`].
pub const ACTIONS: [&str; 5] = ["forward", "back", "left", "right", "attack"];

/// What is pressed during one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Walk ahead.
    pub forward: bool,
    /// Walk backwards.
    pub back: bool,
    /// Turn left.
    pub left: bool,
    /// Turn right.
    pub right: bool,
    /// Cast a flash.
    pub attack: bool,
}

impl Action {
    /// One 0 or 1 for each name of [`ACTIONS`].
    pub fn row(self) -> [u8; 5] {
        [self.forward, self.back, self.left, self.right, self.attack].map(u8::from)
    }
}

/// Tenths of a degree in a full turn.
pub const FULL_TURN: u16 = 3600;
/// Turn in one frame, in tenths of a degree.
pub const TURN: u16 = 60;
/// Steps ahead and back in one frame, in cells.
pub const STEPS: (f32, f32) = (0.14, 0.10);
/// The body's radius in cells.
pub const RADIUS: f32 = 0.30;

/// Where the player stands and looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// East, in cells.
    pub x: f32,
    /// South, in cells.
    pub y: f32,
    /// Clockwise from east, in tenths of a degree, below [`FULL_TURN`].
    pub heading: u16,
}

/// Sine over a quarter turn, by its series: only exactly rounded operations, so that every machine makes the same pictures.
fn quarter_sine(tenths: u16) -> f64 {
    let x = f64::from(tenths) * (std::f64::consts::FRAC_PI_2 / 900.0);
    let s = x * x;
    x * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0 * (1.0 - s / 110.0 * (1.0 - s / 156.0))))))
}

impl Pose {
    /// Unit vector ahead.
    pub fn ahead(self) -> [f32; 2] {
        let (quarter, rest) = (self.heading / 900 % 4, self.heading % 900);
        let (sin, cos) = (quarter_sine(rest) as f32, quarter_sine(900 - rest) as f32);
        match quarter {
            0 => [cos, sin],
            1 => [-sin, cos],
            2 => [-cos, -sin],
            _ => [sin, -cos],
        }
    }

    /// The pose turned by `steps` frames of turning, right if positive.
    pub fn turned(self, steps: i32) -> Self {
        let turn = i32::from(self.heading) + steps * i32::from(TURN);
        Self { heading: turn.rem_euclid(i32::from(FULL_TURN)) as u16, ..self }
    }

    /// The pose one frame later.
    pub fn after(self, action: Action) -> Self {
        let mut pose = self.turned(i32::from(action.right) - i32::from(action.left));
        let step = if action.forward { STEPS.0 } else { 0.0 } - if action.back { STEPS.1 } else { 0.0 };
        let [dx, dy] = pose.ahead();
        pose.slide(dx * step, dy * step);
        pose
    }

    // Walls stop one axis at a time, so the body slides along them; pillars push it out sideways.
    fn slide(&mut self, dx: f32, dy: f32) {
        let (mut x, mut y) = (self.x + dx, self.y + dy);
        for p in &PILLARS {
            let (ox, oy) = (x - p.at[0], y - p.at[1]);
            let (gap, reach) = ((ox * ox + oy * oy).sqrt(), RADIUS + PILLAR_RADIUS + 1e-4);
            if gap < reach && gap > 0.0 {
                x = p.at[0] + ox * reach / gap;
                y = p.at[1] + oy * reach / gap;
            }
        }
        if map::free(x, self.y, RADIUS) {
            self.x = x;
        }
        if map::free(self.x, y, RADIUS) {
            self.y = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_unit_vectors_and_agree_with_the_library() {
        for heading in (0..FULL_TURN).step_by(7) {
            let [x, y] = Pose { x: 0.0, y: 0.0, heading }.ahead();
            let angle = f32::from(heading) * std::f32::consts::TAU / f32::from(FULL_TURN);
            assert!((x - angle.cos()).abs() < 1e-6 && (y - angle.sin()).abs() < 1e-6, "heading {heading}");
        }
    }

    #[test]
    fn walking_never_enters_walls_or_pillars() {
        for heading in (0..FULL_TURN).step_by(50) {
            let mut pose = Pose { x: 5.5, y: 6.5, heading };
            for _ in 0..60 {
                pose = pose.after(Action { forward: true, ..Action::default() });
                assert!(map::free(pose.x, pose.y, RADIUS), "{pose:?}");
            }
        }
    }

    #[test]
    fn oblique_walls_are_slid_along() {
        // North-east into the north wall of the green court: y is stopped, x goes on.
        let start = Pose { x: 5.4, y: 1.4, heading: 3150 };
        let end = (0..10).fold(start, |p, _| p.after(Action { forward: true, ..Action::default() }));
        assert!(end.x > start.x + 0.8 && end.y >= 1.0 + RADIUS - 1e-4, "{end:?}");
    }
}
