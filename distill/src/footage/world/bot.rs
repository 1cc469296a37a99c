//! The bot that plays while we record: stills of every length, there and back, looks around, walks, and a hand on whatever is near.

use std::collections::VecDeque;

use super::fact::Fact;
use super::map::Map;
use super::player::{Action, Body, Key};
use super::rng::Rng;

#[derive(Clone, Copy, Debug)]
enum Order {
    /// Nothing for so many fifths of a movement, which are frames at the keep's usual rate.
    Wait(usize),
    /// One movement.
    Move(Key),
}

/// What a bot likes to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habits {
    /// Share of its plans that are errands: to something drawn for the episode, far away from it, and back.
    pub away: f32,
}

/// Decides what to press.
#[derive(Debug, Default)]
pub struct Bot {
    habits: Habits,
    orders: VecDeque<Order>,
    wait: usize,
}

/// Fifths of a movement of the longest way of an errand there and back: at five frames a movement a window of 64 frames still reaches what was seen before it.
const ERRAND: usize = 60;

impl Bot {
    /// One with `habits`.
    pub fn new(habits: Habits) -> Self {
        Self { habits, ..Self::default() }
    }

    /// The key of the next frame; only a body at rest is asked.
    pub fn act(&mut self, map: &Map, body: Body, rng: &mut Rng) -> Action {
        if body.moving.is_some() {
            return None;
        }
        if self.wait > 0 {
            self.wait -= 1;
            return None;
        }
        if self.orders.is_empty() {
            self.plan(map, body, rng);
        }
        match self.orders.pop_front()? {
            Order::Move(key) => Some(key),
            Order::Wait(n) => {
                self.wait = (n * usize::from(map.frames) / 5).max(1) - 1;
                None
            }
        }
    }

    fn order(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.orders.extend(keys.into_iter().map(Order::Move));
    }

    fn plan(&mut self, map: &Map, body: Body, rng: &mut Rng) {
        if self.habits.away > 0.0 && rng.chance(self.habits.away) {
            return self.errand(map, body, rng);
        }
        let facing = map.decor(body.cell, body.side).is_some_and(|decor| decor.switch().is_some());
        match rng.unit() {
            // What can be used is used, more than once now and then.
            _ if facing && rng.chance(0.5) => {
                for _ in 0..rng.range(1, 3) {
                    self.order([Key::Use]);
                    if rng.chance(0.5) {
                        self.orders.push_back(Order::Wait(rng.range(1, 8)));
                    }
                }
            }
            // Stills: their lengths have an even logarithm.
            p if p < 0.07 => {
                let mut n = 1;
                while n < 128 && rng.chance(0.82) {
                    n *= 2;
                }
                self.orders.push_back(Order::Wait(rng.range(n, (2 * n - 1).min(200))));
            }
            // There and back.
            p if p < 0.38 => {
                use Key::{Back, Forward, Left, Right};
                let (key, n) = ([Forward, Back, Back, Left, Right][rng.range(0, 4)], rng.range(1, 3));
                let (mut there, mut keys) = (body, Vec::new());
                while keys.len() < n && (there.walks(map, key) || matches!(key, Left | Right)) {
                    there.cell = there.next(key);
                    keys.push(key);
                }
                // A turn on the way makes the way back longer than the way there is told.
                if rng.chance(0.3) {
                    keys.push([Left, Right][rng.range(0, 1)]);
                }
                self.order(keys.iter().copied());
                if rng.chance(0.3) {
                    self.orders.push_back(Order::Wait(rng.range(1, 12)));
                }
                self.order(keys.iter().rev().map(|key| key.undo()));
            }
            // A look around.
            p if p < 0.46 => self.order([[Key::Left, Key::Right][rng.range(0, 1)]; 4]),
            p if p < 0.72 => self.walk(map, body, rng),
            // A whim, into walls too.
            _ => {
                use Key::{Back, Forward, Left, Right, Use};
                self.order([[Forward, Back, Back, Left, Right, Use][rng.range(0, 5)]]);
            }
        }
    }

