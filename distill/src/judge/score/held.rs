//! Held footage: where roll-outs may begin, what was pressed, what came of it.

use crate::footage::data::Episodes;
use crate::footage::recording::Recording;

use super::dreamer::{LEAD, Picture, Play, Real, SHOWN};

/// What is told of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// One key of this number.
    Key(usize),
    /// No key.
    Nothing,
    /// Several at once.
    Several,
}

/// A held recording.
pub struct Held<'a> {
    /// The frames.
    pub recording: &'a Recording,
    /// For each frame, how many frames of its episode lie before it, and how many after.
    around: Vec<[usize; 2]>,
    /// For each frame, how many frames before it, itself included, have its condition.
    settled: Vec<usize>,
}

impl<'a> Held<'a> {
    /// Looks through `recording`.
    pub fn new(recording: &'a Recording) -> Self {
        let ranges = Episodes::new(&recording.episode_starts).ranges();
        let around: Vec<[usize; 2]> =
            ranges.into_iter().flat_map(|r| r.clone().map(move |i| [i - r.start, r.end - 1 - i])).collect();
        let mut settled: Vec<usize> = Vec::with_capacity(around.len());
        for (i, [before, _]) in around.iter().enumerate() {
            let same = *before > 0 && recording.events[i] == recording.events[i - 1];
            settled.push(if same { settled[i - 1] + 1 } else { 1 });
        }
        Self { recording, around, settled }
    }

    /// What is told of frame `i`.
    pub fn told(&self, i: usize) -> Told {
        let mut down = self.recording.action(i).iter().enumerate().filter(|(_, a)| **a != 0.0).map(|(key, _)| key);
        match (down.next(), down.next()) {
            (None, _) => Told::Nothing,
            (Some(key), None) => Told::Key(key),
            _ => Told::Several,
        }
    }

    /// Whether [`SHOWN`] frames up to `i` are of one episode and one condition, and `after` more of that episode follow.
    pub fn is_start(&self, i: usize, after: usize) -> bool {
        self.settled[i] >= SHOWN && self.around[i][1] >= after
    }

    /// Frames of its episode that follow `i`.
    pub fn after(&self, i: usize) -> usize {
        self.around[i][1]
    }

    /// Most frames that follow [`SHOWN`] frames of one condition in an episode; `None` if there never are so many.
    pub fn longest(&self) -> Option<usize> {
        (0..self.around.len()).filter(|&i| self.settled[i] >= SHOWN).map(|i| self.around[i][1]).max()
    }

    /// Up to `count` frames that `fits` lets pass, the conditions in turn and each one's frames evenly spread.
    pub fn spread(&self, count: usize, fits: impl Fn(usize) -> bool) -> Vec<usize> {
        let events = self.recording.info.events.len();
        let mut of: Vec<Vec<usize>> = vec![Vec::new(); events];
        (0..self.around.len()).filter(|&i| fits(i)).for_each(|i| of[usize::from(self.recording.events[i])].push(i));
        // A share for each condition, what one lacks goes to the others.
        let mut shares = vec![0; events];
        let total = count.min(of.iter().map(Vec::len).sum());
        let mut event = 0;
        while shares.iter().sum::<usize>() < total {
            shares[event] += usize::from(shares[event] < of[event].len());
            event = (event + 1) % events;
        }
        let pick = |event: usize, k: usize| (k < shares[event]).then(|| of[event][k * of[event].len() / shares[event]]);
        (0..total).flat_map(|k| (0..events).filter_map(move |event| pick(event, k))).collect()
    }

    /// The real frames up to `i`.
    pub fn real(&self, i: usize) -> Real {
        let first = i + 1 - SHOWN - LEAD.min(self.around[i][0] + 1 - SHOWN);
        let frames = (first..=i).map(|k| self.recording.frame(k).to_vec()).collect();
        let rows = (i + 1 - SHOWN..=i).map(|k| self.recording.action(k).to_vec()).collect();
        Real { frames, rows, event: self.recording.events[i], views: Vec::new() }
    }

    /// What was recorded in the `count` frames after `i`.
    pub fn follow(&self, i: usize, count: usize) -> Play {
        let range = i + 1..i + 1 + count;
        Play {
            rows: range.clone().map(|k| self.recording.action(k).to_vec()).collect(),
            events: range.clone().map(|k| self.recording.events[k]).collect(),
            truth: range.map(|k| self.frame(k)).collect(),
            views: Vec::new(),
        }
    }

    /// Frame `i`.
    pub fn frame(&self, i: usize) -> Picture {
        self.recording.frame(i).to_vec()
    }
}
