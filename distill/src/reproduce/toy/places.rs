//! Rooms with a picture each, new for every episode, and a player who jumps between them: what a room looks like is known only
//! from the last time it was seen, which may be long ago, or in another light.

use crate::footage::latents::Latents;
use crate::reproduce::toy::{CELLS, latents};
use crate::rng::Rng;

/// Rooms of an episode.
pub const ROOMS: usize = 10;

/// Actions: which room this frame shows.
pub const ACTIONS: [&str; ROOMS] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// Events: which light is on. The second dims what is seen and adds a haze.
pub const LIGHTS: [&str; 2] = ["day", "dusk"];

/// A value as it looks in a light.
pub fn lit(value: f32, light: u8) -> f32 {
    if light == 0 { value } else { 0.5 * value + 0.8 }
}

/// `episodes` of `frames` frames; no room is shown twice in a row. The light changes about every `stretch` frames, never for 0.
pub fn record(episodes: usize, frames: usize, stretch: usize, seed: u64) -> Latents {
    let mut rng = Rng::new(seed);
    let (mut data, mut actions, mut lights) = (Vec::with_capacity(episodes * frames * CELLS), Vec::new(), Vec::new());
    for _ in 0..episodes {
        let rooms = rng.normals(ROOMS * CELLS);
        let (mut room, mut light) = (rng.below(ROOMS), 0);
        for _ in 0..frames {
            room = (room + 1 + rng.below(ROOMS - 1)) % ROOMS;
            if stretch > 0 && rng.below(stretch) == 0 {
                light = 1 - light;
            }
            data.extend(rooms[room * CELLS..][..CELLS].iter().map(|&value| lit(value, light)));
            actions.extend((0..ROOMS).map(|i| f32::from(u8::from(i == room))));
            lights.push(light);
        }
    }
    latents(data, CELLS, actions, lights, frames)
}

/// For each frame of an episode, given its actions [F, ROOMS], how many frames ago its room was last seen; `None` if never.
pub fn ages(actions: &[f32]) -> Vec<Option<usize>> {
    let mut seen = [None; ROOMS];
    let room = |row: &[f32]| row.iter().position(|&x| x == 1.0).unwrap_or(0);
    actions
        .chunks_exact(ROOMS)
        .enumerate()
        .map(|(i, row)| seen[room(row)].replace(i).map(|last: usize| i - last))
        .collect()
}
