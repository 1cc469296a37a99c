//! What can be wrong with a stream, by name.

use core::fmt;

/// Some of the things that can be wrong with a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Alarms(pub(super) u32);

impl Alarms {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The mean of the latents is none that footage has.
    pub const MEAN: Self = Self(1);
    /// Nor is their spread.
    pub const SPREAD: Self = Self(2);
    /// Nor is their detail: pictures melt, or are noise.
    pub const DETAIL: Self = Self(4);
    /// Nothing moves, whatever is pressed.
    pub const FROZEN: Self = Self(8);
    /// Everything moves, though nothing is pressed.
    pub const DRIFT: Self = Self(16);
    /// Attention looks for far frames.
    pub const FAR: Self = Self(32);
    /// All of them, and what they are called.
    const ALL: [(Self, &str); 6] = [
        (Self::MEAN, "mean"),
        (Self::SPREAD, "spread"),
        (Self::DETAIL, "detail"),
        (Self::FROZEN, "frozen"),
        (Self::DRIFT, "drift"),
        (Self::FAR, "far"),
    ];

    /// One bit each, in the order of the constants.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `other` is among them.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds `which` where it is so.
    pub(super) fn add(&mut self, which: Self, is: bool) {
        self.0 |= if is { which.0 } else { 0 };
    }
}

impl fmt::Display for Alarms {
    /// Their names: "spread, detail".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::ALL.into_iter().filter(|(one, _)| self.contains(*one)).map(|(_, name)| name);
        f.write_str(names.next().unwrap_or("none"))?;
        names.try_for_each(|name| write!(f, ", {name}"))
    }
}
