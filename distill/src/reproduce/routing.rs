//! Routing (spec 2.10, 5.3): each query keeps a few frames of a long history. What is remembered by it, by all of the history and by a
//! window of the same cost, in rooms that may be seen again after long ([`places`]); and whether it finds them when the light has changed.

use crate::footage::latents::{Latents, even_levels};
use crate::method::teacher_forcing::{TeacherForcing, World};
use crate::net::mask::Route;
use crate::net::rollout::{Engine, Rollout};
use crate::net::weights::Weights;
use crate::reproduce::report::{Claim, Family, Finding, Gate, Report};
use crate::reproduce::table::Table;
use crate::reproduce::toy::{self, CELLS, places};
use crate::reproduce::{Lab, Plan, ReproduceError};
use crate::rng::Rng;
use crate::stats::paired::Mean;

/// Frames of history.
const MEMORY: usize = 20;

/// Frames that routing keeps of them, and that a window of its cost has.
const KEPT: usize = 5;

/// Frames after which the light changes, on average.
const STRETCH: usize = 8;

/// Episodes judged.
const JUDGED: usize = 64;

/// Euler steps of a frame.
const EULER: usize = 8;

/// What is compared, in order of [`Found`].
pub const KINDS: [&str; 6] = [
    "dense, 20 frames",
    "top 5 of 20, tuned with 5 to 20",
    "top 5 of 20, not tuned",
    "last 5 frames",
    "two lights: dense, 20 frames",
    "two lights: top 5 of 20, tuned with 5 to 20",
];

/// What is remembered of a room: its squared error, and whether it is told from the episode's others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recall {
    /// Mean squared difference; rooms have variance 1.
    pub square: f64,
    /// Share of frames nearer to their own room than to any other, from chance (0) to all (1).
    pub told: f64,
}

/// What one seed found for each of [`KINDS`]: of rooms last seen at most [`KEPT`] frames ago, longer ago, and longer ago in the other light.
pub type Found = Vec<[Recall; 3]>;

/// Trains and measures one seed.
///
/// # Errors
/// [`ReproduceError`].
pub fn experiment(lab: &Lab<'_>) -> Result<Found, ReproduceError> {
    let config = toy::model(1, &places::ACTIONS, &places::LIGHTS, MEMORY + 1);
    let record = |stretch: usize, seed: u64| places::record(600, MEMORY + 2, stretch, seed + lab.seed);
    let (plain, lights) = (record(0, 1), record(STRETCH, 201));
    let world = |frames: usize, route: Route, data, rate: f32| World {
        route,
        batch: 16 * (MEMORY + 1) / frames,
        ..lab.world(&config, data, frames, rate)
    };
    let (all, some) = (Route::Fixed(0), Route::Between(KEPT, MEMORY));
    let train = |name: &str, world: World<'_>, start: &Weights, steps: u64| {
        lab.train(name, &TeacherForcing(world), start.clone(), steps)
    };
    let fresh = lab.fresh(&config);
    let dense = train("dense", world(MEMORY + 1, all, &plain, 2e-3), &fresh, 1500)?;
    // The paper tunes a dense model with routing on. With more frames now and then, those left out of the five have a gradient too.
    let routed = train("routed", world(MEMORY + 1, some, &plain, 1e-3), &dense, 1500)?;
    let longer = train("dense-longer", world(MEMORY + 1, all, &plain, 1e-3), &dense, 1500)?;
    let short = train("window", world(KEPT + 1, all, &plain, 2e-3), &fresh, 2000)?;
    let lit = train("lit-dense", world(MEMORY + 1, all, &lights, 2e-3), &dense, 1500)?;
    let lit_routed = train("lit-routed", world(MEMORY + 1, some, &lights, 1e-3), &lit, 1500)?;
    let lit_longer = train("lit-dense-longer", world(MEMORY + 1, all, &lights, 1e-3), &lit, 1500)?;
    let held = |stretch: usize| places::record(JUDGED, 3 * MEMORY, stretch, 1_000_001 + lab.seed);
    let (held, held_lit) = (held(0), held(STRETCH));
    let judge = |net: &Weights, history: usize, route: usize, held: &Latents| {
        recall(net, &world(history + 1, Route::Fixed(route), &plain, 0.0), held)
    };
    Ok(vec![
        judge(&longer, MEMORY, 0, &held),
        judge(&routed, MEMORY, KEPT, &held),
        judge(&longer, MEMORY, KEPT, &held),
        judge(&short, KEPT, 0, &held),
        judge(&lit_longer, MEMORY, 0, &held_lit),
        judge(&lit_routed, MEMORY, KEPT, &held_lit),
    ])
}

