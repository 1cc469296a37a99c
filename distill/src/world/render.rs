//! The camera: a ray caster with smooth shading and box-filtered supersampling.
//!
//! Only exactly rounded operations are used (no library sine or power), so a pose gives the same pixels on every machine.

use super::colour::{Colour, Light, floor, smooth, wave};
use super::map::{self, PILLAR, PILLAR_RADIUS, PILLARS, Pillar, Room, WALL};
use super::player::Pose;

/// Width and height of the picture in pixels.
pub const SIZE: usize = 64;
/// Bytes of one picture.
pub const FRAME: usize = SIZE * SIZE * 3;

// Samples per pixel. Rays are cheap, and vertical edges are what flickers, hence more across; horizontal edges of walls
// get exact coverage besides.
const ACROSS: usize = 4;
const DOWN: usize = 2;
const ROWS: usize = SIZE * DOWN;
// tan(45 degrees): a field of view of 90 degrees.
const HALF_VIEW: f32 = 1.0;
const FOCAL: f32 = SIZE as f32 / 2.0 / HALF_VIEW;
// Height of the eyes, in cells.
const EYE: f32 = 0.5;
// To the sun: east-north-east, half-way up.
const SUN: [f32; 3] = [0.776, -0.388, 0.497];

/// All that one frame shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The camera.
    pub pose: Pose,
    /// The condition of light before the switch that is fading, if one is.
    pub from: Light,
    /// The condition in force.
    pub light: Light,
    /// How much of `light` has come, 0 to 1.
    pub fade: f32,
    /// Strength of the attack's flash, 0 to 1.
    pub flash: f32,
}

/// The exact picture of a pose in settled light without a flash: sRGB bytes [64, 64, 3].
pub fn render(pose: Pose, light: Light) -> [u8; FRAME] {
    render_view(&View { pose, from: light, light, fade: 1.0, flash: 0.0 })
}

