//! The ring: which frames a chunk sees, in which slots they lie and which positions they have.

use alloc::vec::Vec;

use crate::{config::Positions, model::Past};

/// Sizes of a ring in latent frames. Slots hold the sink, the rolling history and, invisible until committed, the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Frames attention sees of those that are kept, including the sink, and those of the chunk that will be.
    pub window: usize,
    /// A frame is kept if its number is a multiple of this.
    pub every: usize,
    /// First kept frames of the stream that stay.
    pub sink: usize,
    /// Frames of a chunk.
    pub chunk: usize,
    /// Numbering for rotary positions.
    pub positions: Positions,
}

/// One visible frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visible {
    /// Number of the frame in the stream.
    pub frame: u64,
    /// Ring slot.
    pub slot: u32,
    /// Rotary position.
    pub position: u64,
}

impl Ring {
    /// Most history frames visible at once.
    pub fn max_history(&self) -> usize {
        self.past().max_history(self.chunk)
    }

    /// Slots of the ring.
    pub fn slots(&self) -> usize {
        self.past().slots(self.chunk)
    }

    fn past(&self) -> Past {
        Past { every: self.every, ..Past::new(self.window, 0) }
    }

    /// Kept frames before frame `end`.
    fn kept(&self, end: u64) -> u64 {
        end.div_ceil(self.every as u64)
    }

    /// History frames that a chunk starting at frame `start` sees: as many as leave room for those that the chunk will add.
    pub fn history(&self, start: u64) -> usize {
        let before = self.kept(start);
        let added = self.kept(start + self.chunk as u64) - before;
        (self.window - added as usize).min(usize::try_from(before).unwrap_or(usize::MAX))
    }

    /// The slot of a frame. Sink frames keep theirs; the others rotate through the rest, which has room for the visible
    /// history and a chunk, so committing never touches a visible frame (spec 2.3). A frame that is not kept goes to one of the slots behind
    /// these, another one for each that a chunk can have.
    pub fn slot(&self, frame: u64) -> u32 {
        let (every, sink, window) = (self.every as u64, self.sink as u64, self.window as u64);
        if !frame.is_multiple_of(every) {
            // How many such frames come before it.
            let skipped = frame - self.kept(frame);
            return (window + skipped % (self.slots() as u64 - window)) as u32;
        }
        let number = frame / every;
        if number < sink { number as u32 } else { (sink + (number - sink) % (window - sink)) as u32 }
    }

    /// Whether a chunk starting at frame `start` sees `frame` of its history.
    pub fn shows(&self, start: u64, frame: u64) -> bool {
        let (number, kept, history) = (frame / self.every as u64, self.kept(start), self.history(start));
        let sink = self.sink.min(history);
        let there = frame < start && frame.is_multiple_of(self.every as u64);
        there && (number < sink as u64 || number >= kept - (history - sink) as u64)
    }

    /// Writes the visible history of a chunk starting at frame `start`, oldest first, and then the chunk's own `frames`.
    pub fn visible(&self, start: u64, frames: usize, out: &mut Vec<Visible>) {
        self.visible_in(self.window, start, frames, out);
    }

    /// The same of a window of `window` frames, where that is smaller than the ring's.
    pub fn visible_in(&self, window: usize, start: u64, frames: usize, out: &mut Vec<Visible>) {
        let shown = Self { window: window.min(self.window), ..*self };
        self.list_of(shown.history(start), (start, frames), |_| true, out);
    }

    /// The same of the whole window, where only those frames of the history can be seen that are `there`.
    pub fn visible_of(&self, start: u64, frames: usize, there: impl Fn(u64) -> bool, out: &mut Vec<Visible>) {
        self.list_of(self.history(start), (start, frames), there, out);
    }

    fn list_of(
        &self,
        history: usize,
        (start, frames): (u64, usize),
        there: impl Fn(u64) -> bool,
        out: &mut Vec<Visible>,
    ) {
        let sink = self.sink.min(history);
        let kept = self.kept(start);
        let recent = kept - (history - sink) as u64..kept;
        let past =
            (0..sink as u64).chain(recent).map(|number| number * self.every as u64).filter(|&frame| there(frame));
        self.list(past.chain(start..start + frames as u64), out);
    }

