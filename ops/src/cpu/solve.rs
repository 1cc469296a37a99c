//! A sampler step. Elements do not meet, so runs of them are the pieces of work.

use super::{context::Context, parts::Parts, split::Split};
use crate::{op::Solve, philox};

/// Multiply-adds that an element costs, about.
const WORK: usize = 16;

/// Four elements are a piece; with fresh noise they take about as long as so many operations.
pub(super) fn parts(op: &Solve) -> Parts {
    Parts::of(op.frames * op.len / 4, 4000)
}

pub(super) fn run(op: &Solve, cx: &Context<'_>) {
    let (params, elements, quads) = (cx.params, op.frames * op.len, op.len / 4);
    // SAFETY: declared accesses.
    let (x, past) = unsafe { (cx.write::<f32>(op.x), op.past.map(|past| past.map(|id| cx.write::<f32>(id)))) };
    // SAFETY: declared accesses, which no written buffer is among.
    let read = |id| unsafe { cx.read::<f32>(id) }.as_chunks::<4>().0;
    let (v, negative, fresh) = (read(op.v), op.negative.map(read), op.fresh.map(read));
    let past = past.map(|past| past.map(|part| Split::new(&mut part[..elements])));

    // Of four elements, the `at`th ones of all frames.
    let answer = |at: usize| match negative {
        Some(negative) => {
            let guided = |i: usize| negative[at][i] + params.guidance * (v[at][i] - negative[at][i]);
            [0, 1, 2, 3].map(guided)
        }
        None => v[at],
    };
    let noise = |at: usize| match fresh {
        _ if params.predict[3] == 0.0 => [0.0; 4],
        Some(fresh) => fresh[at],
        None => {
            let frame = params.frame.wrapping_add((at / quads) as u32);
            philox::normal4(params.seed, frame, params.step + 1, (at % quads) as u32)
        }
    };
    // Plain loops over four elements: the compiler makes vectors of them.
    let clean = |at: usize, x: &[f32; 4]| {
        let answer = answer(at);
        if op.clean { answer } else { core::array::from_fn(|i| x[i] - params.sigma * answer[i]) }
    };
    let ([from_share, newer_share, older_share, clean_share], next) = (params.correct, params.predict);
    cx.for_rows_of(&parts(op), &mut x[..elements], (4, 4 * WORK), |first, x| {
        let Some(past) = &past else {
            for (at, x) in (first..).zip(x.as_chunks_mut::<4>().0) {
                *x = sum([(next[0], x), (next[1], &clean(at, x)), (next[3], &noise(at))]);
            }
            return;
        };
        // SAFETY: runs of elements are disjoint.
        let past = past.each_ref().map(|part| unsafe { part.part(4 * first, x.len()) }.as_chunks_mut::<4>().0);
        let [from, newer, older] = past;
        let past = from.iter_mut().zip(newer).zip(older);
        for ((at, x), ((from, newer), older)) in (first..).zip(x.as_chunks_mut::<4>().0).zip(past) {
            let clean = clean(at, x);
            let sample = sum([
                (params.keep, x),
                (from_share, from),
                (newer_share, newer),
                (older_share, older),
                (clean_share, &clean),
            ]);
            *x = sum([(next[0], &sample), (next[1], &clean), (next[2], newer), (next[3], &noise(at))]);
            (*older, *newer, *from) = (*newer, clean, sample);
        }
    });
}

/// The sum of weights times values, of those with a weight.
#[inline(always)]
fn sum<const N: usize>(terms: [(f32, &[f32; 4]); N]) -> [f32; 4] {
    let mut sum = [0.0; 4];
    for (weight, values) in terms {
        if weight != 0.0 {
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
    }
    sum
}
