//! A dispatch in the making: a kernel, and what goes by which of its names.

use std::ops::Range;

use causeway_shaders::Kernel;

use crate::{
    backend::BackendError,
    buffer::{BufferId, WeightId},
    op::Activation,
};

/// What a binding is bound to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source {
    Buffer(BufferId),
    /// A buffer from an element on.
    From(BufferId, usize),
    /// So many buffers that lie together, of which this is the first.
    Joint(BufferId, usize),
    Weight(WeightId),
    Scales(WeightId),
    /// Rows as bytes on their way from one dispatch of a node to the next, and their scales.
    Codes,
    CodeScales,
    /// Sums over parts of the depth, on their way from one dispatch of a node to the next.
    Sums,
}

/// A dispatch, before GPU objects exist. Buffers and constants go by the names they have in the kernel.
#[derive(Clone)]
pub(super) struct Job {
    pub kernel: &'static Kernel,
    pub groups: [u32; 3],
    /// The struct `Node`.
    pub node: Vec<u8>,
    /// By position in `kernel.bindings`; None binds nothing of interest.
    pub sources: Vec<Option<Source>>,
    /// Dimension of `groups` along which there are tiles of rows, if these can be made apart: by the constant `first_tile`.
    rows_along: Option<usize>,
    error: Option<String>,
}

/// A member of `Node`: any 32-bit number.
pub(super) trait Word {
    fn bits(self) -> Option<u32>;
}

impl Word for usize {
    fn bits(self) -> Option<u32> {
        self.try_into().ok()
    }
}

impl Word for bool {
    fn bits(self) -> Option<u32> {
        Some(self.into())
    }
}

impl Word for f32 {
    fn bits(self) -> Option<u32> {
        Some(self.to_bits())
    }
}

/// The numbers of activation.wgsl.
impl Word for Activation {
    fn bits(self) -> Option<u32> {
        Some(match self {
            Activation::None => 0,
            Activation::Relu => 1,
            Activation::Silu => 2,
            Activation::Gelu => 3,
            Activation::SoftClamp => 4,
            Activation::GeluErf => 5,
        })
    }
}

impl Job {
    pub fn new(kernel: &'static Kernel, groups: [usize; 3]) -> Self {
        let mut error = None;
        let groups = groups.map(|count| match u32::try_from(count) {
            Ok(count) if count <= MOST_GROUPS as u32 => count,
            _ => {
                error = Some(format!("{count} workgroups in a row"));
                0
            }
        });
        let node = vec![0; kernel.node_bytes.next_multiple_of(16) as usize];
        Self { kernel, groups, node, sources: vec![None; kernel.bindings.len()], rows_along: None, error }
    }

    /// One invocation an item, as grid.wgsl counts them.
    pub fn items(kernel: &'static Kernel, items: usize) -> Self {
        Self::new(kernel, rows(items.div_ceil(kernel.workgroup_size[0] as usize)))
    }

    /// With what is bound of a buffer bound from an element on instead.
    pub fn starting(mut self, id: BufferId, element: usize) -> Self {
        for source in self.sources.iter_mut().flatten() {
            if [Source::Buffer(id), Source::Joint(id, 1)].contains(source) {
                *source = Source::From(id, element);
            }
        }
        self
    }

    /// Rows can be made apart, in tiles along this dimension.
    pub fn rows_along(mut self, dimension: usize) -> Self {
        self.rows_along = Some(dimension);
        self
    }

    /// The same in at most so many parts, each with its range of tiles and enough workgroups for a GPU; none if it would be one.
    pub fn parts(&self, most: usize) -> Vec<(Range<usize>, Self)> {
        let Some(along) = self.rows_along else { return Vec::new() };
        let tiles = self.groups[along] as usize;
        let others: usize = (0..3).filter(|&at| at != along).map(|at| self.groups[at] as usize).product();
        let count = most.min(tiles * others / LEAST_GROUPS).min(tiles);
        let part = |part: usize| {
            let (from, to) = (tiles * part / count, tiles * (part + 1) / count);
            let mut job = self.clone().set("first_tile", from);
            job.groups[along] = (to - from) as u32;
            (from..to, job)
        };
        if count > 1 { (0..count).map(part).collect() } else { Vec::new() }
    }

