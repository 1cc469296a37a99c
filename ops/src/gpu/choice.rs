//! Which tier an operator takes at a shape: what was measured on the device if it was, else by a table.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    str::FromStr,
    sync::Arc,
};

use super::{
    tier::{Dropped, Tier},
    tiles,
};
use crate::{kv::Kv, quant::DType};

/// What is computed, as far as it decides which kernel is fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// Linear layers of one input, with this type of weights; outputs of all together.
    Linear {
        /// Rows of the input.
        rows: usize,
        /// Its columns.
        inputs: usize,
        /// Columns of the output.
        outputs: usize,
        /// Type of the weights.
        dtype: DType,
    },
    /// Attention to a ring.
    Attention {
        /// Queries.
        rows: usize,
        /// Keys that each may see.
        keys: usize,
        /// Heads.
        heads: usize,
        /// Features of a head.
        head_dim: usize,
        /// Type of the ring.
        kv: Kv,
    },
    /// Attention to a context.
    CrossAttention {
        /// Queries.
        rows: usize,
        /// Rows of the context.
        keys: usize,
        /// Heads.
        heads: usize,
        /// Features of a head.
        head_dim: usize,
    },
    /// A convolution whose channels are a multiple of 4.
    Conv {
        /// Pixels of the output.
        rows: usize,
        /// Channels of the output.
        outputs: usize,
    },
}

impl Shape {
    /// Tiers that have a kernel for it, the portable one first.
    pub fn tiers(self) -> impl Iterator<Item = Tier> {
        let has = move |tier: &Tier| match (self, *tier) {
            (_, Tier::Portable) => true,
            (Shape::Linear { dtype, .. }, Tier::Dot4) => dtype.is_quantised(),
            (Shape::Linear { inputs, dtype, .. }, _) => dtype != DType::F32 && inputs.is_multiple_of(4),
            (
                Shape::Attention { head_dim, .. } | Shape::CrossAttention { head_dim, .. },
                Tier::Half | Tier::Cooperative,
            ) => head_dim <= 128,
            (Shape::Conv { .. }, Tier::Half) => true,
            _ => false,
        };
        Tier::ALL.into_iter().filter(has)
    }

    /// Whether a tier's kernel has work for a whole GPU at it. What is smaller is all latency.
    fn fills(self, tier: Tier) -> bool {
        match (self, tier) {
            (_, Tier::Portable | Tier::Dot4) => true,
            (Shape::Linear { rows, outputs, .. } | Shape::Conv { rows, outputs }, _) => tiles::is_wide(rows, outputs),
            (Shape::Attention { rows, .. } | Shape::CrossAttention { rows, .. }, _) => rows >= 64,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Linear { rows, inputs, outputs, dtype } => write!(f, "linear {rows}x{inputs}x{outputs} {dtype}"),
            Shape::Attention { rows, keys, heads, head_dim, kv } => {
                write!(f, "attention {rows}x{keys}x{heads}x{head_dim} {kv}")
            }
            Shape::CrossAttention { rows, keys, heads, head_dim } => {
                write!(f, "cross_attention {rows}x{keys}x{heads}x{head_dim}")
            }
            Shape::Conv { rows, outputs } => write!(f, "conv2d {rows}x{outputs}"),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    /// Reads what is displayed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no shape");
        let mut words = text.split(' ');
        let (what, sizes, of) = (words.next(), words.next().unwrap_or(""), words.next());
        let sizes: Option<Vec<usize>> = sizes.split('x').map(|size| size.parse().ok()).collect();
        let dtype = || [DType::F32, DType::F16, DType::Q8, DType::Q4].into_iter().find(|one| Some(one.name()) == of);
        let kv = || Kv::ALL.into_iter().find(|one| Some(one.name()) == of);
        let found = match (what, sizes.as_deref(), of) {
            (Some("linear"), Some(&[rows, inputs, outputs]), Some(_)) => {
                dtype().map(|dtype| Shape::Linear { rows, inputs, outputs, dtype })
            }
            (Some("attention"), Some(&[rows, keys, heads, head_dim]), Some(_)) => {
                kv().map(|kv| Shape::Attention { rows, keys, heads, head_dim, kv })
            }
            (Some("cross_attention"), Some(&[rows, keys, heads, head_dim]), None) => {
                Some(Shape::CrossAttention { rows, keys, heads, head_dim })
            }
            (Some("conv2d"), Some(&[rows, outputs]), None) => Some(Shape::Conv { rows, outputs }),
            _ => None,
        };
        found.filter(|_| words.next().is_none()).ok_or_else(wrong)
    }
}

/// The tiers of a device.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// In the order of [`Tier::ALL`], the portable one always.
    tiers: Vec<Tier>,
    /// One was asked for: it is taken wherever it has a kernel.
    forced: bool,
    /// What was measured.
    measured: Arc<BTreeMap<Shape, Tier>>,
    /// Tiers that it could have had, and why it has not.
    pub dropped: Vec<Dropped>,
}

impl Default for Choice {
    fn default() -> Self {
        Self { tiers: vec![Tier::Portable], forced: false, measured: Arc::default(), dropped: Vec::new() }
    }
}

