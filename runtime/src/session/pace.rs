//! The pace of a world: when chunks may begin, and when their pictures should be shown.

/// Whether a stream keeps to its world's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Chunks are made as fast as the host pumps.
    #[default]
    Off,
    /// No chunk begins before its first picture's time on the session's clock.
    World,
}

/// Where a stream stands in its world's time, in nanoseconds of the session's clock. It is the host's time, not the stream's: a snapshot does not
/// hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pacer {
    pace: Pace,
    /// Of a picture.
    period: u64,
    /// When the next chunk may begin; none before the first one.
    due: Option<u64>,
    /// How long the newest chunk lasts.
    lasts: u64,
    /// When the newest picture should be shown.
    shown: Option<u64>,
}

impl Pacer {
    /// For a world of `rate` pictures per second.
    pub fn new(pace: Pace, rate: f32) -> Self {
        Self { pace, period: (1e9 / f64::from(rate)) as u64, due: None, lasts: 0, shown: None }
    }

    /// The world's time begins anew.
    pub fn restart(&mut self) {
        (self.due, self.shown) = (None, None);
    }

    /// What was shown last is of no matter any more.
    pub fn forget_shown(&mut self) {
        self.shown = None;
    }

    /// Microseconds that `pictures` pictures last.
    pub fn lasts(&self, pictures: u64) -> u64 {
        self.period.saturating_mul(pictures) / 1000
    }

    /// Microseconds from `now` on for which the next chunk may not begin; none if it may.
    pub fn early(&self, now: u64) -> Option<u64> {
        let due = self.due.filter(|_| self.pace == Pace::World)?;
        let wait = due.checked_sub(now.saturating_mul(1000))?;
        // A longer one than there can be waits for a clock that was turned back.
        (1..=self.lasts.saturating_mul(2)).contains(&wait).then_some(wait.div_ceil(1000))
    }

    /// A chunk that shows so many pictures begins. One that is late by less than its own length is made up for by the next ones; of more the
    /// world's time is put off: no world runs faster than it should.
    pub fn begin(&mut self, now: u64, pictures: u64) {
        let (now, lasts) = (now.saturating_mul(1000), self.period.saturating_mul(pictures));
        let due = self.due.unwrap_or(now).max(now.saturating_sub(lasts));
        (self.due, self.lasts) = (Some(due.min(now.saturating_add(lasts)).saturating_add(lasts)), lasts);
    }

    /// When a picture that is ready should be shown, microseconds: a period after the one before it. What has piled up on the way from the device
    /// to the host melts away by an eighth with each chunk's `first` picture. Without a pace: now.
    pub fn present(&mut self, ready: u64, first: bool) -> u64 {
        if self.pace == Pace::Off {
            return ready;
        }
        let ready = ready.saturating_mul(1000);
        let next = self.shown.map_or(ready, |shown| shown.saturating_add(self.period)).max(ready);
        // More than can pile up was a clock that was turned back.
        let next = if next - ready > self.lasts.saturating_mul(4) { ready } else { next };
        // No picture is shown before the one ahead of it.
        let melts = if first { ((next - ready) / 8).min(self.period) } else { 0 };
        self.shown = Some(next - melts);
        (next - melts) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_begin_on_time_and_a_late_one_is_not_chased() {
        let mut pacer = Pacer::new(Pace::World, 20.0);
        assert_eq!(pacer.early(7), None);
        // Each lasts 150 milliseconds.
        pacer.begin(1_000, 3);
        assert_eq!((pacer.early(1_000), pacer.early(151_000)), (Some(150_000), None));
        // Late by less than a chunk: the next one's time stays.
        pacer.begin(171_000, 3);
        assert_eq!(pacer.early(300_000), Some(1_000));
        // By more: the time is put off, but for one chunk's length.
        pacer.begin(1_000_000, 3);
        assert_eq!((pacer.early(1_000_000), pacer.early(999_000)), (None, Some(1_000)));
        // A clock that was turned back does not stop the world.
        assert_eq!(pacer.early(10), None);
        pacer.begin(10, 3);
        assert_eq!(pacer.early(10), Some(300_000));
        pacer.restart();
        assert_eq!(pacer.early(10), None);
    }

    #[test]
    fn pictures_of_a_burst_are_shown_one_after_the_other() {
        let mut pacer = Pacer::new(Pace::World, 20.0);
        pacer.begin(500, 3);
        let shown: Vec<_> = (0..3).map(|at| pacer.present(500, at == 0)).collect();
        assert_eq!(shown, [500, 50_500, 100_500]);
        // The next chunk came in time: its first picture follows, a little sooner than it could.
        assert_eq!(pacer.present(110_500, true), 150_500 - 5_000);
        assert_eq!(pacer.present(110_500, false), 195_500);
        // And one that is late is shown at once.
        assert_eq!(pacer.present(900_000, true), 900_000);
        // However much has piled up, none is shown before the one ahead of it.
        pacer.begin(900_000, 12);
        let mut before = 900_000;
        for _ in 0..3 {
            let first = pacer.present(900_000, true);
            assert!(first >= before, "{first} {before}");
            (1..12).for_each(|_| before = pacer.present(900_000, false));
        }
        // A clock that was turned back holds nothing up.
        assert_eq!(pacer.present(7, true), 7);
        assert_eq!(Pacer::new(Pace::Off, 20.0).present(77, false), 77);
    }

    #[test]
    fn without_a_pace_nothing_waits() {
        let mut pacer = Pacer::new(Pace::Off, 20.0);
        pacer.begin(0, 3);
        assert_eq!(pacer.early(1), None);
    }
}