    /// As many layers of workgroups.
    pub fn deep(mut self, count: usize) -> Self {
        self.groups[2] = count as u32;
        self
    }

    pub fn set(mut self, name: &str, value: impl Word) -> Self {
        let constant = self.kernel.constants.iter().find(|constant| constant.name == name);
        match (constant, value.bits()) {
            (Some(constant), Some(bits)) => {
                self.node[constant.offset as usize..][..4].copy_from_slice(&bits.to_ne_bytes());
            }
            (None, _) => self.error = Some(format!("there is no constant `{name}`")),
            (_, None) => self.error = Some(format!("constant `{name}` exceeds 32 bits")),
        }
        self
    }

    pub fn bind(mut self, name: &str, source: Source) -> Self {
        match self.kernel.bindings.iter().position(|binding| binding.name == name) {
            Some(at) => self.sources[at] = Some(source),
            None => self.error = Some(format!("there is no buffer `{name}`")),
        }
        self
    }

    pub fn buffer(self, name: &str, id: BufferId) -> Self {
        self.bind(name, Source::Buffer(id))
    }

    pub fn weight(self, name: &str, id: WeightId) -> Self {
        self.bind(name, Source::Weight(id))
    }

    /// Binds `name` and sets `has` if there is a source.
    pub fn maybe(self, name: &str, has: &str, source: Option<Source>) -> Self {
        let this = self.set(has, source.is_some());
        match source {
            Some(source) => this.bind(name, source),
            None => this,
        }
    }

    pub fn finish(self) -> Result<Self, BackendError> {
        match &self.error {
            Some(what) => Err(unsupported(self.kernel.name, what)),
            None => Ok(self),
        }
    }
}

pub(super) fn unsupported(name: &str, what: &str) -> BackendError {
    BackendError::Unsupported(format!("{name}: {what}"))
}

/// Workgroups of a part of a dispatch, at least.
const LEAST_GROUPS: usize = 64;
/// WebGPU's limit for each dimension of a dispatch.
const MOST_GROUPS: usize = 65_535;

/// A row of workgroups, or several where one is too short.
pub(super) fn rows(count: usize) -> [usize; 3] {
    [count.min(MOST_GROUPS), count.div_ceil(MOST_GROUPS), 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_rows_once_and_keep_a_gpu_busy() {
        let job = |groups| Job::new(&causeway_shaders::LINEAR_Q8_WIDE, groups).rows_along(1);
        for (groups, most, expected) in [
            ([24, 74, 1], 1000, 27),
            ([24, 74, 1], 5, 5),
            ([140, 74, 1], 1000, 74),
            ([24, 5, 1], 1000, 0),
            ([24, 74, 1], 1, 0),
            ([1, 1, 1], 9, 0),
        ] {
            let parts = job(groups).parts(most);
            assert_eq!(parts.len(), expected, "{groups:?}, at most {most}");
            let constant = |job: &Job| job.kernel.constants.iter().find(|one| one.name == "first_tile").unwrap().offset;
            let mut next = 0;
            for (tiles, part) in &parts {
                let at = constant(part) as usize;
                assert_eq!(u32::from_ne_bytes(part.node[at..at + 4].try_into().unwrap()), next);
                assert_eq!(tiles.start, next as usize);
                assert!(part.groups[1] > 0 && part.groups[0] == groups[0] as u32);
                next += part.groups[1];
            }
            assert!(parts.is_empty() || next == groups[1] as u32);
        }
        // Another kernel has no such constant, and is never cut.
        assert!(Job::new(&causeway_shaders::COPY, [1000, 1, 1]).parts(10).is_empty());
    }
}