/// What is remembered in the frames of `held` given the real ones before them.
fn recall(net: &Weights, world: &World<'_>, held: &Latents) -> [Recall; 3] {
    let truth = held.starts(3 * MEMORY - 1);
    let of = |b: usize, f: usize| truth.actions[(b * truth.frames + f) * places::ROOMS..][..places::ROOMS].to_vec();
    let room = |b: usize, f: usize| of(b, f).iter().position(|&x| x == 1.0).unwrap_or(0);
    let light = |b: usize, f: usize| truth.events[b * truth.frames + f];
    let real = |b: usize, f: usize| &truth.real[(b * truth.frames + f) * CELLS..][..CELLS];
    let ages: Vec<_> = truth.actions.chunks_exact(truth.frames * places::ROOMS).map(places::ages).collect();
    let (sigmas, mut rng) = (even_levels(EULER, world.config.schedule.shift), Rng::new(5));
    let mut rollout = Rollout::new(Engine::Fast(net), &world.config.dit, world.frames, truth.before.clone())
        .routed(world.route.most());
    let (mut found, mut count) = ([Recall::default(); 3], [0usize; 3]);
    for f in 0..truth.frames {
        let (actions, events) = (truth.at(&truth.actions, f), truth.at(&truth.events, f));
        if f >= MEMORY {
            let made = rollout.sample(&sigmas, &actions, &events, &mut rng);
            for (b, made) in made.chunks_exact(CELLS).enumerate() {
                let Some(age) = ages[b].get(f).copied().flatten().filter(|&age| age <= MEMORY) else { continue };
                let far = |real: &[f32]| made.iter().zip(real).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                // Other rooms as they look in this light, each from a frame that shows it.
                let now = light(b, f);
                let shown = (0..truth.frames).filter(|&g| room(b, g) != room(b, f) && light(b, g) == now);
                let other = shown.map(|g| far(real(b, g))).fold(f64::INFINITY, f64::min);
                let (own, kind) =
                    (far(real(b, f)), usize::from(age > KEPT) + usize::from(age > KEPT && light(b, f - age) != now));
                found[kind].square += own / CELLS as f64;
                found[kind].told += f64::from(u8::from(own < other));
                count[kind] += 1;
            }
        }
        rollout.commit(&truth.at(&truth.real, f), &actions, &events);
    }
    let chance = 1.0 / places::ROOMS as f64;
    [0, 1, 2].map(|i| {
        let n = count[i].max(1) as f64;
        Recall { square: found[i].square / n, told: (found[i].told / n - chance) / (1.0 - chance) }
    })
}

/// Runs all seeds.
///
/// # Errors
/// [`ReproduceError`].
pub fn reproduce(plan: &Plan<'_>) -> Result<Report<'static>, ReproduceError> {
    let (found, cost) = plan.run("routing", experiment)?;
    let columns = ["recent, error", "recent, told", "old, error", OLD];
    let (mut table, mut lights) =
        (Table::new(&columns), Table::new(&["old, same light, error", "told", "old, other light, error", OTHER]));
    for seed in &found {
        for (name, [recent, old, other]) in KINDS.iter().zip(seed) {
            match name.strip_prefix("two lights: ") {
                Some(name) => lights.add(name, &[old.square, old.told, other.square, other.told]),
                None => table.add(name, &[recent.square, recent.told, old.square, old.told]),
            }
        }
    }
    let old = |kind: usize| table.values(KINDS[kind], OLD).to_vec();
    let share = |values: &[f64], factor: f64| values.iter().map(|x| factor * x).collect::<Vec<_>>();
    let other = |name: &str| lights.values(name, OTHER).to_vec();
    let (dense, routed) = (KINDS[4].trim_start_matches("two lights: "), KINDS[5].trim_start_matches("two lights: "));
    let main = Family {
        name: "Rooms last seen 6 to 20 frames ago",
        claims: vec![
            Claim::new("routing remembers at least 90 % of what dense attention does", &old(1), &share(&old(0), 0.9)),
            Claim::new("a window of its cost loses at least 90 % of that", &share(&old(0), 0.1), &old(3)),
            Claim::new("tuning with routing on remembers more than routing without it", &old(1), &old(2)),
            Claim::new(
                "where the light has changed since, routing remembers at least 90 % of what dense attention does",
                &other(routed),
                &share(&other(dense), 0.9),
            ),
        ],
    };
    let gates = vec![Gate {
        text: "dense attention: old rooms told".into(),
        found: Mean::new(&old(0)),
        least: 0.9,
        others: Vec::new(),
    }];
    let findings: Vec<Finding> = main.findings().into_iter().map(|found| found.1).collect();
    let verdict = match (gates[0].passes(), findings[0], findings[1]) {
        (false, ..) => "Nothing to show here: dense attention itself does not remember.".to_owned(),
        (_, Finding::Untested, _) => "One seed: nothing was tested.".to_owned(),
        (_, Finding::Shows, Finding::Shows) => {
            "Five routed frames of twenty remember what dense attention does, within a tenth, and what five newest frames have lost.".to_owned()
        }
        (_, _, Finding::Shows) => "Five routed frames remember what five newest frames have lost, and more than a tenth less than dense attention does.".to_owned(),
        _ => "Routing does not show to remember what a window of its cost loses.".to_owned(),
    };
    Ok(Report {
        name: "routing",
        title: "Routing: a few frames of a long history",
        verdict,
        paper: "Each query of each head keeps the k history frames whose mean key it likes best; 5 of 20 cost little quality, and a dense model is tuned with it for 1500 steps \
            (arXiv 2512.15702).",
        setting: "Rooms with a random picture each, ten an episode, visited in random order; the next frame is asked for given 20 real ones before it. A dense network (1500 steps) goes on for \
            1500 steps dense, or routed with 5 to 20 frames, anew for each step; a window of 5 frames is trained by itself. In two lights, which change every 8 frames or so, the \
            same once more. Descriptors are the means of keys as rotated, as the runtime has them; pooled before rotation they were not tried.",
        symbols: "*Error*: mean squared difference, rooms having variance 1. *Told*: share of frames that are nearer to their own room than to any other of the episode in this light, from chance (0) to \
            all (1). *Recent*: last seen 1 to 5 frames ago; *old*: 6 to 20.",
        effort: (plan.seeds, plan.effort),
        cost,
        tried: "",
        gates,
        families: vec![main],
        tables: vec![("One light", table), ("Two lights", lights)],
        charts: Vec::new(),
    })
}

/// Columns.
const OLD: &str = "old, told";
const OTHER: &str = "told in the other light";
