//! Row 5, second half: what only memory knows. A fact is shown, goes out of sight, and is seen again.

use crate::footage::world::fact::Fact;
use crate::footage::world::map::Decor;
use crate::footage::world::{Action, Body, Key, Light, Rng, World};

use super::dreamer::{LEAD, Memory, Picture, Play, Real, SHOWN};
use super::error::ScoreError;
use super::report::Row;
use super::trial::Trial;
use super::truth::{Truth, held_down};
use crate::stats::bootstrap::{Estimate, mean, over};

/// Kinds of facts, each asked for by itself.
const KINDS: [&str; 4] = ["banner", "torch", "door", "lever"];

fn kind(decor: Decor) -> Option<usize> {
    match decor {
        Decor::Banner(_) => Some(0),
        Decor::Torch(_) => Some(1),
        Decor::Door(_) => Some(2),
        Decor::Lever(_) => Some(3),
        _ => None,
    }
}

/// A wall with a fact on it, and where a body stands before it.
struct Wall {
    body: Body,
    fact: Fact,
}

fn walls(truth: &Truth, of: usize) -> Vec<Wall> {
    let map = truth.scene.map;
    let bodies = map.cells().into_iter().flat_map(|cell| (0..4).map(move |side| Body::new(cell, side)));
    let hung = bodies.filter_map(|body| Some((body, map.decor(body.cell, body.side)?)));
    let fitting = hung.filter(|(_, decor)| kind(*decor) == Some(of));
    fitting.filter_map(|(body, decor)| Some(Wall { body, fact: Fact::of(decor)? })).collect()
}

/// One question: the fact is seen in the real frames, and again in the last frame of each play.
struct Question {
    real: Real,
    /// With each, for how many frames running the fact is out of sight.
    plays: Vec<(Play, usize)>,
    fact: Fact,
}

impl Question {
    /// Number `i` of its kind. Values are dealt out evenly, so that a dreamer that always says the same is right by chance.
    fn new(truth: &Truth, asked: &[usize], of: usize, i: usize) -> Option<Self> {
        let (map, walls) = (truth.scene.map, walls(truth, of));
        let fact = walls.first()?.fact;
        let (value, round) = (i as u32 % fact.values(), i / fact.values() as usize);
        let wall = &walls[(i + round) % walls.len()];
        let mut rng = Rng::new(i as u64, of as u64, 0xfac7);
        let any = [rng.range(0, 6usize.pow(map.banners as u32) - 1), rng.range(0, (1 << map.switches) - 1)];
        // It is turned to, and looked at for a while.
        let body = Body { side: (wall.body.side + 1) % 4, ..wall.body };
        let begun = World::new(map, body, Light::ALL[i % map.lights], rng.range(0, 3) as u8, any.map(|x| x as u32));
        let view = wall.fact.with(*begun.view(), value);
        let begun = World::new(map, body, view.light, view.phase, [view.banners, view.on]);
        let mut keys = vec![None; LEAD + SHOWN / 4];
        keys.extend(held_down(map, &[Key::Left]));
        let (real, world) = truth.shown(&begun, LEAD, &keys);
        let plays = asked.iter().map(|&frames| away(truth, &world, wall.fact, frames, &mut rng)).collect();
        Some(Self { real, plays, fact: wall.fact })
    }
}