    /// Writes what is visible when the last `frames` frames before frame `end` are computed anew: `history` frames of the sink, and
    /// themselves; of a ring that keeps every frame.
    pub fn recached(&self, end: u64, history: usize, frames: usize, out: &mut Vec<Visible>) {
        self.list((0..history as u64).chain(end - frames as u64..end), out);
    }

    fn list(&self, chronological: impl Iterator<Item = u64>, out: &mut Vec<Visible>) {
        out.clear();
        for (index, frame) in chronological.enumerate() {
            let position = match self.positions {
                Positions::Compact => index as u64,
                Positions::Absolute => frame,
            };
            out.push(Visible { frame, slot: self.slot(frame), position });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a stream that remembers everything: no slot of a visible frame was overwritten, and no two visible frames
    /// share one, for all small windows, sinks, chunks and distances between kept frames, through several wrap-arounds.
    #[test]
    fn slots_hold_what_the_full_history_says() {
        for positions in [Positions::Compact, Positions::Absolute] {
            for window in 2..9 {
                for (chunk, every) in (1usize..window).flat_map(|chunk| [1, 2, 3, 8].map(|every| (chunk, every))) {
                    for sink in 0..=(window - chunk.div_ceil(every)) {
                        check(Ring { window, every, sink, chunk, positions });
                    }
                }
            }
        }
    }

    /// Waypoint's global layers see the multiples of 8 among the last 128 frames: 16 of them, or 15 and the frame itself.
    #[test]
    fn every_eighth_of_the_last_128_frames_is_seen() {
        let ring = Ring { window: 16, every: 8, sink: 0, chunk: 1, positions: Positions::Absolute };
        let mut visible = Vec::new();
        for frame in 0..1000 {
            ring.visible(frame, 1, &mut visible);
            let seen: Vec<u64> = visible.iter().map(|v| v.frame).collect();
            let before = (0..frame).filter(|before| before % 8 == 0 && frame - before < 128 + u64::from(frame % 8 > 0));
            assert_eq!(seen, before.chain([frame]).collect::<Vec<_>>(), "{frame}");
        }
    }

    fn check(ring: Ring) {
        let mut slots: Vec<Option<u64>> = alloc::vec![None; ring.slots()];
        let mut visible = Vec::new();
        let mut start = 0;
        while start < 40 * ring.every as u64 {
            ring.visible(start, ring.chunk, &mut visible);
            let history = visible.len() - ring.chunk;
            // Naive definition: of the kept frames those of the sink, and the newest others for which there is room.
            let kept = |f: &u64| f.is_multiple_of(ring.every as u64);
            let all: Vec<u64> = (0..start).filter(kept).collect();
            let room = ring.window - (start..start + ring.chunk as u64).filter(kept).count();
            let new = all.len() - room.saturating_sub(ring.sink).min(all.len() - ring.sink.min(all.len()));
            let expected: Vec<u64> =
                (0..all.len()).filter(|&at| at < ring.sink || at >= new).map(|at| all[at]).collect();
            assert!(expected.len() <= ring.max_history());
            let seen: Vec<u64> = visible[..history].iter().map(|v| v.frame).collect();
            assert_eq!(seen, expected, "{ring:?} at {start}");
            for frame in 0..start + 3 {
                assert_eq!(ring.shows(start, frame), seen.contains(&frame), "{ring:?} at {start}: {frame}");
            }
            for v in &visible[..history] {
                assert_eq!(slots[v.slot as usize], Some(v.frame), "{ring:?} at {start}");
            }
            for own in &visible[history..] {
                assert!(visible.iter().all(|v| v == own || v.slot != own.slot), "{ring:?} at {start}");
                slots[own.slot as usize] = Some(own.frame);
            }
            for (index, v) in visible.iter().enumerate() {
                let expected = if ring.positions == Positions::Compact { index as u64 } else { v.frame };
                assert_eq!(v.position, expected);
            }
            start += ring.chunk as u64;
        }
    }
}
