//! The bot that plays while we record: it visits every room, and is distracted often enough that every action happens
//! everywhere. Without that a model learns to guess the action from the place.

use std::collections::VecDeque;

use super::map::{self, HEIGHT, WIDTH};
use super::player::{Action, Pose};
use super::rng::Rng;

/// Share of decisions that follow no plan.
const WHIM: f32 = 0.40;

/// Decides what to press; keeps each decision for a few frames as a hand would.
#[derive(Debug)]
pub struct Bot {
    goals: Vec<(i32, i32)>,
    path: VecDeque<(i32, i32)>,
    held: Action,
    frames: usize,
    attack: usize,
}

impl Default for Bot {
    fn default() -> Self {
        Self { goals: map::open_cells(), path: VecDeque::new(), held: Action::default(), frames: 0, attack: 0 }
    }
}

impl Bot {
    /// The action of the next frame.
    pub fn act(&mut self, pose: Pose, rng: &mut Rng) -> Action {
        if self.frames == 0 {
            (self.held, self.frames) = if rng.chance(WHIM) { whim(rng) } else { self.follow(pose, rng) };
            if rng.chance(0.15) {
                self.attack = rng.range(1, 4);
            }
        }
        self.frames -= 1;
        let attack = self.attack > 0;
        self.attack = self.attack.saturating_sub(1);
        Action { attack, ..self.held }
    }

    /// The next decision on the way to the goal. A new goal is chosen on arrival, and now and then before.
    fn follow(&mut self, pose: Pose, rng: &mut Rng) -> (Action, usize) {
        let here = (pose.x.floor() as i32, pose.y.floor() as i32);
        while self.path.front() == Some(&here) {
            self.path.pop_front();
        }
        let lost = self.path.front().is_some_and(|&(x, y)| (x - here.0).abs() + (y - here.1).abs() > 1);
        if self.path.is_empty() || rng.chance(0.01) {
            let goal = self.goals[rng.range(0, self.goals.len() - 1)];
            self.path = route(here, goal);
        } else if lost {
            let goal = self.path[self.path.len() - 1];
            self.path = route(here, goal);
        }
        let Some(&(x, y)) = self.path.front() else {
            return whim(rng);
        };
        let to = [x as f32 + 0.5 - pose.x, y as f32 + 0.5 - pose.y];
        let side = |p: Pose| {
            let [ax, ay] = p.ahead();
            (ax * to[1] - ay * to[0], ax * to[0] + ay * to[1])
        };
        // Facing it within about 17 degrees is good enough.
        let faces = |p: Pose| matches!(side(p), (cross, dot) if dot > 0.0 && cross.abs() < 0.30 * dot);
        if faces(pose) {
            return (Action { forward: true, ..Action::default() }, rng.range(3, 8));
        }
        let (cross, dot) = side(pose);
        let right = cross > 0.0;
        let sign = if right { 1 } else { -1 };
        let frames = (1..=8).find(|&n| faces(pose.turned(sign * n))).unwrap_or(8) as usize;
        // Small corrections are made while walking.
        let forward = dot > 0.0 && cross.abs() < dot && rng.chance(0.85);
        (Action { forward, left: !right, right, ..Action::default() }, frames)
    }
}

/// A decision without a plan.
fn whim(rng: &mut Rng) -> (Action, usize) {
    let left = rng.chance(0.5);
    let turn = Action { left, right: !left, ..Action::default() };
    let hold = rng.range(2, 8);
    match rng.unit() {
        p if p < 0.26 => (Action { forward: true, ..Action::default() }, hold),
        p if p < 0.42 => (turn, hold),
        p if p < 0.62 => (Action { forward: true, ..turn }, hold),
        p if p < 0.79 => (Action { back: true, ..Action::default() }, hold),
        p if p < 0.88 => (Action { back: true, ..turn }, hold),
        p if p < 0.95 => (Action::default(), hold),
        // A look around.
        _ => (turn, rng.range(10, 30)),
    }
}

/// The shortest way over open cells, without the first one (breadth-first search from the goal).
fn route(from: (i32, i32), goal: (i32, i32)) -> VecDeque<(i32, i32)> {
    let index = |(x, y): (i32, i32)| y as usize * WIDTH + x as usize;
    let mut next = [None; WIDTH * HEIGHT];
    let mut queue = VecDeque::from([goal]);
    next[index(goal)] = Some(goal);
    while let Some((x, y)) = queue.pop_front() {
        for cell in [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)] {
            if !map::solid(cell.0, cell.1) && next[index(cell)].is_none() {
                next[index(cell)] = Some((x, y));
                queue.push_back(cell);
            }
        }
    }
    let mut path = VecDeque::new();
    let mut cell = from;
    while let Some(step) = next[index(cell)].filter(|&step| step != cell) {
        path.push_back(step);
        cell = step;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rooms_are_connected() {
        let cells = map::open_cells();
        for &goal in &cells[1..] {
            assert_eq!(route(cells[0], goal).back(), Some(&goal));
        }
    }

    #[test]
    fn bot_visits_most_of_the_building_and_uses_every_action() {
        let mut visits = std::collections::BTreeSet::new();
        let mut presses = [0usize; 5];
        let (mut bot, mut rng) = (Bot::default(), Rng::new(3, 0, 0));
        let mut pose = Pose { x: 6.5, y: 6.5, heading: 0 };
        for _ in 0..6000 {
            let action = bot.act(pose, &mut rng);
            pose = pose.after(action);
            visits.insert((pose.x as i32, pose.y as i32));
            presses.iter_mut().zip(action.row()).for_each(|(n, a)| *n += usize::from(a));
        }
        let cells = map::open_cells().len();
        assert!(visits.len() * 4 > cells * 3, "{} of {cells} cells", visits.len());
        assert!(presses.iter().all(|&n| n > 300), "{presses:?}");
    }
}
