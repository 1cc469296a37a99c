//! Figures of streams before and after tuning ([`crate::reproduce::delta`], [`crate::reproduce::bias`]), and the claims that are made of them.

use crate::reproduce::report::{Claim, Family};
use crate::reproduce::table::Table;
use crate::reproduce::toy::switch::Worth;

/// What the paper says.
pub const PAPER: &str = "After an event the teacher's score is aligned with the new condition and ignores where the stream came from (conditional bias); a trust region by the \
    delta between teacher and student, and monotonic continuity, keep what the event says nothing about. **Our reading of an abstract: no equation is \
    published** (arXiv 2605.14382).";

/// The student that all ways start from.
pub const BEFORE: &str = "before tuning";

/// Column of the frames that a change of hue takes.
pub const SOON: &str = "frames to the new hue";

/// Streams by whether their event changes, and the column of their weights.
const QUIET: [&str; 2] = ["streams without a change", "streams with a change"];
const WEIGHT: &str = "mean weight";

/// What streams are worth by way of tuning, and how far the judge is trusted before it, over seeds.
pub struct Tuned {
    /// Streams after the 1st change and a later one.
    pub streams: Table,
    /// Weights in the trust region before tuning.
    pub trust: Table,
    /// Columns of direction kept after the 1st change and a later one.
    pub kept: [&'static str; 2],
}

impl Tuned {
    /// No seeds; `later` heads the direction kept after the later change.
    pub fn new(later: &'static str) -> Self {
        let kept = ["kept after the 1st change", later];
        Self { streams: Table::new(&[kept[0], kept[1], SOON, "not a bump"]), trust: Table::new(&[WEIGHT]), kept }
    }

    /// Takes a seed's streams of a way.
    pub fn add(&mut self, name: &str, [first, later]: [Worth; 2]) {
        let (reached, off) = (0.5 * (first.reached + later.reached), 0.5 * (first.off + later.off));
        self.streams.add(name, &[first.kept, later.kept, reached, off]);
    }

    /// Takes a seed's mean weights of streams without a change and with one.
    pub fn trusted(&mut self, weights: [f64; 2]) {
        QUIET.iter().zip(weights).for_each(|(name, weight)| self.trust.add(name, &[weight]));
    }

    /// Direction kept by a way after the 1st change (0) or the later one (1), for each seed.
    pub fn kept(&self, name: &str, which: usize) -> &[f64] {
        self.streams.values(name, self.kept[which])
    }

    /// The share that a way loses of what was kept before tuning.
    pub fn lost(&self, name: &str, which: usize) -> Vec<f64> {
        let pairs = self.kept(BEFORE, which).iter().zip(self.kept(name, which));
        pairs.map(|(before, after)| (before - after) / before).collect()
    }

    /// The paper's claim of a way against matching alone; `later` says after which other change.
    pub fn claimed(&self, both: &str, matching: &str, later: &str) -> Family<'static> {
        let slower: Vec<f64> = self.streams.values(matching, SOON).iter().map(|frames| 1.25 * frames).collect();
        let text = "Delta Forcing keeps more of the direction than matching alone after the 1st change";
        Family {
            name: "The paper's claim",
            claims: vec![
                self.against(text, both, matching),
                Claim::new(&format!("the same after the {later}"), self.kept(both, 1), self.kept(matching, 1)),
                Claim::new(
                    "and takes at most 1.25 times as long to the new hue",
                    &slower,
                    self.streams.values(both, SOON),
                ),
            ],
        }
    }

    /// That the trust region knows a change.
    pub fn less_trusted(&self) -> Claim {
        let [quiet, changed] = QUIET.map(|name| self.trust.values(name, WEIGHT));
        Claim::new("before tuning a change makes the teacher less trusted", quiet, changed)
    }

    /// That one way keeps more than another after the 1st change.
    pub fn against(&self, text: &str, name: &str, other: &str) -> Claim {
        Claim::new(text, self.kept(name, 0), self.kept(other, 0))
    }
}
