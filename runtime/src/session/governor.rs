//! Holds a world's pace on a slow or throttling machine by a lower quality, as games do with resolution, and takes that back.

/// Chunks in a row that must miss their time before quality goes down.
const MISSES: u32 = 2;
/// Chunks in a row in time before better quality is tried: at first, and at most, where it was found too much again and again.
const PATIENCE: (u32, u32) = (8, 512);
/// Of its time better quality may be expected to take, in percent.
const ROOM: u64 = 90;

/// Watches how long chunks take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Governor {
    missed: u32,
    held: u32,
    patience: u32,
    /// Better quality is being tried.
    tries: bool,
}

impl Governor {
    pub fn new() -> Self {
        Self { missed: 0, held: 0, patience: PATIENCE.0, tries: false }
    }

    /// A chunk took `took` microseconds and had `had`; it was made `eased` rungs below what was asked for, of `rungs`. `dearer` is by how much more
    /// the rung above takes, in percent. Returns the rung for the next one.
    pub fn judge(&mut self, (took, had): (u64, u64), (eased, rungs): (usize, usize), dearer: u64) -> usize {
        // A host that pumps with its own frames is a little late now and then.
        if took > had + had / 50 {
            self.held = 0;
            self.missed += 1;
            if self.missed < MISSES {
                return eased;
            }
            self.missed = 0;
            if self.tries {
                self.patience = (2 * self.patience).min(PATIENCE.1);
            }
            self.tries = false;
            return (eased + 1).min(rungs);
        }
        self.missed = 0;
        self.held += 1;
        if self.held < self.patience {
            return eased;
        }
        if self.tries {
            // It lasts.
            (self.tries, self.patience) = (false, PATIENCE.0);
        }
        let expected = u128::from(took) * u128::from(100 + dearer);
        if eased == 0 || expected > u128::from(had) * u128::from(ROOM) {
            self.held = self.patience;
            return eased;
        }
        (self.held, self.tries) = (0, true);
        eased - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which rung r takes `of[r]` microseconds of 100.
    fn run(governor: &mut Governor, eased: usize, of: &[u64], chunks: usize) -> (usize, u32) {
        let (mut eased, mut late) = (eased, 0);
        for _ in 0..chunks {
            late += u32::from(of[eased] > 100);
            eased = governor.judge((of[eased], 100), (eased, of.len() - 1), 30);
        }
        (eased, late)
    }

    #[test]
    fn a_slow_machine_gets_less_and_a_cool_one_its_quality_back() {
        let mut governor = Governor::new();
        assert_eq!(run(&mut governor, 0, &[60, 40, 30], 50), (0, 0));
        // It throttles: two chunks of each rung are late.
        assert_eq!(run(&mut governor, 0, &[180, 120, 90], 50), (2, 4));
        // What better quality would take is known roughly, so it is not tried.
        assert_eq!(run(&mut governor, 2, &[180, 120, 90], 500), (2, 0));
        assert_eq!(run(&mut governor, 2, &[60, 40, 30], 50), (0, 0));
    }

    #[test]
    fn what_was_too_much_is_tried_ever_more_seldom() {
        let mut governor = Governor::new();
        // Half as dear as it looks from below.
        let (eased, late) = run(&mut governor, 1, &[120, 60], 1000);
        assert_eq!(eased, 1);
        assert!((4..=16).contains(&late), "{late}");
    }

    #[test]
    fn there_is_nothing_below_the_last_rung() {
        let mut governor = Governor::new();
        assert_eq!(run(&mut governor, 0, &[300], 10), (0, 10));
    }
}
