//! Causal Forcing: a causal student wants a causal teacher (spec 5.4).
//!
//! The world is the random walk of [`walker`]: every frame has two equally good successors. Three few-step initialisations are
//! compared, each regressing onto the probability-flow ends of a teacher: an autoregressive one on real history; a bidirectional one
//! with its own ends as clean history; and a bidirectional one with noisy history, which is the initialisation of Self Forcing. Then
//! each goes through the same Self Forcing. Beside them consistency distillation from the autoregressive teacher.

use causeway_runtime::config::ModelConfig;

use crate::footage::latents::{Latents, even_levels};
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
use crate::reproduce::report::{Claim, Report};
use crate::reproduce::table::{Table, moments};
use crate::reproduce::toy::{self, walker};
use crate::reproduce::{Lab, Plan, ReproduceError};
use crate::rng::Rng;
use crate::train::optim::Rule;

/// Frames of a training window, and of a roll-out that is judged.
const FRAMES: usize = 6;

/// Walks of the recording.
const WALKS: usize = 2000;

/// Walks rolled out to judge a student.
const JUDGED: usize = 128;

/// Denoising steps a student is judged at.
const STEPS: [usize; 3] = [4, 2, 1];

/// Clean history for the student.
const CLEAN: Mask = Mask::teacher_forcing(0);

/// Trained initialisations, and what they are called.
pub const STARTS: [&str; 4] = [
    "AR teacher, ODE",
    "AR teacher, consistency",
    "bidirectional teacher, ODE",
    "bidirectional teacher, ODE on noisy history",
];

