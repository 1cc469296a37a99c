//! Delta Forcing (spec 5.8, our reading): what changes of event do to the part of a stream that events say nothing about, and whether
//! a trust region can cure it.
//!
//! The world is [`switch`]. The student learnt from streams that keep their direction when the event changes; the judge from clips of
//! one event, in which direction goes with the event. Tuning against that judge, on streams that go through many changes, takes from the
//! student what it knew. Two gates: there must be something to lose, and plain distribution matching must lose it.
//!
//! Beside that: whether the delta tells a judge that is wrong from one that is right, in cases made for it; streams unlike those of
//! tuning; and how soon what is lost is lost.

use causeway_runtime::config::ModelConfig;

use crate::footage::latents::Latents;
use crate::method::delta_forcing::{DeltaForcing, Options, Radius, Weighting, deltas};
use crate::method::diffusion_forcing::DiffusionForcing;
use crate::method::ode_distillation::{OdeDistillation, Trajectories};
use crate::method::score::{Pair, Scores, Verdict};
use crate::method::self_rollout::Made;
use crate::method::streaming::Streaming;
use crate::method::teacher_forcing::{TeacherForcing, World};
use crate::net::dit;
use crate::net::mask::Mask;
use crate::net::rollout::{Engine, Rollout};
use crate::net::weights::Weights;
use crate::reproduce::chart::{Chart, Line};
use crate::reproduce::report::{Claim, Family, Finding, Gate, Report};
use crate::reproduce::table::Table;
use crate::reproduce::toy::{self, CELLS, switch};
use crate::reproduce::tuned::{BEFORE, PAPER, SOON, Tuned};
use crate::reproduce::{Lab, Plan, ReproduceError};
use crate::rng::Rng;
use crate::stats::paired::Mean;
use crate::stats::rank::auc;
use crate::train::optim::Rule;

/// Frames between changes while tuning.
const PERIOD: usize = 8;

/// Frames before a change that the student remembers.
const CONTEXT: usize = 5;

/// The last of them that the judge sees, beside the ones to judge.
const OVERLAP: usize = 1;

/// Frames of a window of the judge, and of the student.
const FRAMES: usize = OVERLAP + PERIOD;
const LONG: usize = CONTEXT + PERIOD;

/// Changes that a stream of tuning goes through.
const CHANGES: usize = 6;

/// Share of the judge's clips that move as most of their event do.
const SHARE: f32 = 0.9;

/// Denoising steps of a frame.
pub(super) const STEPS: usize = 4;

/// Streams judged.
const JUDGED: usize = 128;

/// Frames that a change is judged by, in streams that change as often.
const SPAN: usize = 16;

/// Changes after which direction is told, counted from 1.
const AFTER: [usize; 2] = [1, 4];

/// Steps of tuning, and of shorter ones.
const TUNED: u64 = 500;
const SHORTER: [u64; 2] = [125, 250];

