//! The rows of the table that are about sampling: noise, steps, what a network is told of them.

use super::maker::Maker;
use crate::{Params, op::*};

/// Makes these rows.
pub(super) fn all(m: &mut Maker) {
    noise(m);
    lookup(m);
}

fn noise(m: &mut Maker) {
    let params = Params { seed: [123, 0xdead_beef], frame: 41, step: 2, sigma: 0.875, ..Params::default() };
    for [frames, len] in [[1, 4], [3, 64], [1, 520]] {
        let y = m.random("y", frames * len, 1.0);
        m.case(Noise { y, frames, len }, params, 1e-6);
        // A few-step student, within its steps and at the end; Euler.
        for predict in [[0.0, 0.375, 0.0, 0.625], [0.0, 1.0, 0.0, 0.0], [0.7, 0.3, 0.0, 0.0]] {
            solve(m, [frames, len], [false; 3], Params { predict, ..params });
        }
        // Every way to have the optional buffers.
        let guided = Params { guidance: 4.5, predict: [0.25, 0.5, 0.0, 0.125], ..params };
        let many =
            Params { keep: 0.5, correct: [0.75, -0.25, 0.125, 0.375], predict: [0.5, 0.375, -0.25, 0.125], ..guided };
        for buffers in (0..8).map(|bits| [1, 2, 4].map(|bit| bits & bit != 0)) {
            let [_, _, past] = buffers;
            solve(m, [frames, len], buffers, if past { many } else { guided });
        }
        // The first step of a multistep sampler has no past to look at.
        let first = Params { keep: 1.0, correct: [0.0; 4], predict: [0.25, 0.75, 0.0, 0.0], ..many };
        solve(m, [frames, len], [false, false, true], first);
    }
    // Enough work to be spread over threads.
    solve(m, [3, 10_000], [false, false, true], Params { keep: 0.5, correct: [0.5; 4], predict: [0.25; 4], ..params });
}

fn solve(m: &mut Maker, [frames, len]: [usize; 2], [negative, fresh, past]: [bool; 3], params: Params) {
    for clean in [false, true] {
        let mut buffer = |name| m.random(name, frames * len, 2.0);
        let op = Solve {
            x: buffer("x"),
            v: buffer("v"),
            negative: negative.then(|| buffer("negative")),
            clean,
            fresh: fresh.then(|| buffer("fresh")),
            past: past.then(|| ["from", "newer", "older"].map(buffer)),
            frames,
            len,
        };
        m.case(op, params, 2e-6);
    }
}

fn lookup(m: &mut Maker) {
    for (rows, frames, len, level) in [(1, 1, 1, 0), (5, 1, 64, 4), (4, 3, 33, 2), (4, 2, 20, 9)] {
        let (table, y) = (m.random("table", rows * len, 1.0), m.random("y", frames * len, 1.0));
        m.case(Lookup { table, rows, y, frames, len }, Params { level, ..Params::default() }, 0.0);
    }
}
