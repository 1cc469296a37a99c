//! What is drawn anew for each episode.

use super::map::{Decor, Map};
use super::view::View;

/// A fact: a banner's colour, or a switch's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The banner of this number.
    Banner(usize),
    /// The switch of this number.
    Switch(usize),
}

impl Fact {
    /// The fact that hangs on a wall.
    pub fn of(decor: Decor) -> Option<Self> {
        match decor {
            Decor::Banner(n) => Some(Self::Banner(n)),
            _ => decor.switch().map(Self::Switch),
        }
    }

    /// All facts of a place.
    pub fn all(map: &Map) -> Vec<Self> {
        (0..map.banners).map(Self::Banner).chain((0..map.switches).map(Self::Switch)).collect()
    }

    /// How many values it may have, all equally likely.
    pub fn values(self) -> u32 {
        match self {
            Self::Banner(_) => 6,
            Self::Switch(_) => 2,
        }
    }

    /// Its value in `view`.
    pub fn value(self, view: &View) -> u32 {
        match self {
            Self::Banner(n) => view.banners / 6u32.pow(n as u32) % 6,
            Self::Switch(n) => view.on >> n & 1,
        }
    }

    /// `view` with the fact at `value`.
    pub fn with(self, view: View, value: u32) -> View {
        let was = self.value(&view);
        match self {
            Self::Banner(n) => {
                View { banners: view.banners - was * 6u32.pow(n as u32) + value * 6u32.pow(n as u32), ..view }
            }
            Self::Switch(n) => View { on: view.on & !(1 << n) | value << n, ..view },
        }
    }

    /// `view` with another value, the `by`-th after its own.
    pub fn other(self, view: View, by: u32) -> View {
        self.with(view, (self.value(&view) + by) % self.values())
    }
}
