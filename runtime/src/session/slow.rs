//! Slices of work that took longer than they may, told to the log.

/// What a slice may take, microseconds: a quarter of a frame of a game at 60 a second.
const MOST_MICROS: u64 = 4_000;

/// How many there were.
#[derive(Default)]
pub(super) struct Slow(u64);

impl Slow {
    /// A slice took so long that was to take `asked`, and began at this node of a pass. Told the first time, and then whenever there are twice as many.
    pub fn note(&mut self, micros: u64, asked: u64, pass: &str, node: usize) {
        // A slice that was longer from the start is as the host wants it.
        if micros <= MOST_MICROS.max(2 * asked) {
            return;
        }
        self.0 += 1;
        if self.0.is_power_of_two() {
            log::warn!(
                "a slice of work took {micros} us where {asked} were left, at node {node} of {pass}; number {}",
                self.0
            );
        }
    }
}
