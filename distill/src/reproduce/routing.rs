//! Routing (spec 2.10, 5.3): each query keeps a few frames of a long history. What is remembered by it, by all of the history and by a
//! window of the same cost, in rooms that may be seen again after long ([`places`]); and whether it finds them when the light has changed.

use causeway_runtime::config::{Descriptors, ModelConfig};

use crate::footage::latents::{Latents, even_levels};
use crate::method::teacher_forcing::{TeacherForcing, World};
use crate::net::mask::{Best, Route};
use crate::net::rollout::{Engine, Rollout};
use crate::net::weights::Weights;
use crate::reproduce::chart::{Chart, Line};
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
pub const KINDS: [&str; 8] = [
    "dense, 20 frames",
    "top 5 of 20, tuned with 5 to 20",
    "top 5 of 20, not tuned",
    "last 5 frames",
    "top 5 of 20 by plain descriptors, tuned with 5 to 20",
    "top 5 of 20 by plain descriptors, not tuned",
    "two lights: dense, 20 frames",
    "two lights: top 5 of 20, tuned with 5 to 20",
];

/// Frames of a bin of ages.
const BIN: usize = 2;

/// What is remembered of a room: its squared error, and whether it is told from the episode's others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recall {
    /// Mean squared difference; rooms have variance 1.
    pub square: f64,
    /// Share of frames nearer to their own room than to any other, from chance (0) to all (1).
    pub told: f64,
}

/// What is remembered by one network and one way to look at history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Of rooms last seen at most [`KEPT`] frames ago, longer ago, and longer ago in the other light.
    pub kinds: [Recall; 3],
    /// [`Recall::told`] by how long ago the room was last seen, in bins of [`BIN`] frames.
    pub ages: [f64; MEMORY / BIN],
}

/// What one seed found for each of [`KINDS`].
pub type Found = Vec<Memory>;

/// How many frames of the history a query sees, found by what.
#[derive(Clone, Copy)]
pub struct Look {
    /// Frames of the history.
    pub history: usize,
    /// Those that are seen.
    pub best: Best,
}

impl Look {
    /// At all of the history.
    pub const DENSE: Self = Self { history: MEMORY, best: Best::of(0) };
    /// At the best five of it.
    pub const ROUTED: Self = Self { history: MEMORY, best: Best::of(KEPT) };
    /// At those by plain descriptors.
    pub const PLAIN: Self = Self { history: MEMORY, best: Best { frames: KEPT, by: Descriptors::Plain } };
    /// At the newest five.
    pub const WINDOW: Self = Self { history: KEPT, best: Best::of(0) };
}

/// Trains and measures one seed.
///
/// # Errors
/// [`ReproduceError`].
pub fn experiment(lab: &Lab<'_>) -> Result<Found, ReproduceError> {
    let (one, two) = (Rooms::new(lab, 0), Rooms::new(lab, STRETCH));
    let (dense, window) = (one.dense()?, one.window()?);
    let longer = one.tuned("dense-longer", Look::DENSE, &dense)?;
    let routed = one.tuned("routed", Look::ROUTED, &dense)?;
    let plain = one.tuned("plain", Look::PLAIN, &dense)?;
    let lit = two.train("lit-dense", Look::DENSE, 2e-3, &dense, 1500)?;
    let (lit_longer, lit_routed) =
        (two.tuned("lit-dense-longer", Look::DENSE, &lit)?, two.tuned("lit-routed", Look::ROUTED, &lit)?);
    Ok(vec![
        one.recall(&longer, Look::DENSE),
        one.recall(&routed, Look::ROUTED),
        one.recall(&longer, Look::ROUTED),
        one.recall(&window, Look::WINDOW),
        one.recall(&plain, Look::PLAIN),
        one.recall(&longer, Look::PLAIN),
        two.recall(&lit_longer, Look::DENSE),
        two.recall(&lit_routed, Look::ROUTED),
    ])
}

/// One seed's rooms and what is trained on them.
pub struct Rooms<'a> {
    lab: &'a Lab<'a>,
    config: ModelConfig,
    data: Latents,
    held: Latents,
}

impl<'a> Rooms<'a> {
    /// Records episodes in whose rooms the light changes every `stretch` frames or so; 0 for one light.
    pub fn new(lab: &'a Lab<'a>, stretch: usize) -> Self {
        let config = toy::model(1, &places::ACTIONS, &places::LIGHTS, MEMORY + 1);
        let seed = if stretch == 0 { 1 } else { 201 };
        let data = places::record(600, MEMORY + 2, stretch, seed + lab.seed);
        let held = places::record(JUDGED, 3 * MEMORY, stretch, 1_000_001 + lab.seed);
        Self { lab, config, data, held }
    }

