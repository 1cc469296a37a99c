//! The layer of a Wan network that takes patches of latents, as formats store its weight.

/// Sides of a patch in every published Wan 2.1 model.
const LINEAR: [usize; 3] = [1, 2, 2];

/// The layer that takes patches of latents.
#[derive(Clone, Copy, Debug)]
pub struct Patches {
    /// Features that it makes.
    pub dim: usize,
    /// Channels that it takes.
    pub inputs: usize,
    /// Frames, height and width of a patch.
    pub sides: [usize; 3],
}

impl Patches {
    /// Reads the shape of its weight in a network of width `width`.
    pub fn of(shape: &[usize], width: usize) -> Option<Self> {
        let (dim, inputs, sides) = match *shape {
            [dim, inputs, t, h, w] => (dim, inputs, [t, h, w]),
            // Four dimensions are all that GGML holds: one is left out, or outputs and inputs are one.
            [dim, inputs, h, w] if dim == width => (dim, inputs, [1, h, w]),
            [both, t, h, w] if width > 0 && both > 0 && both.is_multiple_of(width) => (width, both / width, [t, h, w]),
            // A linear layer, channels first; of its patches no tensor tells the sides.
            [dim, inputs] if inputs.is_multiple_of(LINEAR.iter().product()) => {
                (dim, inputs / LINEAR.iter().product::<usize>(), LINEAR)
            }
            _ => return None,
        };
        Some(Self { dim, inputs, sides })
    }
}