/// Noise levels at which the delta is tried as a sign that the judge is wrong.
const LEVELS: [f32; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// Clean history for the student.
const CLEAN: Mask = Mask::teacher_forcing(0);

/// A trust region that can fall far: the median, levels that tell, a steep edge.
pub(super) const TRUST: Options = Options {
    weighting: Weighting::Trust,
    fall: 4.0,
    quantile: 0.5,
    levels: Some([0.3, 0.7]),
    radius: Radius::Fixed,
    continuity: 0.0,
    approach: false,
};

/// What is compared.
pub(super) const WAYS: [(&str, Options); 7] = [
    ("distribution matching alone", Options { weighting: Weighting::None, ..TRUST }),
    ("trust region", TRUST),
    ("continuity", Options { weighting: Weighting::None, continuity: 0.5, ..TRUST }),
    ("both: Delta Forcing", Options { continuity: 0.5, ..TRUST }),
    ("random weights of the same mean", Options { weighting: Weighting::Random, ..TRUST }),
    ("inverted weights", Options { weighting: Weighting::Inverted, ..TRUST }),
    ("hard mask", Options { weighting: Weighting::Hard, ..TRUST }),
];

/// Streams unlike those of tuning, by what is strange about them.
const STRANGE: [&str; 3] = ["changes every 4 frames", "an event between two", "a pair of events never seen"];

/// What one seed found.
pub struct Found {
    /// What streams are worth after their first and their fourth change, by steps of tuning: none, and each way of it.
    pub worth: Vec<(String, [switch::Worth; 2])>,
    /// Direction kept before tuning in fewer steps a frame.
    pub fewer: Vec<(usize, f64)>,
    /// Mean weight in the trust region before tuning, of streams without a change and with one.
    pub trust: [f64; 2],
    /// For each level, how well the delta tells conditional bias from each other case, and from all of them.
    pub auc: Vec<(f32, [f64; 4])>,
    /// For each strange kind of stream and way.
    pub strange: Vec<(&'static str, String, switch::Worth)>,
}

/// Trains and measures one seed.
///
/// # Errors
/// [`ReproduceError`].
pub fn experiment(lab: &Lab<'_>) -> Result<Found, ReproduceError> {
    let streams = Streams::new(lab);
    let start = streams.start()?;
    let (begun, world) = (start.pair().split(&start.both)[0].clone(), streams.world(LONG, 0.0));
    let mut found = Found {
        worth: vec![(BEFORE.to_owned(), streams.kept(&begun, STEPS))],
        fewer: [2, 1].map(|steps| (steps, streams.kept(&begun, steps)[0].kept)).into(),
        trust: streams.mean_weights(&start),
        auc: streams.proxy(&start.teacher),
        strange: strange(BEFORE, &begun, &world),
    };
    let radius = DeltaForcing::new(TRUST, &streams.judged(&start, false, 21 + lab.seed));
    let lengths = |way: usize| match way {
        0 | 3 => vec![SHORTER[0], SHORTER[1], TUNED],
        _ => vec![TUNED],
    };
    for (way, (name, options)) in WAYS.into_iter().enumerate() {
        for steps in lengths(way) {
            let delta = DeltaForcing { options, ..radius.clone() };
            let stage = Streaming { delta: Some(delta), ..streams.streaming(&start) };
            let label = row(name, steps);
            let tuned = lab.train(&label, &stage, start.both.clone(), steps)?;
            let [tuned, _] = start.pair().split(&tuned);
            found.worth.push((label, streams.kept(&tuned, STEPS)));
            if steps == TUNED && [0, 1, 3].contains(&way) {
                found.strange.extend(strange(name, &tuned, &world));
            }
        }
    }
    Ok(found)
}

/// One seed's streams and clips, and what is trained on them.
pub struct Streams<'a> {
    lab: &'a Lab<'a>,
    config: ModelConfig,
    data: Latents,
    clips: Latents,
    /// Whether streams begin as the judge expects.
    agreed: bool,
}

/// What tuning starts from.
pub struct Start {
    /// The judge.
    pub teacher: Weights,
    /// Student and critic.
    pub both: Weights,
}

impl Start {
    /// What it is, for a stage.
    pub fn pair(&self) -> Pair<'_> {
        Pair { teacher: &self.teacher, mask: Mask::Full }
    }
}

impl<'a> Streams<'a> {
    /// Records them, streams that begin in either direction.
    pub fn new(lab: &'a Lab<'a>) -> Self {
        Self::of(lab, SHARE, false)
    }

    /// Records clips of which a share `share` moves as most of their event do, and streams that begin so if they have `agreed`.
    pub fn of(lab: &'a Lab<'a>, share: f32, agreed: bool) -> Self {
        let config = toy::model(2, &["none"], &switch::EVENTS, LONG);
        let data = switch::streams(3000, LONG + 1, CONTEXT + 1, agreed, 1 + lab.seed);
        Self { lab, config, data, clips: switch::record(3000, FRAMES + 1, share, 501 + lab.seed), agreed }
    }