/// What one seed found.
pub struct Found {
    /// Of the teachers, autoregressive and bidirectional: unexplained variance of their ends, and what those are worth.
    pub teachers: [(f64, walker::Worth); 2],
    /// For each start: name, steps, and what its walks are worth before and after Self Forcing.
    pub worth: Vec<(&'static str, usize, [walker::Worth; 2])>,
}

/// Trains and measures one seed.
///
/// # Errors
/// [`ReproduceError`].
pub fn experiment(lab: &Lab<'_>) -> Result<Found, ReproduceError> {
    let walks = Walks::new(lab);
    let teachers = walks.teachers()?;
    let worth = |net: &Weights, steps: usize| walks.roll_out(net, Some(steps));
    let mut found = Found { teachers: walks.judge(&teachers), worth: Vec::new() };
    for (i, name) in STARTS.into_iter().enumerate() {
        let start = walks.start(i, &teachers)?;
        let tuned = walks.tuned(i, &start, &teachers[1])?;
        for steps in STEPS {
            found.worth.push((name, steps, [worth(&start, steps), worth(&tuned, steps)]));
        }
    }
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
    pub fn teachers(&self) -> Result<[Weights; 2], ReproduceError> {
        let fresh = || self.lab.fresh(&self.config);
        let causal = self.lab.train("teacher", &TeacherForcing(self.world(2e-3)), fresh(), 2500)?;
        let full = DiffusionForcing { world: self.world(2e-3), mask: Mask::Full };
        Ok([causal, self.lab.train("bidirectional", &full, fresh(), 8000)?])
    }

    /// Of each teacher: unexplained variance of its ends, and what those are worth.
    pub fn judge(&self, teachers: &[Weights; 2]) -> [(f64, walker::Worth); 2] {
        let [causal, full] = teachers;
        let (world, lab) = (self.world(0.0), self.lab);
        let ends = Trajectories::record(&world, full, &lab.device, Mask::Full, JUDGED, 3 + lab.seed).ends;
        [
            (self.residual(causal, CLEAN), self.roll_out(causal, None)),
            (self.residual(full, Mask::Full), walker::judge(&ends, FRAMES, 1)),
        ]
    }

    /// Trains the student of [`STARTS`] number `i`.
    ///
    /// # Errors
    /// [`ReproduceError`].
    pub fn start(&self, i: usize, teachers: &[Weights; 2]) -> Result<Weights, ReproduceError> {
        let (lab, name) = (self.lab, STARTS[i]);
        let (teacher, mask) = if i < 2 { (&teachers[0], CLEAN) } else { (&teachers[1], Mask::Full) };
        if i == 1 {
            let rule = Rule { beta1: 0.5, ..self.world(5e-4).rule };
            let stage = Consistency { world: World { rule, ..self.world(5e-4) }, teacher, resampling: None };
            return lab.train(name, &stage, teacher.clone(), 1000);
        }
        let trajectories = Trajectories::record(&self.world(0.0), teacher, &lab.device, mask, 1024, 11 + lab.seed);
        let sees = if i == 3 { Mask::Causal(Ring::ENDLESS) } else { CLEAN };
        let stage = OdeDistillation { world: self.world(1e-3), trajectories: &trajectories, mask: sees };
        lab.train(name, &stage, teacher.clone(), 1000)
    }

    /// That student after Self Forcing, with the bidirectional teacher `full` as the score of the data.
    fn tuned(&self, i: usize, start: &Weights, full: &Weights) -> Result<Weights, ReproduceError> {
        let pair = Pair { teacher: full, mask: Mask::Full };
        let rule = Rule { beta1: 0.0, ema: 0.99, ..self.world(2e-4).rule };
        let stage =
            SelfForcing { world: World { rule, ..self.world(2e-4) }, pair, objective: Objective::Matching, steps: 4 };
        let both = self.lab.train(&format!("{} self", STARTS[i]), &stage, Pair::join(start, full), 1000)?;
        let [tuned, _] = pair.split(&both);
        Ok(tuned)
    }

    /// Variance of the ends of frames in mid-window, given everything up to them, over the noise of frames to come; in shares of the
    /// data's variance, which is 1.
    fn residual(&self, teacher: &Weights, mask: Mask) -> f64 {
        let (world, lab) = (self.world(0.0), self.lab);
        let mut rng = Rng::new(31 + lab.seed);
        let (tries, row) = (8, FRAMES * toy::CELLS);
        let windows = world.data.windows(16, FRAMES, &mut rng);
        let first = rng.normals(windows.real.len());
        let at = FRAMES / 2 * toy::CELLS;
        let ends: Vec<Vec<f32>> = (0..tries)
            .map(|_| {
                let mut noise = first.clone();
                for window in noise.chunks_exact_mut(row) {
                    window[at + toy::CELLS..].iter_mut().for_each(|x| *x = rng.normal());
                }
                let ends = ode_distillation::integrate(&world, teacher, &lab.device, mask, &windows, &noise).pop();
                ends.unwrap_or_default().chunks_exact(row).flat_map(|w| w[at..at + toy::CELLS].to_vec()).collect()
            })
            .collect();
        let variance = |i: usize| moments(&ends.iter().map(|e| f64::from(e[i])).collect::<Vec<_>>()).1.powi(2);
        (0..ends[0].len()).map(variance).sum::<f64>() / ends[0].len() as f64
    }

    /// Walks by `net` in `steps` steps a frame, or by the flow of a teacher, from nothing.
    pub fn roll_out(&self, net: &Weights, steps: Option<usize>) -> walker::Worth {
        let schedule = &self.config.schedule;
        let few = steps.and_then(|steps| schedule.sigmas(steps));
        let flow = even_levels(16, schedule.shift);
        let mut rng = Rng::new(77);
        let mut rollout = Rollout::new(Engine::Fast(net), &self.config.dit, FRAMES, vec![0.0; JUDGED * toy::CELLS]);
        let mut walks = vec![0.0; JUDGED * FRAMES * toy::CELLS];
        for f in 0..FRAMES {
            let (actions, events) = (vec![0.0; JUDGED], vec![0; JUDGED]);
            let made = match &few {
                Some(sigmas) => rollout.generate(sigmas, &actions, &events, &mut rng),
                None => rollout.integrate(&flow, &actions, &events, &mut rng),
            };
            for (b, frame) in made.chunks_exact(toy::CELLS).enumerate() {
                walks[(b * FRAMES + f) * toy::CELLS..][..toy::CELLS].copy_from_slice(frame);
            }
        }
        walker::judge(&walks, FRAMES, 1)
    }
}

/// Runs all seeds.
///
/// # Errors
/// [`ReproduceError`].
pub fn reproduce(plan: &Plan<'_>) -> Result<Report<'static>, ReproduceError> {
    let found = plan.run("causal", experiment)?;
    let mut teachers = Table::new(&["unexplained variance", "blur", "legal steps"]);
    let mut students = Table::new(&["blur, init", "legal steps, init", "blur", "legal steps", "of them to the right"]);
    for seed in &found {
        for (name, (residual, worth)) in ["autoregressive", "bidirectional"].iter().zip(&seed.teachers) {
            teachers.add(name, &[*residual, worth.off, worth.legal]);
        }
        for (start, steps, [init, tuned]) in &seed.worth {
            let figures = [init.off, init.legal, tuned.off, tuned.legal, tuned.right];
            students.add(&row(start, *steps), &figures);
        }
    }
    let blur = |start: &str, column: &str| students.values(&row(start, 1), column);
    let [causal, _, full, noisy] = STARTS;
    let mut claims = vec![Claim::new(
        "a bidirectional teacher's ends depend on noise that a causal student cannot see, an autoregressive one's do not",
        teachers.values("bidirectional", "unexplained variance"),
        teachers.values("autoregressive", "unexplained variance"),
    )];
    for (when, column) in [("after initialisation", "blur, init"), ("after Self Forcing", "blur")] {
        for (which, other) in [("a bidirectional teacher", full), ("Self Forcing's initialisation", noisy)] {
            let text = format!("{when}, one step: {which} leaves more blur than an autoregressive teacher");
            claims.push(Claim::new(&text, blur(other, column), blur(causal, column)));
        }
    }
    for (which, other) in [("a bidirectional teacher", full), ("Self Forcing's initialisation", noisy)] {
        for steps in [4, 1] {
            let legal = |start: &str| students.values(&row(start, steps), "legal steps");
            let text = format!(
                "after Self Forcing, {steps} steps: {which} leaves fewer legal steps than an autoregressive teacher"
            );
            claims.push(Claim::new(&text, legal(causal), legal(other)));
        }
    }
    let line = |start: &&str| Line {
        name: (*start).to_owned(),
        points: STEPS.map(|steps| (steps as f64, students.figure(&row(start, steps), "legal steps"))).map(point).into(),
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
        setting: "A bump on a ring steps left or right at random, so every frame has two equally good successors. \
            Students of a few steps are initialised from an autoregressive or a bidirectional teacher and go through the same \
            Self Forcing. *Blur* is the squared distance of a frame from the nearest true picture over that picture's square; a \
            *legal step* is one of the true length. Half of them should go to the right.",
        effort: (plan.seeds, plan.effort),
        tried: "",
        claims,
        tables: vec![
            ("Teachers: variance of a frame's end given its own noise and the past, and the ends themselves", teachers),
            ("Students", students),
        ],
        charts,
    })
}

fn row(start: &str, steps: usize) -> String {
    format!("{start}, {steps} steps")
}

fn point((x, (mean, deviation)): (f64, (f64, f64))) -> (f64, f64, f64) {
    (x, mean, deviation)
}
