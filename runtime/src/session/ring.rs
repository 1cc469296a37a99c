//! The ring: which frames a chunk sees, in which slots they lie and which positions they have.

use alloc::vec::Vec;

use crate::config::Positions;

/// Sizes of the ring in latent frames. Slots hold the sink, the rolling history and, invisible until committed, the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Frames attention sees, including sink and chunk.
    pub window: usize,
    /// First frames of the stream that stay.
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
        self.window - self.chunk
    }

    /// Slots of the ring.
    pub fn slots(&self) -> usize {
        self.window
    }

    /// History frames that a chunk starting at frame `start` sees.
    pub fn history(&self, start: u64) -> usize {
        self.max_history().min(usize::try_from(start).unwrap_or(usize::MAX))
    }

    /// The slot of a frame. Sink frames keep theirs; the others rotate through the rest, which has room for the visible
    /// history and a chunk, so committing never touches a visible frame (spec 2.3).
    pub fn slot(&self, frame: u64) -> u32 {
        let sink = self.sink as u64;
        let rolling = (self.slots() - self.sink) as u64;
        if frame < sink { frame as u32 } else { (sink + (frame - sink) % rolling) as u32 }
    }

    /// Writes the visible history of a chunk starting at frame `start`, oldest first, and then the chunk's own `frames`.
    pub fn visible(&self, start: u64, frames: usize, out: &mut Vec<Visible>) {
        let history = self.history(start);
        let sink = self.sink.min(history);
        let recent = (history - sink) as u64;
        self.list((0..sink as u64).chain(start - recent..start + frames as u64), out);
    }

    /// Writes what is visible when the last `frames` frames before frame `end` are computed anew: `history` frames of the sink, and
    /// themselves.
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
    /// share one, for all small windows, sinks and chunks, through several wrap-arounds.
    #[test]
    fn slots_hold_what_the_full_history_says() {
        for positions in [Positions::Compact, Positions::Absolute] {
            for window in 2..9 {
                for chunk in 1..window {
                    for sink in 0..=(window - chunk) {
                        check(Ring { window, sink, chunk, positions });
                    }
                }
            }
        }
    }

    fn check(ring: Ring) {
        let mut slots: Vec<Option<u64>> = alloc::vec![None; ring.slots()];
        let mut visible = Vec::new();
        let mut start = 0;
        while start < 40 {
            ring.visible(start, ring.chunk, &mut visible);
            let history = visible.len() - ring.chunk;
            // Naive definition: the sink frames and the newest others, max_history in all.
            let all: Vec<u64> = (0..start).collect();
            let keep_new = ring.max_history().saturating_sub(ring.sink.min(all.len()));
            let expected: Vec<u64> =
                all.iter().copied().filter(|&f| f < ring.sink as u64 || f + keep_new as u64 >= start).collect();
            let seen: Vec<u64> = visible[..history].iter().map(|v| v.frame).collect();
            assert_eq!(seen, expected, "{ring:?} at {start}");
            for v in &visible[..history] {
                assert_eq!(slots[v.slot as usize], Some(v.frame), "{ring:?} at {start}");
            }
            for own in &visible[history..] {
                assert!(visible[..history].iter().all(|v| v.slot != own.slot), "{ring:?} at {start}");
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
