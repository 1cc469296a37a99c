//! What health remembers of a stream: how long nothing was pressed, or nothing moved, and what a rest began with.

use alloc::{vec, vec::Vec};

use half::f16;

use super::{
    error::SessionError,
    fields::{Fields, RANGE, small},
};

/// Latent frames of a rest after which all stands still: what was pressed has come to its end.
pub(super) const STILL: u32 = 4;
/// Latent frames in a row without a movement that make a world frozen.
pub(super) const STUCK: u32 = 6;
/// Latent frames after which a change of what the stream is told has come.
pub(super) const SETTLED: u32 = 16;
/// More than any of these.
const MOST: u32 = 64;

/// The counts, all at most [`MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Frames in a row in which nothing was pressed.
    pub resting: u32,
    /// Frames in a row that hardly moved though something was.
    pub stuck: u32,
    /// Frames until the newest change of conditions has come.
    pub settling: u32,
}

/// Allocated once.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// What was counted up to the newest chunk.
    pub counts: Counts,
    /// The frame that a rest began with.
    pub still: Vec<f16>,
    /// The number after that of the chunk that the gate dropped last.
    pub held: u64,
}

/// What is known to have been pressed in the frames in flight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    Unknown,
    Nothing,
    Something,
}

impl Watch {
    /// For latent frames of `len` values.
    pub fn new(len: usize) -> Self {
        Self { still: vec![f16::ZERO; len], ..Self::default() }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        2 * self.still.len()
    }

    /// Something else is told from now on: what comes is another picture.
    pub fn disturb(&mut self) {
        self.counts = Counts { settling: SETTLED, ..Counts::default() };
    }

    /// The stream begins anew, or goes on from elsewhere.
    pub fn clear(&mut self) {
        (self.counts, self.held) = (Counts::default(), 0);
    }

    /// Its fields, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        let Counts { resting, stuck, settling } = &mut self.counts;
        for count in [resting, stuck, settling] {
            small(fields, count)?;
            if *count > MOST {
                return Err(RANGE);
            }
        }
        fields.number(&mut self.held)?;
        fields.bytes(bytemuck::cast_slice_mut(&mut self.still))
    }

    /// Whether what it remembers are numbers.
    pub fn sound(&self) -> bool {
        self.still.iter().all(|value| value.is_finite())
    }
}

impl Counts {
    /// After so many frames more.
    pub fn after(self, frames: u32, pressed: Pressed, moved: bool) -> Self {
        let settling = self.settling.saturating_sub(frames);
        let on = |counts: bool, count: u32| if counts && settling == 0 { (count + frames).min(MOST) } else { 0 };
        Self {
            resting: on(pressed == Pressed::Nothing, self.resting),
            stuck: on(pressed == Pressed::Something && !moved, self.stuck),
            settling,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_and_stuck_frames_are_counted_in_a_row() {
        let mut counts = Counts::default();
        for n in 1..=70 {
            counts = counts.after(1, Pressed::Nothing, false);
            assert_eq!(counts, Counts { resting: n.min(MOST), ..Counts::default() });
        }
        counts = counts.after(3, Pressed::Something, false).after(3, Pressed::Something, false);
        assert_eq!(counts, Counts { stuck: 6, ..Counts::default() });
        assert_eq!(counts.after(1, Pressed::Something, true), Counts::default());
        assert_eq!(counts.after(1, Pressed::Unknown, false), Counts::default());
        let mut watch = Watch::new(4);
        watch.disturb();
        for n in 1..20u32 {
            watch.counts = watch.counts.after(1, Pressed::Nothing, true);
            assert_eq!(watch.counts.resting, n.saturating_sub(SETTLED - 1).min(n), "{n}");
        }
    }
}