    fn world(&self, frames: usize, rate: f32) -> World<'_> {
        self.lab.world(&self.config, &self.data, frames, rate)
    }

    /// The network before training, one of several.
    pub fn fresh(&self, which: u64) -> Weights {
        Weights::init(&dit::specs(&self.config.dit), 100 + self.lab.seed + 1000 * which)
    }

    /// The bidirectional judge.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn teacher(&self) -> Result<Weights, ReproduceError> {
        let world = self.lab.world(&self.config, &self.clips, FRAMES, 2e-3);
        self.lab.train("judge", &DiffusionForcing { world, mask: Mask::Full }, self.lab.fresh(&self.config), 4000)
    }

    /// The judge, and a student distilled from a causal teacher of streams.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn start(&self) -> Result<Start, ReproduceError> {
        let (student, teacher) = (self.student("", self.fresh(0))?, self.teacher()?);
        Ok(Start { both: Pair::join(&student, &teacher), teacher })
    }

    /// A student distilled from a causal teacher of streams that begins as `fresh`; `suffix` tells it from others.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn student(&self, suffix: &str, fresh: Weights) -> Result<Weights, ReproduceError> {
        let lab = self.lab;
        let causal = lab.train(&format!("teacher{suffix}"), &TeacherForcing(self.world(LONG, 2e-3)), fresh, 2500)?;
        let trajectories =
            Trajectories::record(&self.world(LONG, 0.0), &causal, &lab.device, CLEAN, 1024, 11 + lab.seed);
        let stage = OdeDistillation { world: self.world(LONG, 1e-3), trajectories: &trajectories, mask: CLEAN };
        lab.train(&format!("student{suffix}"), &stage, causal, 1000)
    }

    /// What streams are worth after the changes of [`AFTER`].
    fn kept(&self, net: &Weights, steps: usize) -> [switch::Worth; 2] {
        let found = self.worth(net, steps, &AFTER);
        [found[0], found[1]]
    }

    /// Direction kept after changes, and all else, by streams of `net` in `steps` steps a frame; `after` which changes, counted from 1.
    pub fn worth(&self, net: &Weights, steps: usize, after: &[usize]) -> Vec<switch::Worth> {
        let any = |b: usize| (b / 2).is_multiple_of(2);
        let agreed = |b: usize| switch::usual(by_turns(b, 0));
        let right: &dyn Fn(usize) -> bool = if self.agreed { &agreed } else { &any };
        play(net, &self.world(LONG, 0.0), steps, &Script { every: SPAN, event: &by_turns, right, hue, after })
    }

    /// Tuning by distribution matching alone.
    pub fn streaming<'b>(&'b self, start: &'b Start) -> Streaming<'b> {
        let world = self.world(LONG, 2e-4);
        Streaming {
            world: World { rule: Rule { beta1: 0.0, ema: 0.99, ..world.rule }, ..world },
            pair: start.pair(),
            steps: STEPS,
            context: CONTEXT,
            overlap: OVERLAP,
            changes: CHANGES - 1,
            among: switch::PAIR,
            delta: None,
        }
    }

    /// Streams before tuning, whose event changes or not, and what the scores say of them.
    pub fn judged(&self, start: &Start, switch: bool, seed: u64) -> Vec<(Made, Verdict)> {
        self.streaming(start).judged(&start.both, &self.lab.device, switch, TRUST.levels, seed)
    }

    /// Mean weight of supervision of generated frames before tuning, without a change and with one.
    pub fn mean_weights(&self, start: &Start) -> [f64; 2] {
        let delta = DeltaForcing::new(TRUST, &self.judged(start, false, 21 + self.lab.seed));
        [false, true].map(|switch| {
            let streams = self.judged(start, switch, 91 + self.lab.seed);
            let weights = streams.iter().flat_map(|(made, verdict)| {
                let weights = delta.weights(made, verdict, &mut Rng::new(0));
                deltas(made, verdict).into_iter().map(move |(row, _)| f64::from(weights[row])).collect::<Vec<_>>()
            });
            Mean::new(&weights.collect::<Vec<_>>()).mean
        })
    }

    /// For each level, how well the delta tells made streams about which `teacher` is wrong from those about which it is right.
    pub fn proxy(&self, teacher: &Weights) -> Vec<(f32, [f64; 4])> {
        let (world, scores) = (self.world(FRAMES, 0.0), Scores { real: teacher, fake: teacher, mask: Mask::Full });
        let of = |case: switch::Case, level: f32| -> Vec<f64> {
            let windows = switch::made(case, 64, FRAMES, 51 + self.lab.seed).starts(FRAMES);
            let made = Made { windows, noisy: Vec::new(), sigma: Vec::new(), given: OVERLAP, unseen: 0 };
            let mut rng = Rng::new(17 + self.lab.seed);
            let verdict = scores.judge_between(&world, &self.lab.device, &made, [level; 2], &mut rng);
            deltas(&made, &verdict).into_iter().map(|pair| f64::from(pair.1)).collect()
        };
        let at = |level: f32| {
            let wrong = of(switch::Case::Bias, level);
            let right = [switch::Case::Agreement, switch::Case::Unmoved, switch::Case::Collapsed].map(|c| of(c, level));
            let [a, b, c] = [0, 1, 2].map(|i| auc(&wrong, &right[i]));
            (level, [a, b, c, auc(&wrong, &right.concat())])
        };
        LEVELS.map(at).into()
    }
}

