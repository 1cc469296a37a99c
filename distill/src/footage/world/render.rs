//! The camera: a ray caster with flat colours and hard edges.
//!
//! Only exactly rounded operations are used (no library sine or power), so a view gives the same pixels on every machine.

use super::colour::{Colour, Light, floor};
use super::map::{Map, Room};
use super::view::{Seen, View, hash};
use super::wall;

// Samples per pixel each way.
const FINE: usize = 3;
// The eyes are this far behind the middle of the cell, so that a wall ahead at rest fits into the picture.
const BEHIND: f32 = 0.42;
// Half of the height seen at distance 1: a wall one cell high and ahead at rest is 5/8 of the picture.
const SLOPE: f32 = 0.5 / 0.625 / (0.5 + BEHIND);

/// How large pictures are, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// The exact picture of a view: sRGB bytes [height, width, 3].
pub fn render(map: &Map, size: Size, view: &View) -> Vec<u8> {
    let Size { width, height } = size;
    let wide = SLOPE * width as f32 / height as f32;
    let mut sums = vec![Colour([0.0; 3]); width * height];
    let [ax, ay] = view.pose.ahead();
    let eye = [view.pose.x - BEHIND * ax, view.pose.y - BEHIND * ay];
    for column in 0..width * FINE {
        let side = ((column as f32 + 0.5) / (width * FINE) as f32 * 2.0 - 1.0) * wide;
        let ray = cast(map, eye, [ax - ay * side, ay + ax * side]);
        let bearing = bearing(ray.along);
        for row in 0..height * FINE {
            let rise = (1.0 - (row as f32 + 0.5) / (height * FINE) as f32 * 2.0) * SLOPE;
            let seen = sample(map, view, &ray, rise, bearing);
            let mut shown = lit(&seen, view.light);
            if view.fade < 1.0 {
                shown = lit(&seen, view.from).mix(shown, view.fade);
            }
            let pixel = &mut sums[row / FINE * width + column / FINE];
            *pixel = pixel.plus(shown);
        }
    }
    let mut frame = vec![0; width * height * 3];
    for (pixel, sum) in frame.chunks_exact_mut(3).zip(&sums) {
        let shown = sum.scale(1.0 / (FINE * FINE) as f32);
        pixel.copy_from_slice(&shown.0.map(|c| (c.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
    }
    frame
}

/// A ray in the plan, and the wall it meets.
pub(super) struct Ray {
    eye: [f32; 2],
    along: [f32; 2],
    /// Distance of the wall.
    pub far: f32,
    /// Where along the wall, from the viewer's left.
    pub u: f32,
    /// The open cell before the wall, and on which of its sides the wall stands.
    pub cell: (i32, i32),
    pub side: usize,
}

fn cast(map: &Map, eye: [f32; 2], along: [f32; 2]) -> Ray {
    let mut cell = [floor(eye[0]), floor(eye[1])];
    let step = along.map(|d| if d > 0.0 { 1 } else { -1 });
    let pace = along.map(|d| if d.abs() < 1e-6 { 1e9 } else { 1.0 / d.abs() });
    let mut next: [f32; 2] = std::array::from_fn(|i| {
        let gap = if step[i] > 0 { (cell[i] + 1) as f32 - eye[i] } else { eye[i] - cell[i] as f32 };
        gap * pace[i]
    });
    for _ in 0..64 {
        let axis = usize::from(next[1] < next[0]);
        let before = (cell[0], cell[1]);
        cell[axis] += step[axis];
        if map.solid((cell[0], cell[1])) {
            let far = next[axis];
            let side = match (axis, step[axis] > 0) {
                (0, true) => 0,
                (1, true) => 1,
                (0, false) => 2,
                _ => 3,
            };
            let place = eye[1 - axis] + along[1 - axis] * far - [before.0, before.1][1 - axis] as f32;
            // Looking east, south is right; looking south, west is right.
            let u = if side == 0 || side == 3 { place } else { 1.0 - place };
            return Ray { eye, along, far, u, cell: before, side };
        }
        next[axis] += pace[axis];
    }
    Ray { eye, along, far: 64.0, u: 0.0, cell: (cell[0], cell[1]), side: 0 }
}

/// Which of 32 parts of the horizon a ray looks to, counted clockwise from east.
fn bearing([x, y]: [f32; 2]) -> i32 {
    // A diamond angle: no library functions.
    let part = y / (x.abs() + y.abs());
    let turn = match (x >= 0.0, y >= 0.0) {
        (true, true) => part,
        (true, false) => 4.0 + part,
        (false, _) => 2.0 - part,
    };
    floor(turn * 8.0)
}

fn sample(map: &Map, view: &View, ray: &Ray, rise: f32, bearing: i32) -> Seen {
    let nothing = Seen::plain(Colour([0.0; 3]), ray.far);
    let far = 0.5 / rise.abs().max(1e-6);
    if far < ray.far {
        let [x, y] = [0, 1].map(|i| ray.eye[i] + ray.along[i] * far);
        let cell = (floor(x), floor(y));
        // The eye may be inside the wall behind it.
        let Some(room) = map.room(cell) else { return nothing };
        let (fx, fy) = (floor((x - cell.0 as f32) * 2.0), floor((y - cell.1 as f32) * 2.0));
        return match room.ceiling {
            _ if rise < 0.0 => Seen::plain(room.floor[((fx + fy) & 1) as usize], far),
            Some(ceiling) => Seen::plain(ceiling[(fx & 1) as usize], far),
            None => Seen { shines: true, sky: Some((rise / SLOPE, bearing)), ..nothing },
        };
    }
    let Some(room) = map.room(ray.cell) else { return nothing };
    let shade = [1.0, 0.80, 0.90, 0.86][ray.side];
    let mut seen = match map.decor(ray.cell, ray.side) {
        Some(decor) => {
            let ahead = (ray.cell, ray.side) == (view.pose.cell(), usize::from(view.pose.heading / 900));
            wall::hung(decor, view, ahead, ray.u, 0.5 + rise * ray.far, || stones(room, ray, rise))
        }
        None => stones(room, ray, rise),
    };
    seen.far = ray.far;
    if !seen.shines {
        seen.paint = seen.paint.scale(shade);
    }
    seen
}

fn stones(room: &Room, ray: &Ray, rise: f32) -> Seen {
    const JOINT: f32 = 0.05;
    let v = 0.5 + rise * ray.far;
    let [rows, per_row] = room.bricks;
    let row = floor(v * rows);
    let across = ray.u * per_row + if row & 1 == 0 { 0.0 } else { 0.5 };
    let brick = floor(across);
    let (a, b) = (across - brick as f32, v * rows - row as f32);
    // From afar joints are left out: they would only flicker.
    let fine = ray.far < if rows > 2.0 { 1.4 } else { 2.4 };
    let mortar = fine && (a < JOINT * per_row || b < JOINT * rows);
    let tone = hash([ray.cell.0 * 8 + ray.cell.1, ray.side as i32, row, brick]) & 1;
    Seen::plain(room.wall[if mortar { 2 } else { tone as usize }], ray.far)
}

/// The sky; height 0 to 1 is the upper half of the picture, bearing a 32nd of the horizon.
fn sky(light: Light, height: f32, bearing: i32) -> Colour {
    let ridge = [0.46, 0.52, 0.58, 0.52, 0.44, 0.40, 0.48, 0.60][(bearing & 7) as usize]
        + if bearing / 8 == 1 { 0.10 } else { 0.0 };
    // South-east has the sun or the moon.
    let orb = (3..5).contains(&(bearing % 32)) && height > 0.70 && height < 0.86;
    let [high, low, hill, sun] = match light {
        Light::Day => [[0.30, 0.60, 0.96], [0.55, 0.78, 0.98], [0.42, 0.56, 0.66], [1.0, 0.97, 0.70]],
        Light::Dusk => [[0.80, 0.34, 0.42], [0.98, 0.60, 0.34], [0.34, 0.20, 0.36], [1.0, 0.85, 0.35]],
        Light::Night => [[0.05, 0.06, 0.20], [0.09, 0.11, 0.30], [0.04, 0.05, 0.12], [0.92, 0.94, 1.0]],
        Light::Fog => [FOG, FOG, [0.70, 0.73, 0.76], [0.88, 0.88, 0.86]],
    };
    Colour(match () {
        () if height < ridge => hill,
        () if orb => sun,
        () if height > 0.75 => high,
        () => low,
    })
}

const FOG: [f32; 3] = [0.76, 0.79, 0.82];

fn lit(seen: &Seen, light: Light) -> Colour {
    if let Some((height, bearing)) = seen.sky {
        return sky(light, height, bearing);
    }
    let band = |limits: [f32; 3]| limits.iter().filter(|&&l| seen.far > l).count();
    let warm = |by: [f32; 3]| if seen.warm { Colour(by) } else { Colour([0.0; 3]) };
    match light {
        Light::Fog => {
            let by = [0.12, 0.42, 0.68, 0.88][band([1.2, 2.2, 3.2])] * if seen.shines { 0.5 } else { 1.0 };
            seen.paint.plus(warm([0.08, 0.04, 0.0])).mix(Colour(FOG), by)
        }
        _ if seen.shines => seen.paint,
        Light::Day => seen.paint.scale([1.0, 0.84, 0.70, 0.58][band([1.5, 2.5, 3.5])]).plus(warm([0.05, 0.03, 0.0])),
        Light::Dusk => {
            let paint = seen.paint.times(Colour([1.0, 0.70, 0.54]));
            let far = paint.scale([1.0, 0.80, 0.62, 0.48][band([1.5, 2.5, 3.5])]);
            far.plus(Colour([0.03, 0.0, 0.06])).plus(warm([0.14, 0.08, 0.0]))
        }
        Light::Night => {
            const LANTERN: [[f32; 3]; 4] =
                [[0.95, 0.78, 0.52], [0.50, 0.42, 0.36], [0.28, 0.28, 0.36], [0.17, 0.19, 0.30]];
            let paint = seen.paint.times(Colour(LANTERN[band([1.0, 1.6, 2.6])]));
            paint.plus(Colour([0.0, 0.0, 0.04])).plus(warm([0.30, 0.16, 0.02]))
        }
    }
}
