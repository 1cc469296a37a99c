//! Causal Forcing: a causal student wants a causal teacher (spec 5.4).
//!
//! The world is the random walk of [`walker`]: every frame has two equally good successors. Initial weights and trajectories are varied
//! apart: students begin as the autoregressive or as the bidirectional teacher, and regress onto the ends of the one or of the other, from
//! the same noise and on the same clean history, whichever it is. Each goes through the same Self Forcing. Beside them the paper's other
//! arms: noisy history, consistency by either teacher, a teacher by diffusion forcing.
//!
//! Two questions that could be answered against the paper: whether noise and frame of an autoregressive teacher still determine each other
//! along its own roll-outs ([`Walks::round_trip`]), and what a student answers with where a teacher's end depends on noise it cannot see: the
//! mean of the ends, or one of them ([`Walks::falsifier`]).

use causeway_runtime::config::ModelConfig;

use crate::footage::latents::{Latents, Windows, even_levels};
use crate::method::consistency::Consistency;
use crate::method::diffusion_forcing::DiffusionForcing;
use crate::method::ode_distillation::{self, OdeDistillation, Trajectories};
use crate::method::score::Pair;
use crate::method::self_forcing::{Objective, SelfForcing};
use crate::method::teacher_forcing::{TeacherForcing, World};
use crate::net::mask::{Mask, Ring};
use crate::net::rollout::{Engine, Rollout};
use crate::net::weights::Weights;
use crate::reproduce::chart::{Chart, Line};
use crate::reproduce::report::{Claim, Family, Finding, Report};
use crate::reproduce::table::Table;
use crate::reproduce::toy::{self, CELLS, Reading, walker};
use crate::reproduce::{Lab, Plan, ReproduceError};
use crate::rng::Rng;
use crate::stats::paired::moments;
use crate::train::optim::Rule;

/// Frames of a training window, and of a roll-out that is judged.
const FRAMES: usize = 6;

/// Walks of the recording.
const WALKS: usize = 2000;

/// Walks rolled out to judge a student.
const JUDGED: usize = 128;

/// Trajectories stored of each teacher.
const STORED: usize = 1024;

/// Denoising steps a student is judged at.
const STEPS: [usize; 3] = [4, 2, 1];

/// Frames of own roll-outs at which noise and frame are asked whether they still determine each other, counted from 1.
pub const DEPTHS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Midpoint steps of such a way to the frame, and back; roll-outs that go it.
const FINE: usize = 64;
const TRIPS: usize = 32;

/// Redraws of later noise.
const REDRAWS: usize = 64;

/// First frames whose later noise is redrawn.
const FIRSTS: usize = 32;

/// Clean history for the student.
const CLEAN: Mask = Mask::teacher_forcing(0);

/// The teachers.
pub const TEACHERS: [&str; 3] = ["autoregressive", "bidirectional", "autoregressive, by diffusion forcing"];

/// How a student begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Regression of a student with the weights of one of the teachers onto trajectories of another, both by number in [`TEACHERS`], on the same
    /// clean history for all.
    Ode {
        /// Whose weights.
        weights: usize,
        /// Whose trajectories.
        ends: usize,
    },
    /// From the bidirectional teacher's states as they are: the initialisation of Self Forcing.
    Noisy,
    /// Consistency with a teacher's flow, from its weights.
    Consistency(usize),
}

/// Trained initialisations, and what they are called.
pub const STARTS: [(&str, Start); 8] = [
    ("AR weights, AR trajectories", Start::Ode { weights: 0, ends: 0 }),
    ("bidirectional weights, AR trajectories", Start::Ode { weights: 1, ends: 0 }),
    ("AR weights, bidirectional trajectories", Start::Ode { weights: 0, ends: 1 }),
    ("bidirectional weights, bidirectional trajectories", Start::Ode { weights: 1, ends: 1 }),
    ("bidirectional trajectories, noisy history", Start::Noisy),
    ("AR teacher, consistency", Start::Consistency(0)),
    ("bidirectional teacher, consistency", Start::Consistency(1)),
    ("AR teacher by diffusion forcing", Start::Ode { weights: 2, ends: 2 }),
];