    /// To a fact of the episode, a look at it, some way on from there, and back the same way.
    fn errand(&mut self, map: &Map, body: Body, rng: &mut Rng) {
        use Key::{Back, Forward, Left, Right};
        let walls = map.cells().into_iter().flat_map(|cell| (0..4).map(move |side| Body::new(cell, side)));
        let facts: Vec<Body> =
            walls.filter(|at| map.decor(at.cell, at.side).is_some_and(|decor| Fact::of(decor).is_some())).collect();
        let Some(goal) = facts.get(rng.range(0, facts.len().max(1) - 1)).copied() else { return };
        let side = self.go(map, body, goal.cell, usize::MAX, rng);
        match (goal.side + 4 - side) % 4 {
            0 => {}
            1 => self.order([Right]),
            3 => self.order([Left]),
            _ => self.order([[Left, Right][rng.range(0, 1)]; 2]),
        }
        for _ in 0..rng.range(1, 3) {
            self.orders.push_back(Order::Wait(rng.range(1, 10)));
            // First one's back is turned to it, which hides it wherever it hangs.
            let turn = [Left, Right][rng.range(0, 1)];
            let mut there = Body { side: (goal.side + 2) % 4, ..goal };
            let mut keys = vec![turn; 2];
            for _ in 0..rng.range(0, 4) {
                let key = [Forward, Forward, Forward, Back, turn][rng.range(0, 4)];
                if there.walks(map, key) || key == turn {
                    (0..map.frames).for_each(|_| there = there.after(map, Some(key)));
                    keys.push(key);
                }
            }
            let rest = ERRAND - 2 * 5 * keys.len();
            self.order(keys.iter().copied());
            if rest > 0 && rng.chance(0.7) {
                self.orders.push_back(Order::Wait(rng.range(1, rest)));
            }
            self.order(keys.iter().rev().map(|key| key.undo()));
        }
        self.orders.push_back(Order::Wait(rng.range(1, 5)));
    }

    /// Some cells of the shortest way to anywhere.
    fn walk(&mut self, map: &Map, body: Body, rng: &mut Rng) {
        let cells = map.cells();
        let goal = cells[rng.range(0, cells.len() - 1)];
        let most = rng.range(1, 8);
        self.go(map, body, goal, most, rng);
    }

    /// At most `most` cells of the shortest way to `goal`; returns the heading at the end.
    fn go(&mut self, map: &Map, body: Body, goal: (i32, i32), most: usize, rng: &mut Rng) -> usize {
        let (mut cell, mut side) = (body.cell, body.side);
        for to in route(map, cell, goal).into_iter().take(most) {
            let want = Body::new(cell, side).side_of(to);
            let mut backwards = false;
            match (want + 4 - side) % 4 {
                0 => {}
                1 => self.order([Key::Right]),
                3 => self.order([Key::Left]),
                _ => {
                    backwards = rng.chance(0.6);
                    if !backwards {
                        self.order([[Key::Left, Key::Right][rng.range(0, 1)]; 2]);
                    }
                }
            }
            if backwards {
                self.order([Key::Back]);
            } else {
                side = want;
                self.order([Key::Forward]);
            }
            cell = to;
        }
        side
    }
}

/// The shortest way over open cells, without the first one (breadth-first search from the goal).
pub fn route(map: &Map, from: (i32, i32), goal: (i32, i32)) -> VecDeque<(i32, i32)> {
    let mut next = vec![None; map.size()];
    let mut queue = VecDeque::from([goal]);
    next[map.place(goal)] = Some(goal);
    while let Some((x, y)) = queue.pop_front() {
        for cell in [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)] {
            if !map.solid(cell) && next[map.place(cell)].is_none() {
                next[map.place(cell)] = Some((x, y));
                queue.push_back(cell);
            }
        }
    }
    let mut path = VecDeque::new();
    let mut cell = from;
    while let Some(step) = next[map.place(cell)].filter(|&step| step != cell) {
        path.push_back(step);
        cell = step;
    }
    path
}
