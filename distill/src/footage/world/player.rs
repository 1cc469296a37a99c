//! The player's body: cells, four headings, movements of five frames.
//!
//! A key begins a movement when the body is at rest, and the movement runs to its end. Every key does, also a step into a wall
//! (a nudge) and a use of nothing: so a host that latches keys needs no map.

use super::colour::floor;
use super::map::{Map, SIDES};

/// Names of the actions, in the order of [`Action::row`].
pub const ACTIONS: [&str; 5] = ["forward", "back", "left", "right", "use"];

/// A movement, and the key that begins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A step ahead.
    Forward,
    /// A step back.
    Back,
    /// A quarter turn left.
    Left,
    /// A quarter turn right.
    Right,
    /// The hand on what hangs ahead: a torch, a door, a lever.
    Use,
}

impl Key {
    /// All keys, in the order of [`ACTIONS`].
    pub const ALL: [Self; 5] = [Self::Forward, Self::Back, Self::Left, Self::Right, Self::Use];

    /// The movement that undoes this one.
    pub fn undo(self) -> Self {
        match self {
            Self::Forward => Self::Back,
            Self::Back => Self::Forward,
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::Use => Self::Use,
        }
    }
}

/// What a frame is told: the movement under way, if one is (the host latches).
pub type Action = Option<Key>;

/// One 0 or 1 for each name of [`ACTIONS`].
pub fn row(action: Action) -> [f32; 5] {
    Key::ALL.map(|key| f32::from(u8::from(action == Some(key))))
}

/// Tenths of a degree in a full turn.
pub const FULL_TURN: u16 = 3600;
/// How far a wall lets a step come, in cells, at each fifth of its time: no two frames look alike, so that each tells what comes next.
const NUDGE: [f32; 6] = [0.0, 0.06, 0.14, 0.10, 0.03, 0.0];

/// How far a wall has let a step come after `done` of its `frames`: between the values of [`NUDGE`] on a straight line.
fn nudge(done: u8, frames: u8) -> f32 {
    let (fifths, frames) = (5 * usize::from(done), usize::from(frames));
    let (at, rest) = (fifths / frames, fifths % frames);
    NUDGE[at] + (NUDGE[(at + 1).min(5)] - NUDGE[at]) * rest as f32 / frames as f32
}

/// Where the camera stands and looks.
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
    /// The cell it is in.
    pub fn cell(self) -> (i32, i32) {
        (floor(self.x), floor(self.y))
    }

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
}

/// A body in the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// The cell it stands on, or leaves.
    pub cell: (i32, i32),
    /// The heading it has, or leaves: quarter turns clockwise from east.
    pub side: usize,
    /// The movement under way and its frames so far, less than the map's `frames`; `None` at rest.
    pub moving: Option<(Key, u8)>,
}

impl Body {
    /// At rest.
    pub fn new(cell: (i32, i32), side: usize) -> Self {
        Self { cell, side, moving: None }
    }

    /// The cell a step leads to; its own for other keys.
    pub fn next(self, key: Key) -> (i32, i32) {
        let side = match key {
            Key::Forward => self.side,
            Key::Back => (self.side + 2) % 4,
            _ => return self.cell,
        };
        (self.cell.0 + SIDES[side].0, self.cell.1 + SIDES[side].1)
    }

    /// Whether a step with `key` ends in another cell.
    pub fn walks(self, map: &Map, key: Key) -> bool {
        let to = self.next(key);
        to != self.cell && !map.solid(to)
    }

    /// The movement under way in the next frame, if `key` is down: a key counts only at rest.
    pub fn latched(self, key: Action) -> Action {
        self.moving.map(|(key, _)| key).or(key)
    }

    /// One frame later. The movement that `key` starts shows at once.
    pub fn after(self, map: &Map, key: Action) -> Self {
        let Some(key) = self.latched(key) else { return self };
        let frames = self.moving.map_or(0, |(_, frames)| frames) + 1;
        if frames < map.frames {
            return Self { moving: Some((key, frames)), ..self };
        }
        let cell = if self.walks(map, key) { self.next(key) } else { self.cell };
        let turn = match key {
            Key::Left => 3,
            Key::Right => 1,
            _ => 0,
        };
        Self { cell, side: (self.side + turn) % 4, moving: None }
    }

    /// Which way the neighbouring cell `to` lies; east if it is none.
    pub fn side_of(self, to: (i32, i32)) -> usize {
        (0..4).find(|&side| Self { side, ..self }.next(Key::Forward) == to).unwrap_or(0)
    }

    /// Where its eyes are.
    pub fn pose(self, map: &Map) -> Pose {
        let (x, y) = (self.cell.0 as f32 + 0.5, self.cell.1 as f32 + 0.5);
        let heading = |turned: i32| (self.side as i32 * 900 + turned).rem_euclid(i32::from(FULL_TURN)) as u16;
        let Some((key, done)) = self.moving else { return Pose { x, y, heading: heading(0) } };
        let part = if self.walks(map, key) { f32::from(done) / f32::from(map.frames) } else { nudge(done, map.frames) };
        let (to, step) = (self.next(key), i32::from(done) * 900 / i32::from(map.frames));
        let turned = match key {
            Key::Left => -step,
            Key::Right => step,
            _ => 0,
        };
        let [dx, dy] = [to.0 - self.cell.0, to.1 - self.cell.1].map(|cells| cells as f32 * part);
        Pose { x: x + dx, y: y + dy, heading: heading(turned) }
    }
}