/// Where a student's one-step answer to the noise of a first frame lies, in shares of the data's variance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// Squared distance to the mean of the bidirectional teacher's ends over later noise.
    pub mean: f64,
    /// To the nearest of those ends.
    pub nearest: f64,
    /// To the end of the autoregressive teacher's flow.
    pub flow: f64,
    /// [`Reading::off`]: what of it is no bump.
    pub off: f64,
}

/// What one seed found.
pub struct Found {
    /// Of each of [`TEACHERS`]: unexplained variance of its ends, and what those are worth.
    pub teachers: Vec<(f64, walker::Worth)>,
    /// For each depth, the error of noise after the way to the frame and back, and of the frame after that way once more.
    pub round_trip: Vec<(usize, [f64; 2])>,
    /// Variance of the bidirectional teacher's ends over later noise, and what of their mean is no bump.
    pub ends: [f64; 2],
    /// One-step answers of the students of AR and of bidirectional trajectories, each from its teacher's weights.
    pub answers: [Answer; 2],
    /// For each start: name, steps, and what its walks are worth before and after Self Forcing.
    pub worth: Vec<(&'static str, usize, [walker::Worth; 2])>,
}

/// Trains and measures one seed.
///
/// # Errors
/// [`ReproduceError`].
pub fn experiment(lab: &Lab<'_>) -> Result<Found, ReproduceError> {
    let walks = Walks::new(lab);
    let mut teachers = walks.teachers()?;
    teachers.push(walks.by_diffusion_forcing()?);
    let worth = |net: &Weights, steps: usize| walks.roll_out(net, Some(steps));
    let mut found = Found {
        teachers: walks.judge(&teachers),
        round_trip: walks.round_trip(&teachers[0]),
        ends: [0.0; 2],
        answers: [Answer::default(); 2],
        worth: Vec::new(),
    };
    let mut students = Vec::new();
    for (name, how) in STARTS {
        let start = walks.start(name, how, &teachers)?;
        let tuned = walks.tuned(name, &start, &teachers[1])?;
        for steps in STEPS {
            found.worth.push((name, steps, [worth(&start, steps), worth(&tuned, steps)]));
        }
        students.push(start);
    }
    (found.ends, found.answers) = walks.falsifier(&teachers, [&students[0], &students[3]]);
    Ok(found)
}

/// One seed's walks and what is trained on them.
pub struct Walks<'a> {
    lab: &'a Lab<'a>,
    config: ModelConfig,
    data: Latents,
}

impl<'a> Walks<'a> {
    /// Records the walks.
    pub fn new(lab: &'a Lab<'a>) -> Self {
        let config = toy::model(1, &["none"], &["none"], FRAMES);
        Self { lab, config, data: walker::record(WALKS, FRAMES + 1, 1 + lab.seed) }
    }

