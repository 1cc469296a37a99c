//! Which frames of history a query sees.

use super::kernels::Kernels;
use super::lanes::sum;
use crate::net::mask::Best;

/// Picks each query's best frames (spec 2.10), and remembers which frames any query has picked.
pub struct Router {
    route: Best,
    scores: Vec<f32>,
    order: Vec<usize>,
    hidden: Vec<bool>,
    used: Vec<bool>,
}

impl Router {
    /// For the `route` best frames.
    pub fn new(route: Best) -> Self {
        Self { route, scores: Vec::new(), order: Vec::new(), hidden: Vec::new(), used: Vec::new() }
    }

    /// Forgets what was picked; there are `frames` to pick from.
    pub fn begin(&mut self, frames: usize) {
        self.used.clear();
        self.used.resize(frames, false);
    }

    /// Whether any query has picked a frame.
    pub fn used(&self, frame: usize) -> bool {
        self.used[frame]
    }

    /// Marks all but the best frames of history. `ranks` are theirs, or nothing where the mean of logits `row` with `s` columns a frame, which
    /// is q . mean(keys of the frame), ranks them; ties go to the older one. The newest is always kept, as the runtime does.
    #[inline(always)]
    fn pick(&mut self, row: &[f32], s: usize, ranks: &[f32]) {
        let frames = row.len() / s;
        self.hidden.clear();
        self.hidden.resize(frames, false);
        if self.route.leaves_out(frames) {
            self.scores.clear();
            match ranks {
                [] => self.scores.extend(row.chunks_exact(s).map(|frame| sum([frame], |[x]| x))),
                ranks => self.scores.extend_from_slice(ranks),
            }
            self.scores[frames - 1] = f32::INFINITY;
            self.order.clear();
            self.order.extend(0..frames);
            let scores = &self.scores;
            let better = |&f: &usize, &g: &usize| scores[g].total_cmp(&scores[f]).then(f.cmp(&g));
            let (_, _, rest) = self.order.select_nth_unstable_by(self.route.frames - 1, better);
            rest.iter().for_each(|&f| self.hidden[f] = true);
        }
    }

    /// Softmax of `row` in place: logits of history, of which a query sees its best frames (by `ranks`, or where there are none by those
    /// logits), and of its own frame.
    #[inline(always)]
    pub fn softmax(&mut self, kernels: Kernels, row: &mut [f32], s: usize, ranks: &[f32]) {
        let past = row.len() - s;
        self.pick(&row[..past], s, ranks);
        for (used, hidden) in self.used.iter_mut().zip(&self.hidden) {
            *used |= !hidden;
        }
        if let Kernels::F32 = kernels {
            // Sums in the order they always had.
            let hidden = self.hidden.iter().enumerate().filter(|(_, hidden)| **hidden);
            hidden.for_each(|(f, _)| row[f * s..(f + 1) * s].fill(f32::MIN));
            return kernels.softmax(row);
        }
        // What is seen is brought together, so that exponentials are of nothing else, and then put back.
        let seen = self.hidden.iter().filter(|hidden| !**hidden).count() * s;
        if seen == past {
            return kernels.softmax(row);
        }
        let mut to = 0;
        for f in (0..self.hidden.len()).filter(|&f| !self.hidden[f]) {
            row.copy_within(f * s..(f + 1) * s, to);
            to += s;
        }
        row.copy_within(past.., seen);
        kernels.softmax(&mut row[..seen + s]);
        row.copy_within(seen..seen + s, past);
        for f in (0..self.hidden.len()).rev() {
            if self.hidden[f] {
                row[f * s..(f + 1) * s].fill(0.0);
            } else {
                to -= s;
                row.copy_within(to..to + s, f * s);
            }
        }
    }
}
