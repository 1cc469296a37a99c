//! Delta Forcing where there is something to cure: what would have to be true for [`crate::reproduce::delta`] to test it, made true.
//!
//! There the judge disagrees with half of all streams before anything changes, so a radius measured on them trusts it after a change as
//! well; it takes too little from the student; and some students are bad to begin with. Here streams begin as the judge expects, which
//! disagrees as soon as the event changes and never before; it knows one direction for each event, so that it takes what it can; and
//! students are drawn until one keeps its direction.

use crate::method::delta_forcing::DeltaForcing;
use crate::method::score::Pair;
use crate::method::streaming::Streaming;
use crate::reproduce::chart::{Chart, Line};
use crate::reproduce::delta::{STEPS, Start, Streams, TRUST, WAYS};
use crate::reproduce::report::{Family, Finding, Gate, Report};
use crate::reproduce::table::Table;
use crate::reproduce::toy::switch;
use crate::reproduce::tuned::{BEFORE, PAPER, Tuned};
use crate::reproduce::{Lab, Plan, ReproduceError};
use crate::stats::paired::Mean;

/// Direction that a student must keep, and most that are drawn.
const ENOUGH: f64 = 0.9;
const DRAWN: u64 = 6;

/// Changes after which direction is told, counted from 1: those after which the judge disagrees.
const AFTER: [usize; 2] = [1, 3];

/// Steps of tuning.
const TUNED: u64 = 300;

/// The ways of [`WAYS`] compared: all but the inverted weights and the hard mask.
const COMPARED: usize = 5;

