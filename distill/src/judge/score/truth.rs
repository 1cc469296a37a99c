//! The true future by the renderer, along any keys; the fixed walks; ways there and back.

use crate::footage::world::bot::route;
use crate::footage::world::facts::Facts;
use crate::footage::world::{Action, Body, Key, Light, Map, Rng, Scene, View, World, player, view_from_row};

use super::dreamer::{Play, Real, SHOWN};
use super::held::{Held, Told};
use super::probe::Probe;

/// A place with its renderer, and what is known of its views.
#[derive(Debug)]
pub struct Truth {
    /// The place.
    pub scene: Scene,
    /// Its poses.
    pub probe: Probe,
    /// What is drawn in it for each episode.
    pub facts: Facts,
}

impl Truth {
    /// Of the place that `scene` shows.
    pub fn new(scene: Scene) -> Self {
        Self { scene, probe: Probe::new(scene), facts: Facts::new(scene) }
    }

    /// What frame `i` of `held` shows, if its pose row says so.
    fn view(&self, held: &Held<'_>, i: usize) -> Option<View> {
        let view = view_from_row(held.recording.pose(i), held.recording.events[i])?;
        let (banners, switches) = (6u32.checked_pow(self.scene.map.banners as u32)?, self.scene.map.switches);
        (view.banners < banners && view.on >> switches == 0 && !self.scene.map.solid(view.pose.cell())).then_some(view)
    }

    /// What the last real frames up to `i` show.
    pub fn views(&self, held: &Held<'_>, i: usize) -> Option<Vec<View>> {
        (i + 1 - SHOWN..=i).map(|k| self.view(held, k)).collect()
    }

    /// The world at frame `i`, if there its body rests in settled light.
    pub fn world(&self, held: &Held<'_>, i: usize) -> Option<World> {
        let view = self.view(held, i)?;
        // No movement is told of only where none is under way.
        let rests = held.told(i) == Told::Nothing && view.fade == 1.0 && view.change == 0.0;
        let body = Body::new(view.pose.cell(), usize::from(view.pose.heading / 900));
        let rests = rests && body.pose(self.scene.map) == view.pose;
        rests.then(|| World::new(self.scene.map, body, view.light, view.phase, [view.banners, view.on]))
    }

    /// What comes when `keys` are pressed in `world`, and the light is switched at the frames that `switches` say.
    pub fn play(&self, world: &World, keys: &[Action], switches: &[(usize, Light)]) -> Play {
        let (mut world, mut out) = (world.clone(), Play::default());
        for (t, &key) in keys.iter().enumerate() {
            let told = world.step(key, switches.iter().find(|(at, _)| *at == t).map(|(_, light)| *light));
            out.rows.push(player::row(told).to_vec());
            out.events.push(world.view().light.index());
            out.truth.push(self.scene.render(world.view()));
            out.views.push(*world.view());
        }
        out
    }

    /// [`SHOWN`] frames and `lead` before, in which `keys` are pressed in `world` (none after them), and the world they lead to.
    pub fn shown(&self, world: &World, lead: usize, keys: &[Action]) -> (Real, World) {
        let mut after = world.clone();
        let keys: Vec<Action> = (0..lead + SHOWN).map(|t| keys.get(t).copied().flatten()).collect();
        for &key in &keys {
            after.step(key, None);
        }
        let play = self.play(world, &keys, &[]);
        let (rows, views) = (play.rows[lead..].to_vec(), play.views[lead..].to_vec());
        (Real { frames: play.truth, rows, event: after.view().light.index(), views }, after)
    }
}

/// Keys for so many movements in `map`, each pressed as long as it lasts.
pub fn held_down(map: &Map, keys: &[Key]) -> Vec<Action> {
    keys.iter().flat_map(|&key| std::iter::repeat_n(Some(key), usize::from(map.frames))).collect()
}

/// The fixed walk number `n` from where `body` stands, of `frames` frames: to one place after another, with steps back and short
/// stops. At least three in five frames move, and for each twelve frames a cell is walked, so that one of 256 frames leads over 21.
pub fn walk(map: &Map, body: Body, n: u64, frames: usize) -> Vec<Action> {
    let mut best: (usize, Vec<Action>) = (0, Vec::new());
    for attempt in 0..64 {
        let keys = wander(map, body, &mut Rng::new(n, attempt, 0x77), frames);
        let [moving, cells] = paces(map, body, &keys);
        if moving * 5 >= frames * 3 && cells >= frames / 12 {
            return keys;
        }
        if cells >= best.0 {
            best = (cells, keys);
        }
    }
    best.1
}

/// How many frames of a walk are of a movement, and over how many cells it leads.
pub fn paces(map: &Map, mut body: Body, keys: &[Action]) -> [usize; 2] {
    let (mut moving, mut cells) = (0, 0);
    for &key in keys {
        let told = body.latched(key);
        let after = body.after(map, key);
        moving += usize::from(told.is_some());
        cells += usize::from(after.cell != body.cell);
        body = after;
    }
    [moving, cells]
}

fn wander(map: &Map, mut body: Body, rng: &mut Rng, frames: usize) -> Vec<Action> {
    let (cells, mut out) = (map.cells(), Vec::new());
    while out.len() < frames {
        let goal = cells[rng.range(0, cells.len() - 1)];
        for to in route(map, body.cell, goal) {
            let mut movements = Vec::new();
            let want = body.side_of(to);
            match (want + 4 - body.side) % 4 {
                0 => {}
                1 => movements.push(Key::Right),
                3 => movements.push(Key::Left),
                _ if rng.chance(0.5) => movements.extend([Key::Left; 2]),
                _ => {}
            }
            let behind = movements.is_empty() && want != body.side;
            movements.push(if behind { Key::Back } else { Key::Forward });
            out.extend(held_down(map, &movements));
            body = Body::new(to, if behind { body.side } else { want });
        }
        out.extend(vec![None; rng.range(0, 10)]);
    }
    out.truncate(frames);
    out
}

/// A way of `movements` there and, undone, back again. The first is number `n` of the four keys, if it can be walked.
pub fn there_and_back(map: &Map, body: Body, n: usize, movements: usize) -> Vec<Action> {
    let (mut there, mut at, mut rng) = (Vec::new(), body, Rng::new(n as u64, movements as u64, 0xb4));
    const KEYS: [Key; 4] = [Key::Forward, Key::Left, Key::Back, Key::Right];
    while there.len() < movements {
        let pick = if there.is_empty() { n % 4 } else { rng.range(0, 3) };
        // What cannot be walked gives way to the turn after it.
        let key =
            [KEYS[pick], KEYS[(pick + 1) % 4]].into_iter().find(|&key| at.walks(map, key) || at.next(key) == at.cell);
        let Some(key) = key else { break };
        (0..map.frames).for_each(|_| at = at.after(map, Some(key)));
        there.push(key);
    }
    let back: Vec<Key> = there.iter().rev().map(|key| key.undo()).collect();
    held_down(map, &[there, back].concat())
}