    fn world(&self, rate: f32) -> World<'_> {
        self.lab.world(&self.config, &self.data, FRAMES, rate)
    }

    /// The autoregressive and the bidirectional teacher.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn teachers(&self) -> Result<Vec<Weights>, ReproduceError> {
        let fresh = || self.lab.fresh(&self.config);
        let causal = self.lab.train("teacher", &TeacherForcing(self.world(2e-3)), fresh(), 2500)?;
        let full = DiffusionForcing { world: self.world(2e-3), mask: Mask::Full };
        Ok(vec![causal, self.lab.train("bidirectional", &full, fresh(), 8000)?])
    }

    /// An autoregressive teacher that learnt from noisy history.
    fn by_diffusion_forcing(&self) -> Result<Weights, ReproduceError> {
        let stage = DiffusionForcing { world: self.world(2e-3), mask: Mask::Causal(Ring::ENDLESS) };
        self.lab.train("diffusion forcing", &stage, self.lab.fresh(&self.config), 2500)
    }

    /// Of each teacher: unexplained variance of its ends, and what those are worth.
    pub fn judge(&self, teachers: &[Weights]) -> Vec<(f64, walker::Worth)> {
        let (world, lab) = (self.world(0.0), self.lab);
        let one = |(i, teacher): (usize, &Weights)| {
            if i != 1 {
                return (self.residual(teacher, CLEAN), self.roll_out(teacher, None));
            }
            let ends = Trajectories::record(&world, teacher, &lab.device, Mask::Full, JUDGED, 3 + lab.seed).ends;
            (self.residual(teacher, Mask::Full), walker::judge(&ends, FRAMES, 1))
        };
        teachers.iter().enumerate().map(one).collect()
    }

    /// Trajectories of the teacher number `of`, all from the same noise and on the same clean history: the bidirectional teacher's own ends,
    /// the only history that fits its trajectories. Every other teacher continues it frame by frame.
    fn trajectories(&self, teachers: &[Weights], of: usize) -> Trajectories {
        let (world, lab) = (self.world(0.0), self.lab);
        let full = Trajectories::record(&world, &teachers[1], &lab.device, Mask::Full, STORED, 11 + lab.seed);
        if of == 1 {
            return full;
        }
        // Its first states are the noise.
        full.retraced(&world, &teachers[of], &lab.device, CLEAN)
    }

    /// Trains the student called `name`.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn start(&self, name: &str, how: Start, teachers: &[Weights]) -> Result<Weights, ReproduceError> {
        let lab = self.lab;
        let ode = |weights: usize, ends: usize, mask: Mask| {
            let trajectories = self.trajectories(teachers, ends);
            let stage = OdeDistillation { world: self.world(1e-3), trajectories: &trajectories, mask };
            lab.train(name, &stage, teachers[weights].clone(), 1000)
        };
        match how {
            Start::Ode { weights, ends } => ode(weights, ends, CLEAN),
            Start::Noisy => ode(1, 1, Mask::Causal(Ring::ENDLESS)),
            Start::Consistency(of) => {
                let (teacher, mask) = (&teachers[of], if of == 1 { Mask::Full } else { CLEAN });
                let rule = Rule { beta1: 0.5, ..self.world(5e-4).rule };
                let stage = Consistency { world: World { rule, ..self.world(5e-4) }, teacher, mask, resampling: None };
                lab.train(name, &stage, teacher.clone(), 1000)
            }
        }
    }

    /// That student after Self Forcing, with the bidirectional teacher `full` as the score of the data.
    fn tuned(&self, name: &str, start: &Weights, full: &Weights) -> Result<Weights, ReproduceError> {
        let pair = Pair { teacher: full, mask: Mask::Full };
        let rule = Rule { beta1: 0.0, ema: 0.99, ..self.world(2e-4).rule };
        let stage =
            SelfForcing { world: World { rule, ..self.world(2e-4) }, pair, objective: Objective::Matching, steps: 4 };
        let both = self.lab.train(&format!("{name} self"), &stage, Pair::join(start, full), 1000)?;
        let [tuned, _] = pair.split(&both);
        Ok(tuned)
    }

    /// Variance of the ends of frames in mid-window, given everything up to them, over the noise of frames to come; in shares of the
    /// data's variance, which is 1. An autoregressive teacher's mask hides that noise, so that its 0 holds by construction.
    fn residual(&self, teacher: &Weights, mask: Mask) -> f64 {
        let (world, lab) = (self.world(0.0), self.lab);
        let mut rng = Rng::new(31 + lab.seed);
        let windows = world.data.windows(16, FRAMES, &mut rng);
        let first = rng.normals(windows.real.len());
        variance(&self.redrawn(teacher, mask, &windows, &first, FRAMES / 2, 8, &mut rng))
    }

    /// The ends of frame number `at` of `windows` for noise `first`, of which all behind that frame is drawn `tries` times.
    #[expect(clippy::too_many_arguments, reason = "all of them say what is held and what is drawn")]
    fn redrawn(
        &self,
        teacher: &Weights,
        mask: Mask,
        windows: &Windows,
        first: &[f32],
        at: usize,
        tries: usize,
        rng: &mut Rng,
    ) -> Vec<Vec<f32>> {
        let (world, row, at) = (self.world(0.0), FRAMES * CELLS, at * CELLS);
        let one = |_| {
            let mut noise = first.to_vec();
            for window in noise.chunks_exact_mut(row) {
                window[at + CELLS..].iter_mut().for_each(|x| *x = rng.normal());
            }
            let ends = ode_distillation::integrate(&world, teacher, &self.lab.device, mask, windows, &noise).pop();
            ends.unwrap_or_default().chunks_exact(row).flat_map(|w| w[at..at + CELLS].to_vec()).collect()
        };
        (0..tries).map(one).collect()
    }

    /// For each of [`DEPTHS`]: `teacher` rolls out frame after frame; how far noise is from where it came from after the flow to the frame and back
    /// again, and the frame after the flow from there, as root mean squares. That noise determines the frame, which regression rests on,
    /// shows as a small error of the frame at every depth. Noise itself need not come back: where frames are few, most of it is pressed flat.
    pub fn round_trip(&self, teacher: &Weights) -> Vec<(usize, [f64; 2])> {
        let (dit, shift) = (&self.config.dit, self.config.schedule.shift);
        let (actions, events, mut rng) = (vec![0.0; TRIPS], vec![0; TRIPS], Rng::new(41 + self.lab.seed));
        let mut levels = even_levels(FINE, shift);
        levels.push(0.0);
        let mut rollout = Rollout::new(Engine::Fast(teacher), dit, FRAMES, vec![0.0; TRIPS * CELLS]);
        let mut found = Vec::new();
        for depth in 1..=DEPTHS[DEPTHS.len() - 1] {
            // Along the levels from one to the next, by the midpoint of each pair.
            let flow = |mut x: Vec<f32>, pairs: &mut dyn Iterator<Item = [f32; 2]>| {
                for [from, to] in pairs {
                    let middle = 0.5 * (from + to);
                    let v = rollout.velocity(&x, &[from; TRIPS], &actions, &events);
                    let half: Vec<f32> = x.iter().zip(&v).map(|(x, v)| x + (middle - from) * v).collect();
                    let v = rollout.velocity(&half, &[middle; TRIPS], &actions, &events);
                    x.iter_mut().zip(v).for_each(|(x, v)| *x += (to - from) * v);
                }
                x
            };
            let down = || levels.windows(2).map(|pair| [pair[0], pair[1]]);
            let noise = rng.normals(TRIPS * CELLS);
            let end = flow(noise.clone(), &mut down());
            if DEPTHS.contains(&depth) {
                let back = flow(end.clone(), &mut down().rev().map(|[from, to]| [to, from]));
                let again = flow(back.clone(), &mut down());
                found.push((depth, [distance(&noise, &back).sqrt(), distance(&end, &again).sqrt()]));
            }
            rollout.commit(&end, &actions, &events);
        }
        found
    }

    /// What the one-step answers of two students, of autoregressive and of bidirectional trajectories, to the noise of a first frame are near to;
    /// and the variance of the bidirectional teacher's ends for that noise, and how little their mean is a bump.
    pub fn falsifier(&self, teachers: &[Weights], students: [&Weights; 2]) -> ([f64; 2], [Answer; 2]) {
        let (world, mut rng) = (self.world(0.0), Rng::new(61 + self.lab.seed));
        let mut windows = world.data.windows(FIRSTS, FRAMES, &mut rng);
        windows.before.fill(0.0);
        let noise = rng.normals(windows.real.len());
        let ends = self.redrawn(&teachers[1], Mask::Full, &windows, &noise, 0, REDRAWS, &mut rng);
        let count = ends[0].len();
        let mean: Vec<f32> = (0..count).map(|i| ends.iter().map(|e| e[i]).sum::<f32>() / REDRAWS as f32).collect();
        let flow = self.redrawn(&teachers[0], CLEAN, &windows, &noise, 0, 1, &mut rng).concat();
        let first: Vec<f32> = windows.at(&noise, 0);
        let answers = students.map(|net| {
            let rollout = Rollout::new(Engine::Fast(net), &self.config.dit, FRAMES, vec![0.0; FIRSTS * CELLS]);
            let v = rollout.velocity(&first, &[1.0; FIRSTS], &[0.0; FIRSTS], &[0; FIRSTS]);
            let answer: Vec<f32> = first.iter().zip(v).map(|(x, v)| x - v).collect();
            let nearest = |b: usize| {
                let part = b * CELLS..(b + 1) * CELLS;
                ends.iter().map(|e| distance(&answer[part.clone()], &e[part.clone()])).fold(f64::INFINITY, f64::min)
            };
            Answer {
                mean: distance(&answer, &mean),
                nearest: (0..FIRSTS).map(nearest).sum::<f64>() / FIRSTS as f64,
                flow: distance(&answer, &flow),
                off: off(&answer),
            }
        });
        ([variance(&ends), off(&mean)], answers)
    }

    /// Walks by `net` in `steps` steps a frame, or by the flow of a teacher, from nothing.
    pub fn roll_out(&self, net: &Weights, steps: Option<usize>) -> walker::Worth {
        let schedule = &self.config.schedule;
        let few = steps.and_then(|steps| schedule.sigmas(steps));
        let flow = even_levels(16, schedule.shift);
        let mut rng = Rng::new(77);
        let mut rollout = Rollout::new(Engine::Fast(net), &self.config.dit, FRAMES, vec![0.0; JUDGED * CELLS]);
        let mut walks = vec![0.0; JUDGED * FRAMES * CELLS];
        for f in 0..FRAMES {
            let (actions, events) = (vec![0.0; JUDGED], vec![0; JUDGED]);
            let made = match &few {
                Some(sigmas) => rollout.generate(sigmas, &actions, &events, &mut rng),
                None => rollout.integrate(&flow, &actions, &events, &mut rng),
            };
            for (b, frame) in made.chunks_exact(CELLS).enumerate() {
                walks[(b * FRAMES + f) * CELLS..][..CELLS].copy_from_slice(frame);
            }
        }
        walker::judge(&walks, FRAMES, 1)
    }
}

