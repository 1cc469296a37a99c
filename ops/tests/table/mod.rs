//! What the table of operators must give, by the naive interpreter, and how far a backend may be from it.

use std::collections::BTreeMap;

use causeway_ops::{
    Backend, Kv, Op,
    op::{Commit, Route},
    plan::BufferId,
    table::{Case, Table},
};

use crate::naive::{Data, Machine, stored};

/// What each case of a table leaves in the buffers it writes.
pub type Expected = Vec<Vec<(BufferId, Data)>>;

/// The table of all cases.
pub fn table() -> Table {
    Table::new().expect("the table is a valid plan")
}

/// What is rounded before it is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each test file uses some of it")]
pub enum Rounded {
    /// Nothing.
    Nothing,
    /// Rows of linear layers, to bytes.
    Rows,
    /// Queries, keys and values, to half precision.
    Attention,
}

/// How far from what is expected a number may be.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each test file uses some of it")]
pub enum Bound {
    /// So many times the case's tolerance, which is relative to numbers above 1.
    Tolerances(f64),
    /// So many root mean squares of what is expected.
    Deviations(f64),
}

/// Runs the naive interpreter over all cases.
pub fn expected(table: &Table, rounded: Rounded) -> Expected {
    let mut machine = Machine::new(&table.plan, &table.weights);
    machine.quantise_activations = rounded == Rounded::Rows;
    machine.halve_attention = rounded == Rounded::Attention;
    let mut run = |case: &Case| {
        machine.fill(&case.fill);
        table.plan.pass(case.pass).nodes.iter().for_each(|op| machine.run(op, &case.params));
        table.written(case).into_iter().map(|id| (id, machine.buffers[id.0 as usize].clone())).collect()
    };
    table.cases.iter().map(&mut run).collect()
}

/// Runs a backend over all cases and returns the words of everything they write.
pub fn outputs(table: &Table, backend: &mut dyn Backend) -> Vec<Vec<u32>> {
    table.cases.iter().map(|case| table.run(case, backend).expect("a run")).collect()
}

/// Compares a backend's outputs with what is expected; panics with every failing row.
pub fn check(table: &Table, label: &str, outputs: &[Vec<u32>], expected: &Expected, bound: &dyn Fn(&Case) -> Bound) {
    let mut failures = Vec::new();
    // Of each operator that is measured by deviations.
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for ((case, output), expected) in table.cases.iter().zip(outputs).zip(expected) {
        let mut output = output.as_slice();
        for (id, expected) in expected {
            let buffer = table.plan.buffer(*id);
            let (found, rest) = output.split_at(buffer.len);
            output = rest;
            let failure = match (expected, table.op(case)) {
                (Data::F(expected), op) => match bound(case) {
                    Bound::Tolerances(times) => differ(found, expected, case.tolerance * times),
                    Bound::Deviations(most) => {
                        let off = deviation(found, expected);
                        let before = worst.entry(op.name()).or_default();
                        *before = before.max(off);
                        (off > most).then(|| format!("off by {off:.1e} root mean squares, at most {most:.0e}"))
                    }
                },
                (Data::U(expected), Op::Route(op)) => routes_differ(table, case, op, found, expected),
                (Data::U(expected), Op::Commit(op)) => rows_differ(op, found, expected),
                (Data::U(expected), _) => integers_differ(found, expected),
            };
            if let Some(failure) = failure {
                failures.push(format!("{label}: {}: {}: {failure}", case.name, buffer.name));
            }
        }
    }
    for (op, worst) in worst {
        println!("{label}: {op}: {worst:.1e} root mean squares off at most");
    }
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
}

/// A multistep sampler's first step gives the same whatever its past holds, not-a-number too.
pub fn a_first_step_finds_anything(table: &Table, backend: &mut dyn Backend) {
    let mut seen = 0;
    for case in &table.cases {
        let Op::Solve(op) = table.op(case) else { continue };
        let Some(past) = op.past.filter(|_| case.params.correct == [0.0; 4]) else { continue };
        let clear = table.run(case, backend).expect("a run");
        let mut case = case.clone();
        for (_, words) in case.fill.iter_mut().filter(|(id, _)| past.contains(id)) {
            words.fill(u32::MAX);
        }
        let foul = table.run(&case, backend).expect("a run");
        // The latents, from and newer; what was newer, and is older now, is as it was.
        assert_eq!(table.written(&case), [op.x, past[0], past[1], past[2]]);
        assert_eq!(clear[..3 * op.frames * op.len], foul[..3 * op.frames * op.len], "{}", case.name);
        seen += 1;
    }
    assert!(seen > 0);
}