/// How streams change.
struct Script<'a> {
    /// Frames between changes.
    every: usize,
    /// The event in force for stream number b after so many changes.
    event: &'a dyn Fn(usize, usize) -> u8,
    /// Whether stream number b begins to the right.
    right: &'a dyn Fn(usize) -> bool,
    /// The hue that an event asks for.
    hue: fn(u8) -> f32,
    /// The changes that are judged, counted from 1, by the frames up to the next one.
    after: &'a [usize],
}

/// The two events of training by turns.
fn by_turns(b: usize, change: usize) -> u8 {
    ((b + change) % switch::PAIR) as u8
}

/// The hue of an event.
fn hue(event: u8) -> f32 {
    switch::hue(f32::from(event))
}

/// Mean worth over the judged changes of streams of `net` in `steps` steps a frame, one for each, that go on from true frames, with recache.
fn play(net: &Weights, world: &World<'_>, steps: usize, script: &Script<'_>) -> Vec<switch::Worth> {
    let sigmas = world.config.schedule.sigmas(steps).unwrap_or_else(|| vec![1.0]);
    let (mut rng, actions) = (Rng::new(77), vec![0.0; JUDGED]);
    let place = |b: usize| (b * 7 % JUDGED) as f32 * CELLS as f32 / JUDGED as f32;
    let begin = |b: usize| switch::start((script.event)(b, 0), (script.right)(b), place(b), CONTEXT);
    let mut streams: Vec<Vec<f32>> = (0..JUDGED).map(begin).collect();
    for change in 0..=script.after.iter().copied().max().unwrap_or(0) {
        let events: Vec<u8> = (0..JUDGED).map(|b| (script.event)(b, change)).collect();
        let empty = vec![0.0; JUDGED * switch::LEN];
        let mut rollout = Rollout::new(Engine::Fast(net), &world.config.dit, LONG, empty);
        for f in 0..CONTEXT {
            let frame = |s: &Vec<f32>| s[s.len() - (CONTEXT - f) * switch::LEN..][..switch::LEN].to_vec();
            let frames: Vec<f32> = streams.iter().flat_map(frame).collect();
            rollout.commit(&frames, &actions, &events);
        }
        for _ in 0..script.every {
            let made = rollout.generate(&sigmas, &actions, &events, &mut rng);
            let frames = made.chunks_exact(switch::LEN);
            streams.iter_mut().zip(frames).for_each(|(s, frame)| s.extend_from_slice(frame));
        }
    }
    let of = |&change: &usize| {
        let one = |(b, stream): (usize, &Vec<f32>)| {
            let hues = [change - 1, change].map(|part| (script.hue)((script.event)(b, part)));
            switch::judge(stream, CONTEXT + change * script.every, script.every, (script.right)(b), hues)
        };
        switch::Worth::mean(&streams.iter().enumerate().map(one).collect::<Vec<_>>())
    };
    script.after.iter().map(of).collect()
}