/// The exact picture of a view: sRGB bytes [64, 64, 3].
pub fn render_view(view: &View) -> [u8; FRAME] {
    let levels: [Level; ROWS] = std::array::from_fn(Level::new);
    let mut sums = vec![Colour([0.0; 3]); SIZE * SIZE];
    let [ax, ay] = view.pose.ahead();
    for column in 0..SIZE * ACROSS {
        let side = ((column as f32 + 0.5) / (SIZE * ACROSS) as f32 * 2.0 - 1.0) * HALF_VIEW;
        // Right of the way ahead is a quarter turn clockwise: (-ay, ax).
        let ray = Ray::new(view.pose, [ax - ay * side, ay + ax * side]);
        let hits = ray.cast();
        for row in 0..ROWS {
            let pixel = &mut sums[row / DOWN * SIZE + column / ACROSS];
            *pixel = pixel.plus(ray.sample(&hits, &levels[row]));
        }
    }
    let ((f0, t0), (f1, t1)) = (view.from.effect(), view.light.effect());
    let (filter, tint) = (f0.mix(f1, view.fade), t0.mix(t1, view.fade));
    let mut frame = [0; FRAME];
    for (i, (pixel, sum)) in frame.chunks_exact_mut(3).zip(&sums).enumerate() {
        let lit = sum.scale(1.0 / (ACROSS * DOWN) as f32).times(filter).plus(tint);
        let shown = flash(lit, view.flash, i % SIZE, i / SIZE);
        pixel.copy_from_slice(&shown.0.map(|c| (c.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
    }
    frame
}

// The flash shines by itself: light conditions do not touch it.
fn flash(under: Colour, strength: f32, x: usize, y: usize) -> Colour {
    if strength <= 0.0 {
        return under;
    }
    let (dx, dy) = (x as f32 + 0.5 - SIZE as f32 * 0.5, y as f32 + 0.5 - SIZE as f32 * 0.77);
    let d = (dx * dx + dy * dy).sqrt() / SIZE as f32;
    let glow = smooth(0.30, 0.0, d) * 0.55 * strength;
    let core = smooth(0.125, 0.075, d) * (0.35 + 0.65 * strength);
    let halo = under.plus(Colour([1.0, 0.72, 0.30]).scale(glow));
    let heart = Colour([1.0, 0.86, 0.45]).mix(Colour([1.0, 1.0, 0.94]), smooth(0.09, 0.0, d));
    halo.mix(heart, core)
}

/// An upright surface that a ray meets.
#[derive(Clone, Copy)]
struct Hit {
    /// Distance along the way ahead (the ray's parameter).
    distance: f32,
    /// How far above eye level it ends.
    top: f32,
    /// Paint of the surface without and with its accent; shaded for distance and side.
    wall: Colour,
    accent: Colour,
    /// Half the height of the horizontal accent stripe; a wall with upright bands has none.
    stripe: Option<f32>,
}

/// The wall and the pillars that a ray meets, nearest first. What is behind the wall may be seen above it.
type Hits = [Option<Hit>; PILLARS.len() + 1];

/// What all samples of one row share.
struct Level {
    /// How far below eye level the row looks at unit distance.
    drop: f32,
    /// Distance along the way ahead where it meets the floor.
    distance: f32,
}

impl Level {
    fn new(row: usize) -> Self {
        let drop = ((row as f32 + 0.5) / DOWN as f32 - SIZE as f32 / 2.0) / FOCAL;
        Self { drop, distance: EYE / drop.abs() }
    }
}

struct Ray {
    from: [f32; 2],
    along: [f32; 2],
    /// Length of `along`: the ray's parameter counts distance along the way ahead.
    length: f32,
}

fn dim(distance: f32) -> f32 {
    0.34 + 0.66 / (1.0 + 0.045 * distance * distance)
}

impl Ray {
    fn new(pose: Pose, along: [f32; 2]) -> Self {
        let length = (along[0] * along[0] + along[1] * along[1]).sqrt();
        Self { from: [pose.x, pose.y], along, length }
    }

    fn at(&self, t: f32) -> [f32; 2] {
        [self.from[0] + self.along[0] * t, self.from[1] + self.along[1] * t]
    }

    fn cast(&self) -> Hits {
        let mut hits: Hits = std::array::from_fn(|i| match PILLARS.get(i) {
            Some(pillar) => self.pillar(pillar.at).map(|t| self.shaft(pillar, t)),
            None => Some(self.wall()),
        });
        let distance = |hit: &Option<Hit>| hit.as_ref().map_or(f32::INFINITY, |h| h.distance);
        hits.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        hits
    }

    fn shaft(&self, pillar: &Pillar, t: f32) -> Hit {
        let [x, y] = self.at(t);
        let normal = [(x - pillar.at[0]) / PILLAR_RADIUS, (y - pillar.at[1]) / PILLAR_RADIUS];
        let shade = (0.72 + 0.30 * (normal[0] * SUN[0] + normal[1] * SUN[1])) * dim(t * self.length);
        let (wall, accent) = (pillar.shaft.scale(shade), pillar.ring.scale(shade));
        Hit { distance: t, top: PILLAR - EYE, wall, accent, stripe: Some(0.10) }
    }

    /// The ray's parameter where it meets a pillar.
    fn pillar(&self, centre: [f32; 2]) -> Option<f32> {
        let to = [centre[0] - self.from[0], centre[1] - self.from[1]];
        let aa = self.length * self.length;
        let mid = (to[0] * self.along[0] + to[1] * self.along[1]) / aa;
        let cross = to[0] * self.along[1] - to[1] * self.along[0];
        let inside = PILLAR_RADIUS * PILLAR_RADIUS - cross * cross / aa;
        (mid > 0.0 && inside > 0.0).then(|| mid - (inside / aa).sqrt())
    }

    /// Walks the grid from cell border to cell border (a digital differential analyser) until a wall.
    fn wall(&self) -> Hit {
        let mut cell = [floor(self.from[0]), floor(self.from[1])];
        let step = self.along.map(|d| if d < 0.0 { -1 } else { 1 });
        let pace = self.along.map(|d| 1.0 / d.abs().max(1e-9));
        let mut next = [0, 1].map(|i| {
            let within = self.from[i] - cell[i] as f32;
            pace[i] * if step[i] > 0 { 1.0 - within } else { within }
        });
        loop {
            let axis = usize::from(next[1] < next[0]);
            let before = cell;
            cell[axis] += step[axis];
            if let (true, Some(room)) = (map::solid(cell[0], cell[1]), map::room_at(before[0], before[1])) {
                return self.face(axis, step[axis], cell, before, next[axis], room);
            }
            if map::solid(cell[0], cell[1]) {
                // Only a camera inside a wall gets here: it sees black.
                let black = Colour([0.0; 3]);
                return Hit { distance: 1e-3, top: WALL - EYE, wall: black, accent: black, stripe: None };
            }
            next[axis] += pace[axis];
        }
    }

    fn face(&self, axis: usize, step: i32, solid: [i32; 2], open: [i32; 2], t: f32, room: &Room) -> Hit {
        let other = 1 - axis;
        let place = self.at(t)[other];
        let u = place - solid[other] as f32;
        // Each of the four sides has its own brightness: corners stay visible, and a view tells its heading.
        let side = [[1.0, 0.86], [0.78, 0.93]][axis][usize::from(step > 0)];
        let beside =
            |cell: [i32; 2], by: i32| if axis == 0 { (cell[0], cell[1] + by) } else { (cell[0] + by, cell[1]) };
        let mut shade = side * dim(t * self.length);
        let mut frame = 0.0f32;
        for (by, gap) in [(-1, u), (1, 1.0 - u)] {
            let (x, y) = beside(open, by);
            if map::solid(x, y) {
                shade *= 1.0 - 0.30 * smooth(0.30, 0.0, gap);
            }
            let (x, y) = beside(solid, by);
            if map::door(x, y) {
                frame = frame.max(smooth(0.20, 0.15, gap));
            }
        }
        let trim = Colour([0.95, 0.92, 0.84]);
        let paint = |c: Colour| c.mix(trim, frame).scale(shade);
        let top = WALL - EYE;
        if axis == 1 {
            // North and south walls carry one broad upright band in the middle of a court, four cells from the next.
            let band = smooth(0.60, 0.70, wave((place - 0.5) / 4.0));
            let wall = paint(room.wall.mix(room.accent, band));
            return Hit { distance: t, top, wall, accent: wall, stripe: None };
        }
        // East and west walls carry a wide level stripe and a slow swell, so that walking past them shows.
        let swell = 0.76 + 0.24 * wave((place - 0.5) / 4.0);
        let (wall, accent) = (paint(room.wall.scale(swell)), paint(room.accent.scale(swell)));
        Hit { distance: t, top, wall, accent, stripe: Some(0.10) }
    }

    /// The colour seen in one row: walls and pillars, before floor or sky.
    fn sample(&self, hits: &Hits, level: &Level) -> Colour {
        let (mut seen, mut left) = (Colour([0.0; 3]), 1.0);
        for hit in hits.iter().flatten() {
            // Depth on the surface below eye level, and the height of one sample there.
            let v = level.drop * hit.distance;
            let sample = hit.distance / (FOCAL * DOWN as f32);
            let cover = ((EYE - v).min(v + hit.top) / sample + 0.5).clamp(0.0, 1.0);
            if cover > 0.0 {
                let stripe = hit.stripe.map_or(0.0, |half| smooth(half + 0.02, half - 0.02, (v - 0.10).abs()));
                // A plinth below, and a little less light near the floor.
                let light = (1.03 - 0.40 * v.max(0.0) * v) * (1.0 - 0.35 * smooth(0.40, 0.44, v));
                seen = seen.plus(hit.wall.mix(hit.accent, stripe).scale(light * cover * left));
                left *= 1.0 - cover;
            }
            if left <= 0.0 {
                return seen;
            }
        }
        seen.plus(self.plane(level).scale(left))
    }

    /// Floor or sky.
    fn plane(&self, level: &Level) -> Colour {
        if level.drop < 0.0 {
            return self.sky(level.drop);
        }
        let t = level.distance;
        let [x, y] = self.at(t);
        let (cx, cy) = (floor(x), floor(y));
        let Some(room) = map::room_at(cx, cy) else {
            return Colour([0.1; 3]);
        };
        // The middle of a court is at 2.5 or 6.5.
        let from_middle = |p: f32| p - if p < 4.5 { 2.5 } else { 6.5 };
        let (dx, dy) = (from_middle(x), from_middle(y));
        let disc = smooth(0.98, 0.90, (dx * dx + dy * dy).sqrt());
        room.floor.mix(room.disc, disc).scale(dim(t * self.length) * self.corner(x, y, cx, cy))
    }

    /// Less light where a wall is near.
    fn corner(&self, x: f32, y: f32, cx: i32, cy: i32) -> f32 {
        let (u, v) = (x - cx as f32, y - cy as f32);
        let dark =
            |gap: f32, x, y| if gap < 0.25 && map::solid(x, y) { 1.0 - 0.30 * smooth(0.25, 0.0, gap) } else { 1.0 };
        dark(u, cx - 1, cy) * dark(1.0 - u, cx + 1, cy) * dark(v, cx, cy - 1) * dark(1.0 - v, cx, cy + 1)
    }

    fn sky(&self, drop: f32) -> Colour {
        let up = -drop;
        let size = (self.length * self.length + up * up).sqrt();
        let height = up / size;
        // The horizon's colour turns with the heading: pink in the east, green in the west, pale in the south.
        let (east, south) = (self.along[0] / self.length, self.along[1] / self.length);
        let horizon = Colour([0.74 + 0.20 * east, 0.78 - 0.12 * east + 0.08 * south, 0.84 + 0.12 * south]);
        let blue = horizon.mix(Colour([0.20, 0.42, 0.86]), smooth(0.02, 0.85, height));
        let near = ((self.along[0] * SUN[0] + self.along[1] * SUN[1] + up * SUN[2]) / size).max(0.0);
        let glow = near * near * near * near;
        let disc = smooth(0.965, 0.985, near);
        blue.plus(Colour([0.30, 0.20, 0.02]).scale(glow)).mix(Colour([1.0, 0.97, 0.86]), disc)
    }
}