/// What one seed found.
pub struct Found {
    /// Students drawn.
    pub drawn: u64,
    /// What streams are worth before tuning, and after each way of it.
    pub worth: Vec<(&'static str, Vec<switch::Worth>)>,
    /// Mean weight in the trust region before tuning, of streams without a change and with one.
    pub trust: [f64; 2],
}

/// Trains and measures one seed.
///
/// # Errors
/// [`ReproduceError`].
pub fn experiment(lab: &Lab<'_>) -> Result<Found, ReproduceError> {
    let streams = Streams::of(lab, 1.0, true);
    let mut drawn = 0;
    let (student, begun) = loop {
        let student = streams.student(&format!(" {drawn}"), streams.fresh(drawn))?;
        let worth = streams.worth(&student, STEPS, &AFTER);
        drawn += 1;
        if worth[0].kept >= ENOUGH || drawn == DRAWN {
            break (student, worth);
        }
    };
    let teacher = streams.teacher()?;
    let start = Start { both: Pair::join(&student, &teacher), teacher };
    let mut found = Found { drawn, worth: vec![(BEFORE, begun)], trust: streams.mean_weights(&start) };
    let radius = DeltaForcing::new(TRUST, &streams.judged(&start, false, 21 + lab.seed));
    for (name, options) in WAYS.into_iter().take(COMPARED) {
        let stage = Streaming { delta: Some(DeltaForcing { options, ..radius.clone() }), ..streams.streaming(&start) };
        let [tuned, _] = start.pair().split(&lab.train(name, &stage, start.both.clone(), TUNED)?);
        found.worth.push((name, streams.worth(&tuned, STEPS, &AFTER)));
    }
    Ok(found)
}

/// Runs all seeds.
///
/// # Errors
/// [`ReproduceError`].
pub fn reproduce(plan: &Plan<'_>) -> Result<Report<'static>, ReproduceError> {
    let (found, cost) = plan.run("bias", experiment)?;
    let mut tuned = Tuned::new("kept after the 3rd");
    let mut students = Table::new(&["students drawn"]);
    for seed in &found {
        seed.worth.iter().for_each(|(name, worth)| tuned.add(name, [worth[0], worth[1]]));
        tuned.trusted(seed.trust);
        students.add("each seed", &[seed.drawn as f64]);
    }
    let [matching, region, continuity, both, random, ..] = WAYS.map(|way| way.0);
    let gates = vec![
        Gate {
            text: "before tuning, direction kept after the 1st change".into(),
            found: tuned.streams.figure(BEFORE, tuned.kept[0]),
            least: ENOUGH,
            others: vec![("after the 3rd change".into(), tuned.streams.figure(BEFORE, tuned.kept[1]).mean)],
        },
        Gate {
            text: format!("share of it that {TUNED} steps of distribution matching alone lose"),
            found: Mean::new(&tuned.lost(matching, 0)),
            least: 0.3,
            others: vec![("after the 3rd change".into(), Mean::new(&tuned.lost(matching, 1)).mean)],
        },
    ];
    let primary = tuned.claimed(both, matching, "3rd");
    let parts = Family {
        name: "Its parts and a control, after the 1st change",
        claims: vec![
            tuned.less_trusted(),
            tuned.against("the trust region by itself keeps more than matching alone", region, matching),
            tuned.against("continuity by itself keeps more than matching alone", continuity, matching),
            tuned.against("the trust region keeps more than random weights of the same mean", region, random),
        ],
    };
    let shown: Vec<Finding> = primary.findings().into_iter().map(|found| found.1).collect();
    let open = gates.iter().all(Gate::passes);
    let verdict = match (open, shown[0], shown[2]) {
        (false, ..) => {
            "Nothing to show here: a gate fails, so that this setting cannot test what the paper claims either"
        }
        (_, Finding::Untested, _) => "One seed: nothing was tested",
        (_, Finding::Shows, Finding::Shows) => {
            "Where judge and stream agree until the event changes, Delta Forcing, as we read it, keeps more of what the event says nothing about than distribution matching alone, and follows the event as soon"
        }
        (_, Finding::Shows, _) => {
            "Where judge and stream agree until the event changes, Delta Forcing, as we read it, keeps more of what the event says nothing about than distribution matching alone; that it follows the event as soon does not show"
        }
        (_, Finding::Opposite, _) => {
            "There is something to cure here, and Delta Forcing, as we read it, makes it worse"
        }
        _ => "There is something to cure here, and Delta Forcing, as we read it, does not cure it",
    };
    let no_better = open && shown[0] == Finding::Shows && parts.findings()[3].1 != Finding::Shows;
    let aside = if no_better { "; its trust region keeps no more than random weights of the same mean" } else { "" };
    let verdict = format!("{verdict}{aside}.");
    let line = |(at, name): (usize, &&'static str)| {
        let mean = tuned.streams.figure(name, tuned.kept[0]);
        Line { name: (**name).to_owned(), points: vec![(at as f64, mean.mean, mean.half())] }
    };
    let charts = vec![Chart {
        title: "Direction kept after the 1st change",
        axes: ["way, as in the legend", "share of steps in the direction of before"],
        joined: false,
        lines: [BEFORE, matching, region, continuity, both, random].iter().enumerate().map(line).collect(),
    }];
    Ok(Report {
        name: "bias",
        title: "Delta Forcing where judge and stream agree until the event changes",
        verdict,
        paper: PAPER,
        setting: "The world of [delta.md](delta.md), with what that page lacks. Streams begin in the direction of all clips of their event, so the judge agrees with them until \
            the event changes, and asks for the other direction from then on; every clip moves as its event says, where it was 90 % of them. Of at most six students \
            the first that keeps nine tenths of its direction is tuned. All else is as there: 6 changes of 8 frames with recache, 5 frames remembered, one seen by the judge, \
            trust region with the median as its radius, noise levels .3 to .7, exp(-4 (d / r - 1)).",
        symbols: "*Kept*: share of steps between frames that go in the direction of the stream's start (1 is all, 0.5 is chance, 0 the judge's wish). *Frames to the new hue*: until \
            nine tenths of the way are done, 17 if never. *Not a bump*: squared distance from the nearest true picture over that picture's square.",
        effort: (plan.seeds, plan.effort),
        cost,
        tried: "",
        gates,
        families: vec![primary, parts],
        tables: vec![
            ("Streams after a change", tuned.streams),
            ("Weight of supervision before tuning", tuned.trust),
            ("Students that were drawn", students),
        ],
        charts,
    })
}