    /// The dense network.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn dense(&self) -> Result<Weights, ReproduceError> {
        self.train("dense", Look::DENSE, 2e-3, &self.lab.fresh(&self.config), 1500)
    }

    /// The network that never saw more than a window.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn window(&self) -> Result<Weights, ReproduceError> {
        self.train("window", Look::WINDOW, 2e-3, &self.lab.fresh(&self.config), 2000)
    }

    /// A dense network after as many steps with its history looked at so.
    fn tuned(&self, name: &str, look: Look, dense: &Weights) -> Result<Weights, ReproduceError> {
        self.train(name, look, 1e-3, dense, 1500)
    }

    /// The paper tunes a dense model with routing on. With more frames now and then, those left out of the five have a gradient too.
    fn train(&self, name: &str, look: Look, rate: f32, start: &Weights, steps: u64) -> Result<Weights, ReproduceError> {
        let frames = look.history + 1;
        let route = match look.best.frames {
            0 => Route::Fixed(0),
            most => Route::Between(most, look.history),
        };
        let mut config = self.config.clone();
        config.history.descriptors = look.best.by;
        let world = self.lab.world(&config, &self.data, frames, rate);
        let world = World { route, batch: 16 * (MEMORY + 1) / frames, ..world };
        self.lab.train(name, &TeacherForcing(world), start.clone(), steps)
    }

    /// What is remembered in held-out frames given the real ones before them.
    pub fn recall(&self, net: &Weights, look: Look) -> Memory {
        let truth = self.held.starts(3 * MEMORY - 1);
        let of = |b: usize, f: usize| truth.actions[(b * truth.frames + f) * places::ROOMS..][..places::ROOMS].to_vec();
        let room = |b: usize, f: usize| of(b, f).iter().position(|&x| x == 1.0).unwrap_or(0);
        let light = |b: usize, f: usize| truth.events[b * truth.frames + f];
        let real = |b: usize, f: usize| &truth.real[(b * truth.frames + f) * CELLS..][..CELLS];
        let ages: Vec<_> = truth.actions.chunks_exact(truth.frames * places::ROOMS).map(places::ages).collect();
        let (sigmas, mut rng) = (even_levels(EULER, self.config.schedule.shift), Rng::new(5));
        let engine = Engine::Fast(net);
        let mut rollout =
            Rollout::new(engine, &self.config.dit, look.history + 1, truth.before.clone()).routed(look.best);
        let (mut kinds, mut bins) = ([Tally::default(); 3], [Tally::default(); MEMORY / BIN]);
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
                    let own = far(real(b, f));
                    let kind = usize::from(age > KEPT) + usize::from(age > KEPT && light(b, f - age) != now);
                    for tally in [&mut kinds[kind], &mut bins[(age - 1) / BIN]] {
                        tally.add(own / CELLS as f64, own < other);
                    }
                }
            }
            rollout.commit(&truth.at(&truth.real, f), &actions, &events);
        }
        Memory { kinds: kinds.map(Tally::recall), ages: bins.map(|tally| tally.recall().told) }
    }
}

/// Frames judged so far.
#[derive(Clone, Copy, Default)]
struct Tally {
    square: f64,
    told: f64,
    count: f64,
}

impl Tally {
    fn add(&mut self, square: f64, told: bool) {
        (self.square, self.told) = (self.square + square, self.told + f64::from(u8::from(told)));
        self.count += 1.0;
    }

    fn recall(self) -> Recall {
        let (n, chance) = (self.count.max(1.0), 1.0 / places::ROOMS as f64);
        Recall { square: self.square / n, told: (self.told / n - chance) / (1.0 - chance) }
    }
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
    let middles = bins();
    let mut ages = Table::new(&middles.each_ref().map(|bin| bin.0.as_str()));
    for seed in &found {
        for (name, memory) in KINDS.iter().zip(seed) {
            let [recent, old, other] = memory.kinds;
            ages.add(name, &memory.ages);
            match name.strip_prefix("two lights: ") {
                Some(name) => lights.add(name, &[old.square, old.told, other.square, other.told]),
                None => table.add(name, &[recent.square, recent.told, old.square, old.told]),
            }
        }
    }
    let old = |kind: usize| table.values(KINDS[kind], OLD).to_vec();
    let share = |values: &[f64], factor: f64| values.iter().map(|x| factor * x).collect::<Vec<_>>();
    let other = |name: &str| lights.values(name, OTHER).to_vec();
    let (dense, routed) = (KINDS[6].trim_start_matches("two lights: "), KINDS[7].trim_start_matches("two lights: "));
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
    let descriptors = Family {
        name: "Descriptors pooled before keys are rotated (plain), and after it (the runtime's)",
        claims: vec![
            Claim::new("tuned, plain ones remember more", &old(4), &old(1)),
            Claim::new("not tuned, plain ones remember more", &old(5), &old(2)),
        ],
    };
    let line = |kind: usize| Line {
        name: KINDS[kind].to_owned(),
        points: middles
            .iter()
            .map(|(bin, middle)| {
                let told = ages.figure(KINDS[kind], bin);
                (*middle, told.mean, told.half())
            })
            .collect(),
    };
    let charts = vec![Chart {
        title: "Rooms told from others, by when they were last seen",
        axes: ["frames ago", "told, from chance (0) to all (1)"],
        joined: true,
        lines: (0..6).map(line).collect(),
    }];
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
            same once more. Descriptors are the means of keys as rotated, as the runtime has them, or *plain*, of keys and for queries that are not. A dense query of this model scores \
            4 F keys of F history frames, a routed one F descriptors and 20 keys: 80 and 40 products here, 4000 and 1020 for 1000 frames.",
        symbols: "*Error*: mean squared difference, rooms having variance 1. *Told*: share of frames that are nearer to their own room than to any other of the episode in this light, from chance (0) to \
            all (1). *Recent*: last seen 1 to 5 frames ago; *old*: 6 to 20.",
        effort: (plan.seeds, plan.effort),
        cost,
        tried: "",
        gates,
        families: vec![main, descriptors],
        tables: vec![("One light", table), ("Two lights", lights)],
        charts,
    })
}

/// Bins of ages: name and middle.
fn bins() -> [(String, f64); MEMORY / BIN] {
    std::array::from_fn(|i| {
        let (first, last) = (i * BIN + 1, (i + 1) * BIN);
        (format!("{first} to {last}"), 0.5 * (first + last) as f64)
    })
}

/// Columns.
const OLD: &str = "old, told";
const OTHER: &str = "told in the other light";