impl Choice {
    /// The portable tier and `tier`, which is taken wherever it has a kernel.
    pub fn only(tier: Tier) -> Self {
        let mut this = Self { forced: true, ..Self::default() };
        this.add(tier);
        this
    }

    pub fn add(&mut self, tier: Tier) {
        if !self.tiers.contains(&tier) {
            self.tiers.push(tier);
            self.tiers.sort_by_key(|tier| Tier::ALL.iter().position(|other| other == tier));
        }
    }

    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    pub fn has(&self, tier: Tier) -> bool {
        self.tiers.contains(&tier)
    }

    /// Lets what was measured decide, as far as it fits the tiers; one that was asked for stays.
    pub fn measure(&mut self, measured: impl IntoIterator<Item = (Shape, Tier)>) {
        let fits = |(shape, tier): &(Shape, Tier)| self.has(*tier) && shape.tiers().any(|other| other == *tier);
        if !self.forced {
            let measured = measured.into_iter().filter(fits).collect();
            self.measured = Arc::new(measured);
        }
    }

    /// What was measured.
    pub fn measured(&self) -> &BTreeMap<Shape, Tier> {
        &self.measured
    }

    /// The tier for a shape.
    pub fn of(&self, shape: Shape) -> Tier {
        if let Some(&tier) = self.measured.get(&shape) {
            return tier;
        }
        let usable = |tier: &Tier| self.has(*tier) && (self.forced || shape.fills(*tier));
        shape.tiers().filter(usable).last().unwrap_or_default()
    }

    /// What tells kernels of one device from those of another choice: results are the same bits only where this is.
    pub fn identity(&self) -> String {
        let names: Vec<&str> = self.tiers.iter().map(|tier| tier.name()).collect();
        let mut text = names.join("+");
        if self.forced {
            text += " forced";
        }
        for (shape, tier) in self.measured.iter() {
            let _ = write!(text, ", {shape} {tier}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: Shape = Shape::Linear { rows: 1170, inputs: 1536, outputs: 1536, dtype: DType::Q8 };
    const SMALL: Shape = Shape::Linear { rows: 64, inputs: 224, outputs: 224, dtype: DType::Q8 };
    const ATTENTION: Shape = Shape::Attention { rows: 390, keys: 4680, heads: 12, head_dim: 128, kv: Kv::F16 };

    fn choice(tiers: &[Tier]) -> Choice {
        let mut choice = Choice::default();
        tiers.iter().for_each(|&tier| choice.add(tier));
        choice
    }

    #[test]
    fn every_operator_takes_the_best_that_it_has() {
        use Tier::{Cooperative, Dot4, Half, Portable};
        let f32 = Shape::Linear { rows: 1170, inputs: 1536, outputs: 1536, dtype: DType::F32 };
        for (tiers, large, small, attention) in [
            (&[][..], Portable, Portable, Portable),
            (&[Half], Half, Portable, Half),
            (&[Dot4, Half], Dot4, Dot4, Half),
            (&[Cooperative, Dot4, Half], Cooperative, Dot4, Cooperative),
            (&[Cooperative], Cooperative, Portable, Cooperative),
        ] {
            let choice = choice(tiers);
            assert_eq!([LARGE, SMALL, ATTENTION].map(|shape| choice.of(shape)), [large, small, attention]);
            assert_eq!(choice.of(f32), Portable);
        }
        assert_eq!(Choice::only(Cooperative).of(SMALL), Cooperative);
        assert_eq!(Choice::only(Half).of(Shape::Conv { rows: 1, outputs: 3 }), Half);
    }

    #[test]
    fn shapes_are_read_back() {
        let cross = Shape::CrossAttention { rows: 70, keys: 512, heads: 12, head_dim: 128 };
        for shape in [LARGE, SMALL, ATTENTION, cross, Shape::Conv { rows: 64, outputs: 12 }] {
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
        for wrong in ["", "linear", "linear 1x2 q8", "linear 1x2x3 q9", "conv2d 1x2 q8", "attention 1x2x3x4 f16 more"] {
            assert_eq!(wrong.parse::<Shape>(), Err(format!("`{wrong}` is no shape")));
        }
    }

    #[test]
    fn what_was_measured_counts_where_the_tier_is_there() {
        let mut choice = choice(&[Tier::Dot4, Tier::Cooperative]);
        let before = choice.identity();
        choice.measure([(LARGE, Tier::Dot4), (ATTENTION, Tier::Dot4), (SMALL, Tier::Half)]);
        assert_eq!(choice.of(LARGE), Tier::Dot4);
        assert_eq!(choice.of(ATTENTION), Tier::Cooperative, "there is no such kernel");
        assert_eq!(choice.of(SMALL), Tier::Dot4, "there is no such tier");
        assert_ne!(choice.identity(), before);
        let mut forced = Choice::only(Tier::Cooperative);
        forced.measure([(LARGE, Tier::Portable)]);
        assert_eq!(forced.of(LARGE), Tier::Cooperative);
    }
}