/// `frames` frames, away from `fact` and back before it, and for how many running it is out of sight: the longest way of many.
fn away(truth: &Truth, world: &World, fact: Fact, frames: usize, rng: &mut Rng) -> (Play, usize) {
    let (map, half) = (truth.scene.map, frames / 2 / usize::from(truth.scene.map.frames));
    // To turn one's back to it and wait hides it, wherever that is.
    let turn = held_down(map, &[Key::Left; 2]);
    let rest = vec![None; frames.saturating_sub(2 * turn.len())];
    let mut ways = vec![[turn, rest, held_down(map, &[Key::Right; 2])].concat()];
    for _ in 0..32 {
        let (mut body, mut there) = (world.body(), Vec::new());
        while there.len() < half {
            let any = [Key::Left, Key::Right, Key::Forward, Key::Back];
            let key = any[rng.range(0, if there.is_empty() { 1 } else { 3 })];
            if body.walks(map, key) || body.next(key) == body.cell {
                (0..map.frames).for_each(|_| body = body.after(map, Some(key)));
                there.push(key);
            }
        }
        let back: Vec<Key> = there.iter().rev().map(|key| key.undo()).collect();
        ways.push(held_down(map, &[there, back].concat()));
    }
    let hidden = |keys: &Vec<Action>| {
        let (mut body, mut run, mut longest) = (world.body(), 0, 0);
        for &key in keys {
            body = body.after(map, key);
            run = if truth.facts.hidden(fact, body.pose(map)) { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest
    };
    let best = ways.iter().map(|keys| (hidden(keys), keys)).max_by_key(|way| way.0);
    best.map_or_else(Default::default, |(hidden, keys)| (truth.play(world, keys, &[]), hidden))
}

/// Ways to remember.
fn arms(trial: &Trial<'_>) -> Vec<(String, Memory)> {
    let (window, route) = (trial.window(), trial.route());
    let dense = ("dense".to_owned(), Memory { window: Some(window), route: Some(0) });
    if route == 0 || route + 1 >= window {
        return vec![dense];
    }
    let routed = (format!("routed to {route}"), Memory { window: Some(window), route: Some(route) });
    // A routed query sees so many history frames, and the frame in the making.
    let short = (format!("window of {}", route + 1), Memory { window: Some(route + 1), route: Some(0) });
    vec![routed, short, dense]
}

/// What the questions of one start came to: for each arm and each way, right or wrong for each seed.
struct Answers {
    of: usize,
    right: Vec<Vec<Vec<f64>>>,
    chance: f64,
    hidden: Vec<usize>,
    pictures: Vec<Picture>,
}

fn ask(
    trial: &Trial<'_>,
    truth: &Truth,
    arms: &[(String, Memory)],
    of: usize,
    i: usize,
) -> Result<Option<Answers>, ScoreError> {
    let Some(question) = Question::new(truth, &trial.options.asked, of, i) else { return Ok(None) };
    let plays: Vec<&Play> = question.plays.iter().map(|(play, _)| play).collect();
    let mut right = vec![vec![Vec::new(); plays.len()]; arms.len()];
    let mut pictures = vec![question.real.frames[question.real.frames.len() - 1].clone()];
    pictures.extend(plays.last().and_then(|play| play.truth.last().cloned()));
    for ((_, memory), right) in arms.iter().zip(&mut right) {
        for seed in trial.seeds() {
            let dreams = trial.dreamer.dream(&question.real, &plays, *memory, seed)?;
            for ((dream, play), right) in dreams.iter().zip(&plays).zip(right.iter_mut()) {
                let (Some(last), Some(view)) = (dream.last(), play.views.last()) else { continue };
                let judged = truth.facts.judged(question.fact, view, last);
                right.push(f64::from(u8::from(judged == question.fact.value(view))));
            }
            if seed == 0 {
                pictures.extend(dreams.last().and_then(|dream| dream.last().cloned()));
            }
        }
    }
    let hidden = question.plays.iter().map(|(_, hidden)| *hidden).collect();
    Ok(Some(Answers { of, right, chance: 1.0 / f64::from(question.fact.values()), hidden, pictures }))
}

/// The row, and pictures of some questions: as it was last seen, the truth when asked, and the answer of each arm.
///
/// # Errors
/// [`ScoreError`] when the dreamer fails.
pub fn row(trial: &Trial<'_>) -> Result<(Row, Vec<Vec<Picture>>), ScoreError> {
    let arms = arms(trial);
    let mut row = Row::new(
        5,
        "what only memory knows",
        "(right - chance) / (1 - chance) of every kind: routed >= 0.85, a window of the same cost <= 0.15",
        "facts drawn per episode; one is shown, goes out of sight and is seen again after so many frames; the answer is the value \
         whose true picture is nearest to the dream; values are dealt out evenly",
    );
    let truth = match &trial.truth {
        Ok(truth) => truth,
        Err(why) => return Ok((row.missing(why), Vec::new())),
    };
    let each = trial.options.starts;
    let found = trial.each("memory", KINDS.len() * each, |k| ask(trial, truth, &arms, k / each, k % each))?;
    let found: Vec<Answers> = found.into_iter().flatten().collect();
    let (mut parts, mut met) = (Vec::new(), arms.len() > 1);
    for (a, (arm, _)) in arms.iter().enumerate() {
        let mut said = Vec::new();
        for (of, kind) in KINDS.iter().enumerate() {
            let mut shown = Vec::new();
            for (k, asked) in trial.options.asked.iter().enumerate() {
                let answers: Vec<&Answers> = found.iter().filter(|answers| answers.of == of).collect();
                let Some(chance) = answers.first().map(|answers| answers.chance) else { continue };
                let right: Vec<Vec<f64>> = answers.iter().map(|answers| answers.right[a][k].clone()).collect();
                let skill = |x: f64| (x - chance) / (1.0 - chance);
                let found = over(&right, mean);
                let found = found.map(|e| Estimate { value: skill(e.value), low: skill(e.low), high: skill(e.high) });
                if let Some(found) = row.figure(format!("{kind}, {arm}, after {asked}"), found) {
                    shown.push(format!("{:.2}", found.value));
                    met &= match a {
                        0 => found.value >= 0.85,
                        1 => found.value <= 0.15,
                        _ => true,
                    };
                }
            }
            if !shown.is_empty() {
                said.push(format!("{kind} {}", shown.join(" and ")));
            }
        }
        if !said.is_empty() {
            parts.push(format!("{arm}: {}", said.join(", ")));
        }
    }
    if parts.is_empty() {
        return Ok((row.missing("the place has no facts, or no frame was asked for"), Vec::new()));
    }
    let hidden = |k: usize| found.iter().filter_map(|answers| answers.hidden.get(k)).min().copied().unwrap_or(0);
    let asked = trial.options.asked.iter().enumerate();
    let asked: Vec<String> =
        asked.map(|(k, n)| format!("{n} frames (out of sight for {} at least)", hidden(k))).collect();
    let mut text = format!("after {}<br>{}", asked.join(" and "), parts.join("<br>"));
    if arms.len() == 1 {
        text += "<br>nothing is routed (`--route N`)";
    }
    let mut pictures = Vec::new();
    for of in 0..KINDS.len() {
        pictures
            .extend(found.iter().filter(|answers| answers.of == of).take(2).map(|answers| answers.pictures.clone()));
    }
    Ok((row.found(text, Some(met)), pictures))
}
