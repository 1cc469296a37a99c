//! Colours as the renderer mixes them, and the four conditions of light.

/// Red, green, blue; 0 is black and 1 is full. Values are display (sRGB) values: the world is painted, not lit physically.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour(pub [f32; 3]);

impl Colour {
    /// `self` where `t` is 0, `other` where it is 1.
    pub fn mix(self, other: Self, t: f32) -> Self {
        self.zip(other, |a, b| a + (b - a) * t)
    }

    /// Every channel times `k`.
    pub fn scale(self, k: f32) -> Self {
        Self(self.0.map(|c| c * k))
    }

    /// Channel-wise sum.
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    /// Channel-wise product.
    pub fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let (a, b) = (self.0, other.0);
        Self([f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2])])
    }
}

/// The condition of light, which an event switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// Neutral white.
    Day,
    /// Warm evening.
    Dusk,
    /// Dark, with a lantern.
    Night,
    /// White, and what is far is gone.
    Fog,
}

impl Light {
    /// All conditions, in the order of their event numbers.
    pub const ALL: [Self; 4] = [Self::Day, Self::Dusk, Self::Night, Self::Fog];

    /// The condition with this event number.
    pub fn from_index(index: u8) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }

    /// The event number.
    pub fn index(self) -> u8 {
        self as u8
    }

    /// The event name.
    pub fn name(self) -> &'static str {
        ["day", "dusk", "night", "fog"][self as usize]
    }
}

/// The largest whole number not above `x`. `f32::floor` is a library call on machines without SSE 4.1; this is three
/// instructions.
pub fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole - i32::from(whole as f32 > x)
}