/// What streams unlike those of tuning are worth, in order of [`STRANGE`].
fn strange(name: &str, net: &Weights, world: &World<'_>) -> Vec<(&'static str, String, switch::Worth)> {
    let right = &|b: usize| (b / 2).is_multiple_of(2);
    let often = Script { every: 4, event: &by_turns, right, hue, after: &[1, 2, 3, 4, 5, 6, 7, 8] };
    // From one of the pair to the third event.
    let to_third =
        |b: usize, change: usize| if change % 2 == 1 { switch::PAIR as u8 } else { (b % switch::PAIR) as u8 };
    let unseen = Script { every: SPAN, event: &to_third, right, hue, after: &[1] };
    // The same with the mean of the pair's embeddings in place of the third's.
    let middle = |event: u8| if usize::from(event) < switch::PAIR { hue(event) } else { switch::hue(0.5) };
    let mut between = net.clone();
    if let Some(entry) = net.entries().iter().find(|entry| entry.name == "dit.event_embedding") {
        let row = entry.len() / switch::EVENTS.len();
        for i in entry.offset..entry.offset + row {
            between.data[i + switch::PAIR * row] = 0.5 * (net.data[i] + net.data[i + row]);
        }
    }
    let blended = Script { hue: middle, ..unseen };
    let all = [(net, &often), (&between, &blended), (net, &Script { ..unseen })];
    let worth = all.map(|(net, script)| switch::Worth::mean(&play(net, world, STEPS, script)));
    STRANGE.into_iter().zip(worth).map(|(what, worth)| (what, name.to_owned(), worth)).collect()
}

fn row(name: &str, steps: u64) -> String {
    if steps == TUNED { name.to_owned() } else { format!("{name}, {steps} steps") }
}