/// Mean squared difference.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64
}

/// Mean variance of values over several draws of all of them.
fn variance(draws: &[Vec<f32>]) -> f64 {
    let one = |i: usize| moments(&draws.iter().map(|draw| f64::from(draw[i])).collect::<Vec<_>>()).1.powi(2);
    (0..draws[0].len()).map(one).sum::<f64>() / draws[0].len() as f64
}

/// Mean of [`Reading::off`] over pictures.
fn off(pictures: &[f32]) -> f64 {
    let all = pictures.chunks_exact(CELLS).map(|picture| f64::from(Reading::new(picture).off));
    all.sum::<f64>() / (pictures.len() / CELLS) as f64
}

/// Runs all seeds.
///
/// # Errors
/// [`ReproduceError`].
pub fn reproduce(plan: &Plan<'_>) -> Result<Report<'static>, ReproduceError> {
    let (found, cost) = plan.run("causal", experiment)?;
    let mut teachers = Table::new(&["unexplained variance", "blur", "legal steps"]);
    let mut depths = Table::new(&["error of the noise", "error of the frame"]);
    let mut answers = Table::new(&[MEAN, NEAREST, FLOW, "blur"]);
    let mut ends = Table::new(&["variance over later noise", "blur of their mean"]);
    let mut students = Table::new(&[BLUR[0], "legal steps, init", BLUR[1], LEGAL, "of them to the right"]);
    for seed in &found {
        for (name, (residual, worth)) in TEACHERS.iter().zip(&seed.teachers) {
            teachers.add(name, &[*residual, worth.off, worth.legal]);
        }
        for (depth, errors) in &seed.round_trip {
            depths.add(&format!("frame {depth}"), errors);
        }
        for (name, answer) in STUDENTS.iter().zip(&seed.answers) {
            answers.add(name, &[answer.mean, answer.nearest, answer.flow, answer.off]);
        }
        ends.add("bidirectional", &seed.ends);
        for (start, steps, [init, tuned]) in &seed.worth {
            let figures = [init.off, init.legal, tuned.off, tuned.legal, tuned.right];
            students.add(&row(start, *steps), &figures);
        }
    }
    let name = |i: usize| STARTS[i].0;
    let figure = |i: usize, steps: usize, column: &str| students.values(&row(name(i), steps), column).to_vec();
    // Over both of what is not asked about.
    let over = |pair: [usize; 2], steps: usize, column: &str| -> Vec<f64> {
        let [a, b] = pair.map(|i| figure(i, steps, column));
        a.iter().zip(&b).map(|(a, b)| 0.5 * (a + b)).collect()
    };
    let main = Family {
        name: "Initial weights and trajectories apart (2 x 2), one step a frame",
        claims: vec![
            Claim::new(
                "bidirectional trajectories leave more blur than autoregressive ones, initial weights held",
                &over([2, 3], 1, BLUR[0]),
                &over([0, 1], 1, BLUR[0]),
            ),
            Claim::new("the same after Self Forcing", &over([2, 3], 1, BLUR[1]), &over([0, 1], 1, BLUR[1])),
            Claim::new(
                "after Self Forcing they leave fewer legal steps, initial weights held",
                &over([0, 1], 1, LEGAL),
                &over([2, 3], 1, LEGAL),
            ),
            Claim::new("the same in 4 steps a frame", &over([0, 1], 4, LEGAL), &over([2, 3], 4, LEGAL)),
            Claim::new(
                "bidirectional weights leave more blur than autoregressive ones, trajectories held",
                &over([1, 3], 1, BLUR[0]),
                &over([0, 2], 1, BLUR[0]),
            ),
            Claim::new("the same after Self Forcing", &over([1, 3], 1, BLUR[1]), &over([0, 2], 1, BLUR[1])),
        ],
    };
    let of = |student: usize, column: &str| answers.values(STUDENTS[student], column).to_vec();
    let falsifier = Family {
        name: "What a student answers with: the paper's falsifier",
        claims: vec![
            Claim::new(
                "the student of bidirectional trajectories is nearer to the mean of ends than to any single end",
                &of(1, NEAREST),
                &of(1, MEAN),
            ),
            Claim::new(
                "that of autoregressive ones is nearer to its teacher's flow than to that mean",
                &of(0, MEAN),
                &of(0, FLOW),
            ),
            Claim::new("the former is nearer to the mean than the latter", &of(0, MEAN), &of(1, MEAN)),
            Claim::new("the latter is nearer to the flow than the former", &of(1, FLOW), &of(0, FLOW)),
        ],
    };
    let legal = |i: usize, steps: usize| figure(i, steps, LEGAL);
    let arms = Family {
        name: "Other arms of the paper",
        claims: vec![
            Claim::new(
                "Self Forcing's initialisation (noisy history) leaves more blur in one step than an AR teacher's trajectories",
                &figure(4, 1, BLUR[0]),
                &figure(0, 1, BLUR[0]),
            ),
            Claim::new("after Self Forcing it leaves fewer legal steps", &legal(0, 1), &legal(4, 1)),
            Claim::new(
                "asymmetric consistency leaves more blur in one step than causal consistency",
                &figure(6, 1, BLUR[0]),
                &figure(5, 1, BLUR[0]),
            ),
            Claim::new("after Self Forcing it leaves fewer legal steps", &legal(5, 1), &legal(6, 1)),
            Claim::new(
                "a teacher by diffusion forcing makes fewer legal steps than one by teacher forcing",
                teachers.values(TEACHERS[0], LEGAL),
                teachers.values(TEACHERS[2], LEGAL),
            ),
            Claim::new("so does its student after Self Forcing, in one step", &legal(0, 1), &legal(7, 1)),
        ],
    };
    let findings = |family: &Family<'_>| family.findings().into_iter().map(|found| found.1).collect::<Vec<_>>();
    let (first, told) = (findings(&main), findings(&falsifier));
    let verdict = match (first[0], told[0], told[1]) {
        (Finding::Untested, ..) => "One seed: nothing was tested.".to_owned(),
        (Finding::Shows, Finding::Shows, Finding::Shows) => "It is the trajectories that make a causal student blurred, whatever weights it begins with, and by answering \
            with the mean of the ends that it cannot tell apart."
            .to_owned(),
        (Finding::Shows, ..) => "It is the trajectories that make a causal student blurred, whatever weights it begins with; that it answers with the mean of ends does not show in full.".to_owned(),
        _ => "With initial weights and history held, the trajectories' effect on blur does not show.".to_owned(),
    };
    let line = |(start, _): &(&str, Start)| Line {
        name: (*start).to_owned(),
        points: STEPS
            .map(|steps| {
                let mean = students.figure(&row(start, steps), LEGAL);
                (steps as f64, mean.mean, mean.half())
            })
            .into(),
    };
    let charts = vec![Chart {
        title: "Share of legal steps after Self Forcing",
        axes: ["denoising steps a frame", "share"],
        joined: true,
        lines: STARTS.iter().map(line).collect(),
    }];
    Ok(Report {
        name: "causal",
        title: "Causal Forcing: which teacher a causal student wants",
        verdict,
        paper: "A student that sees the past alone can learn a teacher's flow frame by frame only if noise and past determine the teacher's frame (frame-level injectivity). \
            Those of a bidirectional teacher do not: regression onto them answers with the mean of what may come, which is blurred (arXiv 2602.02214).",
        setting: "A bump on a ring steps left or right at random, so every frame has two equally good successors. Students begin with the weights of either teacher and regress \
            onto the trajectories of either (2 x 2), from the same noise, on the same clean history for all: the bidirectional teacher's own ends, which the autoregressive \
            one continues frame by frame. All go through the same Self Forcing with the bidirectional teacher as judge. Autoregressive teacher: 2500 steps, the bidirectional \
            one 8000, since it needs them. *Round trip*: the autoregressive teacher's flow of frame 1, 2, 4 ... 32 of its own roll-outs from noise to frame and back, 64 \
            midpoint steps each way; the frame must come back, noise need not, since most of it is pressed flat. *Falsifier*: 32 first frames, whose own noise is held and all later noise drawn 64 times. Chunks of several frames were not tried: training \
            here is frame by frame.",
        symbols: "*Blur*: squared distance of a frame from the nearest true picture over that picture's square. *Legal step*: share of steps of the true length (2 cells, 0.5 either \
            way). *To the right*: share of legal steps, 0.5 in truth. *Unexplained variance*: of a frame's end over the noise of later frames, the data's being 1; for an \
            autoregressive teacher it is 0 by construction, since its mask hides that noise. Errors of a round trip are root mean squares; noise has 1. Distances of answers \
            are squared, the data's variance being 1.",
        effort: (plan.seeds, plan.effort),
        cost,
        tried: "",
        gates: Vec::new(),
        families: vec![main, falsifier, arms],
        tables: vec![
            ("Teachers", teachers),
            ("To the frame and back, along own roll-outs of the autoregressive teacher", depths),
            ("Ends of a first frame whose own noise is held", ends),
            ("One-step answers to that noise", answers),
            ("Students", students),
        ],
        charts,
    })
}

/// Columns.
const BLUR: [&str; 2] = ["blur, init", "blur"];
const LEGAL: &str = "legal steps";
const MEAN: &str = "to the mean of ends";
const NEAREST: &str = "to the nearest end";
const FLOW: &str = "to the AR teacher's end";

/// Students that answer.
const STUDENTS: [&str; 2] = ["student of AR trajectories", "student of bidirectional trajectories"];

fn row(start: &str, steps: usize) -> String {
    format!("{start}, {steps} steps")
}