/// Routes may differ from the expected ones only by frames that score the same but for rounding.
fn routes_differ(table: &Table, case: &Case, op: &Route, found: &[u32], expected: &[u32]) -> Option<String> {
    let mut machine = Machine::new(&table.plan, &table.weights);
    machine.fill(&case.fill);
    table.plan.pass(case.pass).nodes[..case.node].iter().for_each(|op| machine.run(op, &case.params));
    for (at, (found, expected)) in found.chunks(op.k).zip(expected.chunks(op.k)).enumerate() {
        let scores = machine.scores(op, at / op.heads, at % op.heads, case.params.history[op.group] as usize);
        let count = |route: &[u32]| route.iter().filter(|&&j| j != u32::MAX).count();
        let sorted = found.windows(2).all(|pair| pair[0] < pair[1] || pair == [u32::MAX; 2]);
        let close = found.iter().filter(|j| !expected.contains(j)).all(|&j| {
            let others = expected.iter().filter(|other| !found.contains(other));
            let gap = |other: &u32| (scores[j as usize] - scores[*other as usize]).abs();
            case.tolerance > 0.0 && others.map(gap).all(|gap| gap < case.tolerance)
        });
        if !sorted || count(found) != count(expected) || !close {
            return Some(format!("row {} head {}: {found:?}, expected {expected:?}", at / op.heads, at % op.heads));
        }
    }
    None
}

/// The largest difference in root mean squares of what is expected; not-a-number is the worst of all.
fn deviation(found: &[u32], expected: &[f64]) -> f64 {
    let square: f64 = expected.iter().map(|x| x * x).sum();
    let root = (square / expected.len().max(1) as f64).sqrt();
    let off = |(found, expected): (&u32, &f64)| (f64::from(f32::from_bits(*found)) - expected).abs() / root;
    found.iter().zip(expected).map(off).fold(0.0, |worst, off| if off <= worst { worst } else { off })
}

fn differ(found: &[u32], expected: &[f64], tolerance: f64) -> Option<String> {
    let found: Vec<f32> = found.iter().map(|&bits| f32::from_bits(bits)).collect();
    let error = |(found, expected): (&f32, &f64)| (f64::from(*found) - expected).abs() / (1.0 + expected.abs());
    // Not-a-number must not pass: it is the worst error of all.
    let rank = |error: f64| if error.is_nan() { f64::INFINITY } else { error };
    let errors = found.iter().zip(expected).map(|pair| rank(error(pair)));
    let (at, worst) = errors.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (worst > tolerance).then(|| {
        format!("element {at} is {}, expected {}: error {worst:.2e} > {tolerance:.2e}", found[at], expected[at])
    })
}

fn integers_differ(found: &[u32], expected: &[u32]) -> Option<String> {
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected)?;
    Some(format!("element {at} is {:#x}, expected {:#x}", found[at], expected[at]))
}

/// Packed rows of a ring may differ by one step, in one of a hundred numbers: GPUs divide with an error of their own, and so a number
/// between two codes may go either way.
fn rows_differ(op: &Commit, found: &[u32], expected: &[u32]) -> Option<String> {
    let (row, mut others, mut all) = (op.kv.row_words(op.head_dim), 0, 0);
    for (at, (found, expected)) in found.chunks(row).zip(expected.chunks(row)).enumerate() {
        let (x, y) = (stored(found, op.kv, op.head_dim), stored(expected, op.kv, op.head_dim));
        let top = y.iter().fold(0.0f64, |top, y| top.max(y.abs()));
        let step = if op.kv == Kv::Q8 { top / 127.0 } else { top / 1024.0 };
        for (x, y) in x.iter().zip(&y) {
            let off = (x - y).abs();
            if off.is_nan() || off > 1.001 * step {
                return Some(format!("row {at} holds {x}, expected {y}"));
            }
            others += usize::from(off > 0.01 * step);
            all += 1;
        }
    }
    (others * 100 > all).then(|| format!("{others} of {all} numbers are one step off"))
}