/// Runs all seeds.
///
/// # Errors
/// [`ReproduceError`].
pub fn reproduce(plan: &Plan<'_>) -> Result<Report<'static>, ReproduceError> {
    let (found, cost) = plan.run("delta", experiment)?;
    let mut tuned = Tuned::new("kept after the 4th");
    let mut proxy =
        Table::new(&["agreement", "a change not yet followed", "a student that stands still", "all of them"]);
    let mut strange = Table::new(&["direction kept", SOON, "away from the hue, radians"]);
    for seed in &found {
        seed.worth.iter().for_each(|(name, worth)| tuned.add(name, *worth));
        tuned.trusted(seed.trust);
        seed.auc.iter().for_each(|(level, auc)| proxy.add(&format!("level {level:.1}"), auc));
        for (what, way, worth) in &seed.strange {
            strange.add(&format!("{what}: {way}"), &[worth.kept, worth.reached, worth.away]);
        }
    }
    let [matching, region, continuity, both, random, inverted, hard] = WAYS.map(|way| way.0);
    let mut fewer: Vec<(String, f64)> = Vec::new();
    for &(steps, _) in found.first().map_or(&[][..], |seed| &seed.fewer) {
        let all = found.iter().flat_map(|seed| &seed.fewer).filter(|pair| pair.0 == steps).map(|pair| pair.1);
        fewer.push((format!("in {steps} steps a frame"), Mean::new(&all.collect::<Vec<_>>()).mean));
    }
    let mut others: Vec<(String, f64)> = Vec::new();
    for steps in [SHORTER[0], SHORTER[1], TUNED] {
        for (which, after) in AFTER.iter().enumerate().filter(|&(which, _)| (steps, which) != (TUNED, 0)) {
            let figure = Mean::new(&tuned.lost(&row(matching, steps), which)).mean;
            others.push((format!("{steps} steps, after change {after}"), figure));
        }
    }
    let gates = vec![
        Gate {
            text: "before tuning, direction kept after the 1st change".into(),
            found: tuned.streams.figure(BEFORE, tuned.kept[0]),
            least: 0.9,
            others: fewer,
        },
        Gate {
            text: format!("share of it that {TUNED} steps of distribution matching alone lose"),
            found: Mean::new(&tuned.lost(matching, 0)),
            least: 0.3,
            others,
        },
    ];
    let primary = tuned.claimed(both, matching, "4th");
    let against = |text: &str, name: &str, other: &str| tuned.against(text, name, other);
    let parts = Family {
        name: "Its parts and controls, after the 1st change",
        claims: vec![
            tuned.less_trusted(),
            against("the trust region by itself keeps more than matching alone", region, matching),
            against("continuity by itself keeps more than matching alone", continuity, matching),
            against("the trust region keeps more than random weights of the same mean", region, random),
            against("the trust region keeps more than inverted weights", region, inverted),
            against("a soft region keeps more than a hard mask", region, hard),
        ],
    };
    let middle = |column: &str| -> Vec<f64> { proxy.values("level 0.5", column).to_vec() };
    let (half, best) = (vec![0.5; found.len()], "all of them");
    let sign = Family {
        name: "The delta as a sign that the judge is wrong, at level 0.5",
        claims: vec![
            Claim::new("it tells conditional bias from agreement better than chance", &middle("agreement"), &half),
            Claim::new(
                "it tells conditional bias from a true change better than chance",
                &middle("a change not yet followed"),
                &half,
            ),
            Claim::new(
                "it tells conditional bias from a student that stands still better than chance",
                &middle("a student that stands still"),
                &half,
            ),
            Claim::new("it tells conditional bias from all of them better than chance", &middle(best), &half),
        ],
    };
    let shown = primary.findings().into_iter().map(|found| found.1).collect::<Vec<_>>();
    let verdict = if gates.iter().any(|gate| !gate.passes()) {
        "Nothing to show here: a gate fails, so that this setting cannot test what the paper claims.".to_owned()
    } else if shown.iter().all(|&finding| finding == Finding::Shows) {
        "Delta Forcing, as we read it, keeps more of what the event says nothing about than distribution matching alone, and follows the event as soon.".to_owned()
    } else if shown.contains(&Finding::Untested) {
        "One seed: nothing was tested.".to_owned()
    } else {
        "There is something to cure here, and Delta Forcing, as we read it, does not cure it.".to_owned()
    };
    let line = |way: &'static str, lengths: &[u64]| Line {
        name: way.to_owned(),
        points: std::iter::once((0.0, tuned.streams.figure(BEFORE, tuned.kept[0])))
            .chain(lengths.iter().map(|&steps| (steps as f64, tuned.streams.figure(&row(way, steps), tuned.kept[0]))))
            .map(|(x, mean)| (x, mean.mean, mean.half()))
            .collect(),
    };
    let charts = vec![Chart {
        title: "Direction kept after the 1st change",
        axes: ["steps of tuning", "share of steps in the direction of before"],
        joined: true,
        lines: vec![
            line(matching, &[SHORTER[0], SHORTER[1], TUNED]),
            line(both, &[SHORTER[0], SHORTER[1], TUNED]),
            line(region, &[TUNED]),
            line(continuity, &[TUNED]),
            line(inverted, &[TUNED]),
        ],
    }];
    Ok(Report {
        name: "delta",
        title: "Delta Forcing: streams whose event changes",
        verdict,
        paper: PAPER,
        setting: "A bump moves around a ring and takes on the hue its event asks for. The student is distilled from streams that keep their direction when the event \
            changes. The judge is bidirectional and learnt from clips of one event, of which 90 % move one way under one event, 90 % the other way under the \
            other. Tuning carries each stream over up to 6 changes of 8 frames, with recache; the student remembers 5 frames before a change, the judge sees one. \
            Streams are then played from 5 true frames, with a change every 16 frames, and judged by those 16. The trust region has the median as its radius, is \
            measured at noise levels .3 to .7 and falls as exp(-4 (d / r - 1)); continuity has no pull towards the teacher.",
        symbols: "*Kept*: share of steps between frames that go in the direction of the stream's start (1 is all, 0.5 is chance). *Frames to the new hue*: until nine \
            tenths of the way are done, 17 if never (5 where changes come every 4). *Not a bump*: squared distance from the nearest true picture over that \
            picture's square. *AUC*: chance that the delta of a frame about which the judge is wrong is larger than that of one about which it is right.",
        effort: (plan.seeds, plan.effort),
        cost,
        tried: "",
        gates,
        families: vec![primary, parts, sign],
        tables: vec![
            ("Streams after a change", tuned.streams),
            ("Weight of supervision before tuning", tuned.trust),
            (
                "AUC of the delta for conditional bias against made cases in which the judge is right, by noise level",
                proxy,
            ),
            ("Streams unlike those of tuning", strange),
        ],
        charts,
    })
}
