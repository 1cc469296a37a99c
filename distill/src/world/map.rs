//! The building: four colour-coded courts under open sky, with a tower in each.

use super::colour::Colour;

/// Cells along x.
pub const WIDTH: usize = 9;
/// Cells along y (y grows downwards, to the south).
pub const HEIGHT: usize = 9;
/// Height of all walls, in cells. Eyes are at half a cell, so towers and sky are seen above a wall from anywhere: every
/// picture tells where it was taken, and a model that sees one need not guess.
pub const WALL: f32 = 0.7;

// Every court has its own colour, so that one look tells where one stands.
const PLAN: [&[u8; WIDTH]; HEIGHT] = [
    b"#########", //
    b"#rrr#ggg#",
    b"#rrrdggg#",
    b"#rrr#ggg#",
    b"##d###d##",
    b"#ttt#sss#",
    b"#tttdsss#",
    b"#ttt#sss#",
    b"#########",
];

/// How one kind of room is painted.
pub struct Room {
    /// Walls.
    pub wall: Colour,
    /// Bands and stripes on the walls.
    pub accent: Colour,
    /// Floor.
    pub floor: Colour,
    /// The disc in the middle of the floor.
    pub disc: Colour,
}

const fn room(wall: [f32; 3], accent: [f32; 3], floor: [f32; 3], disc: [f32; 3]) -> Room {
    Room { wall: Colour(wall), accent: Colour(accent), floor: Colour(floor), disc: Colour(disc) }
}

const KINDS: &[u8] = b"drgts";
static ROOMS: [Room; 5] = [
    room([0.93, 0.90, 0.82], [0.80, 0.74, 0.62], [0.52, 0.48, 0.44], [0.52, 0.48, 0.44]),
    room([0.84, 0.22, 0.18], [0.98, 0.66, 0.46], [0.50, 0.27, 0.24], [0.80, 0.56, 0.44]),
    room([0.22, 0.62, 0.26], [0.80, 0.92, 0.42], [0.24, 0.40, 0.22], [0.56, 0.68, 0.36]),
    room([0.10, 0.56, 0.66], [0.86, 0.97, 0.92], [0.20, 0.36, 0.46], [0.46, 0.68, 0.72]),
    room([0.74, 0.62, 0.46], [0.44, 0.34, 0.30], [0.58, 0.50, 0.38], [0.86, 0.80, 0.64]),
];

/// A round free-standing tower, seen above the walls. It stands on a cell corner, so paths over cell centres are clear.
pub struct Pillar {
    /// Centre, in cells.
    pub at: [f32; 2],
    /// Colour of the shaft.
    pub shaft: Colour,
    /// Colour of the ring at mid-height.
    pub ring: Colour,
}

/// Radius of every pillar, in cells.
pub const PILLAR_RADIUS: f32 = 0.24;

const fn pillar(x: f32, y: f32, shaft: [f32; 3], ring: [f32; 3]) -> Pillar {
    Pillar { at: [x, y], shaft: Colour(shaft), ring: Colour(ring) }
}

/// Top of every pillar, in cells above the floor.
pub const PILLAR: f32 = 1.3;

/// All pillars, each painted unlike its surroundings.
pub static PILLARS: [Pillar; 4] = [
    pillar(2.0, 3.0, [0.95, 0.80, 0.28], [0.99, 0.96, 0.80]),
    pillar(7.0, 2.0, [0.88, 0.30, 0.50], [0.99, 0.86, 0.90]),
    pillar(3.0, 7.0, [0.95, 0.94, 0.90], [0.85, 0.25, 0.18]),
    pillar(6.0, 6.0, [0.28, 0.25, 0.42], [0.96, 0.62, 0.20]),
];

// The plan as indices into ROOMS, so that the renderer's inner loop is one look-up.
const SOLID: u8 = u8::MAX;
const DOOR: u8 = 0;
static KIND: [[u8; WIDTH]; HEIGHT] = {
    let mut kinds = [[SOLID; WIDTH]; HEIGHT];
    let mut cell = 0;
    while cell < WIDTH * HEIGHT {
        let mut i = 0;
        while i < KINDS.len() {
            if KINDS[i] == PLAN[cell / WIDTH][cell % WIDTH] {
                kinds[cell / WIDTH][cell % WIDTH] = i as u8;
            }
            i += 1;
        }
        cell += 1;
    }
    kinds
};

fn kind(x: i32, y: i32) -> u8 {
    // A negative index wraps to a large one, which is outside as well.
    KIND.get(y as usize).and_then(|row| row.get(x as usize)).copied().unwrap_or(SOLID)
}

/// Whether a cell is wall. Cells outside the plan are.
pub fn solid(x: i32, y: i32) -> bool {
    kind(x, y) == SOLID
}

/// Whether a cell is a doorway.
pub fn door(x: i32, y: i32) -> bool {
    kind(x, y) == DOOR
}

/// The paint of an open cell; `None` for a wall.
pub fn room_at(x: i32, y: i32) -> Option<&'static Room> {
    ROOMS.get(usize::from(kind(x, y)))
}

/// All open cells, row by row.
pub fn open_cells() -> Vec<(i32, i32)> {
    let cells = (0..HEIGHT as i32).flat_map(|y| (0..WIDTH as i32).map(move |x| (x, y)));
    cells.filter(|&(x, y)| !solid(x, y)).collect()
}

/// Whether a disc of the given radius around (x, y) touches neither wall nor pillar.
pub fn free(x: f32, y: f32, radius: f32) -> bool {
    let reach = radius + PILLAR_RADIUS;
    let clear = |p: &Pillar| {
        let (dx, dy) = (x - p.at[0], y - p.at[1]);
        dx * dx + dy * dy >= reach * reach
    };
    let (x0, x1) = ((x - radius).floor() as i32, (x + radius).floor() as i32);
    let (y0, y1) = ((y - radius).floor() as i32, (y + radius).floor() as i32);
    (y0..=y1).all(|cy| (x0..=x1).all(|cx| !solid(cx, cy))) && PILLARS.iter().all(clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_open_cell_is_painted_and_enclosed() {
        for (x, y) in open_cells() {
            assert!(room_at(x, y).is_some(), "cell {x},{y} has no paint");
            assert!(x > 0 && y > 0 && x < WIDTH as i32 - 1 && y < HEIGHT as i32 - 1);
        }
        assert!(room_at(0, 0).is_none() && room_at(-1, 40).is_none());
    }

    #[test]
    fn cell_centres_are_free_and_pillars_are_not() {
        for (x, y) in open_cells() {
            assert!(free(x as f32 + 0.5, y as f32 + 0.5, 0.30));
        }
        for p in &PILLARS {
            assert!(!free(p.at[0], p.at[1], 0.05));
        }
    }
}
