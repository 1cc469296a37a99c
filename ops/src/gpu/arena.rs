//! Where a plan's buffers lie in GPU memory.
//!
//! WebGPU lets a dispatch use a buffer either for reading or for writing. Hence one GPU buffer a *place*: every state, input,
//! output and constant has its own, and scratch buffers share a place where their lives never meet. Bindings then span whole
//! places, and wgpu's barriers are as fine as the plan's dependencies. Buffers that one dispatch writes together ([`Fusion::joints`]) lie one
//! after the other in one place.

use crate::{
    backend::BackendError,
    buffer::{BufferId, BufferKind},
    gpu::fusion::Fusion,
    plan::Plan,
    planner::{Life, overlap},
};

/// A frame table is also bound as a uniform of fixed size (`frames` in attention.wgsl), so no place is smaller.
pub(super) const LEAST_BYTES: u64 = 1024;
/// Rows of such a table.
pub(super) const MOST_FRAMES: usize = LEAST_BYTES as usize / 4;

/// What lies in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    State,
    Activation,
    Constant,
}

/// Places of a plan, before any memory exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Place of every buffer, and the byte in it where it begins; None for scratch that no dispatch touches.
    pub of: Vec<Option<(usize, u64)>>,
    /// Content and bytes of every place, state first, constants last.
    pub places: Vec<(Content, u64)>,
    /// Buffers that are never there whole.
    inner: Vec<BufferId>,
    /// Bytes of an element of every buffer: 2 of numbers in half precision.
    sizes: Vec<u64>,
}

impl Places {
    pub fn new(plan: &Plan, fusion: &Fusion<'_>) -> Self {
        let inner = fusion.inner().collect();
        let sizes = fusion.halves().iter().map(|&half| if half { 2 } else { 4 }).collect();
        let mut this = Self { of: vec![None; plan.buffers.len()], places: Vec::new(), inner, sizes };
        this.own(plan, Content::State, &|kind| *kind == BufferKind::State);
        this.own(plan, Content::Activation, &|kind| matches!(kind, BufferKind::Input | BufferKind::Output));
        this.share(plan, fusion);
        this.own(plan, Content::Constant, &|kind| matches!(kind, BufferKind::Constant(_)));
        this
    }

    fn own(&mut self, plan: &Plan, content: Content, wanted: &dyn Fn(&BufferKind) -> bool) {
        for (at, buffer) in plan.buffers.iter().enumerate().filter(|(_, buffer)| wanted(&buffer.kind)) {
            self.of[at] = Some((self.places.len(), 0));
            self.places.push((content, (4 * buffer.len as u64).next_multiple_of(256).max(LEAST_BYTES)));
        }
    }

    /// Largest scratch first, each in the first place that is free throughout its life. A place has the size of its first
    /// tenant, so later ones always fit.
    fn share(&mut self, plan: &Plan, fusion: &Fusion<'_>) {
        let mut places: Vec<(usize, Vec<Tenant>)> = Vec::new();
        for tenant in tenants(plan, fusion, &self.sizes) {
            let free =
                places.iter_mut().find(|(_, others)| others.iter().all(|other| !overlap(&tenant.lives, &other.lives)));
            let place = free.as_ref().map_or(self.places.len(), |(place, _)| *place);
            let mut offset = 0;
            for &at in &tenant.buffers {
                self.of[at] = Some((place, offset));
                offset += self.sizes[at] * step(fusion.len(plan, at)) as u64;
            }
            match free {
                Some((_, others)) => others.push(tenant),
                None => {
                    self.places.push((Content::Activation, offset));
                    places.push((place, vec![tenant]));
                }
            }
        }
    }

    /// Bytes of all places with this content.
    pub fn bytes(&self, content: Content) -> u64 {
        self.places.iter().filter(|place| place.0 == content).map(|place| place.1).sum()
    }
}

/// A scratch buffer, or several that lie together.
struct Tenant {
    buffers: Vec<usize>,
    lives: Vec<Life>,
}

/// All scratch that is touched, largest first.
fn tenants(plan: &Plan, fusion: &Fusion<'_>, sizes: &[u64]) -> Vec<Tenant> {
    let lives = fusion.lives(plan.buffers.len());
    let joint = |at: &usize| fusion.joints.iter().flatten().any(|id| id.0 as usize == *at);
    let alone = (0..plan.buffers.len())
        .filter(|at| plan.buffers[*at].kind == BufferKind::Scratch && !joint(at))
        .map(|at| vec![at]);
    let joints = fusion.joints.iter().map(|joint| joint.iter().map(|id| id.0 as usize).collect());
    let tenant = |buffers: Vec<usize>| {
        let mut all: Vec<Life> = vec![None; fusion.passes.len()];
        for life in buffers.iter().flat_map(|&at| lives[at].iter().enumerate()) {
            if let (pass, &Some((first, last))) = life {
                all[pass] = Some(all[pass].map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
            }
        }
        Tenant { buffers, lives: all }
    };
    let mut tenants: Vec<Tenant> =
        alone.chain(joints).map(tenant).filter(|tenant| tenant.lives.iter().any(Option::is_some)).collect();
    let bytes = |at: usize| sizes[at] * step(fusion.len(plan, at)) as u64;
    let all = |tenant: &Tenant| tenant.buffers.iter().map(|&at| bytes(at)).sum::<u64>();
    tenants.sort_by_key(|tenant| (std::cmp::Reverse(all(tenant)), tenant.buffers[0]));
    tenants
}

/// Elements from one buffer of `len` to the next where several lie together, also in half precision: bindings begin at multiples of 256 bytes.
pub(super) fn step(len: usize) -> usize {
    len.next_multiple_of(128).max(MOST_FRAMES)
}

/// Part of a GPU buffer.
#[derive(Clone, Copy)]
pub(super) struct Slice<'a> {
    pub buffer: &'a wgpu::Buffer,
    pub offset: u64,
    pub size: u64,
}

impl<'a> Slice<'a> {
    pub fn whole(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0, size: buffer.size() }
    }

    /// For a bind group; of at most so many bytes.
    pub fn binding(self, most: u64) -> wgpu::BindingResource<'a> {
        let size = wgpu::BufferSize::new(self.size.min(most));
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: self.buffer, offset: self.offset, size })
    }
}

/// The places' memory.
pub(super) struct Arena {
    places: Places,
    buffers: Vec<wgpu::Buffer>,
}

impl Arena {
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, plan: &Plan, places: Places) -> Self {
        let create = |&(content, size): &(Content, u64)| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(match content {
                    Content::State => "state",
                    Content::Activation => "activation",
                    Content::Constant => "constant",
                }),
                size,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::UNIFORM
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let buffers: Vec<wgpu::Buffer> = places.places.iter().map(create).collect();
        for (buffer, place) in plan.buffers.iter().zip(&places.of) {
            if let (BufferKind::Constant(data), Some(place)) = (&buffer.kind, place) {
                queue.write_buffer(&buffers[place.0], 0, bytemuck::cast_slice(data));
            }
        }
        Self { places, buffers }
    }

    /// Where a plan's buffer lies, or `count` that lie together and begin with it. A buffer alone has the whole place.
    pub fn get(&self, plan: &Plan, id: BufferId, count: usize) -> Option<Slice<'_>> {
        let (place, offset) = self.places.of[id.0 as usize]?;
        let buffer = &self.buffers[place];
        let joint = offset > 0 || count > 1;
        let bytes = self.size(id) * step(plan.buffer(id).len) as u64;
        let size = if joint { count as u64 * bytes } else { buffer.size() };
        Some(Slice { buffer, offset, size })
    }

    /// Where a plan's buffer lies from an element on, alone in its place.
    pub fn from(&self, id: BufferId, element: usize) -> Option<Slice<'_>> {
        let buffer = &self.buffers[self.place(id)?];
        let offset = self.size(id) * element as u64;
        Some(Slice { buffer, offset, size: buffer.size().checked_sub(offset)? })
    }

    /// Bytes of an element of a buffer.
    pub fn size(&self, id: BufferId) -> u64 {
        self.places.sizes[id.0 as usize]
    }

    /// The place of a buffer that begins it.
    fn place(&self, id: BufferId) -> Option<usize> {
        self.places.of[id.0 as usize].filter(|place| place.1 == 0).map(|place| place.0)
    }

    /// The GPU buffer of a plan's buffer of which the host holds `found` bytes.
    pub fn sized(&self, plan: &Plan, id: BufferId, found: usize) -> Result<&wgpu::Buffer, BackendError> {
        let buffer = plan.buffer(id);
        let constant = matches!(buffer.kind, BufferKind::Constant(_));
        match self.place(id).map(|place| &self.buffers[place]).filter(|_| !constant && self.size(id) == 4) {
            Some(place) if found == 4 * buffer.len => Ok(place),
            place => {
                let expected = if place.is_some() { 4 * buffer.len } else { 0 };
                Err(BackendError::Size { buffer: buffer.name.clone(), expected, found })
            }
        }
    }

    /// Everything that a snapshot holds: all places but constants.
    pub fn saved(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        let live = self.places.places.iter().zip(&self.buffers);
        live.filter(|((content, _), _)| *content != Content::Constant).map(|(_, buffer)| buffer)
    }

    /// Where a buffer begins in the bytes of all of [`Self::saved`]; None if it is a constant, or never there whole.
    pub fn saved_at(&self, id: BufferId) -> Option<u64> {
        if self.places.inner.contains(&id) {
            return None;
        }
        // Constants come last.
        let (place, offset) = self.places.of[id.0 as usize]?;
        let live = self.places.places[place].0 != Content::Constant;
        live.then(|| offset + self.places.places[..place].iter().map(|place| place.1).sum::<u64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        buffer::Element,
        op::{Activate, Activation},
        plan::PlanBuilder,
    };

    fn relu(x: BufferId, y: BufferId, len: usize) -> Activate {
        Activate { x, y, len, activation: Activation::Relu, affine: None }
    }

    #[test]
    fn scratch_shares_places_only_apart_in_time() {
        let mut b = PlanBuilder::new();
        let x = b.buffer("x", Element::F32, 1000, BufferKind::Input);
        let y = b.buffer("y", Element::F32, 100, BufferKind::Output);
        let chain = [400, 800, 100].map(|len| b.scratch("chain", len));
        let unused = b.scratch("unused", 4000);
        let table = b.constant("table", vec![1.0; 3]);
        let state = b.state("state", 10);
        b.pass("main");
        for (pair, len) in [x, chain[0], chain[1], chain[2], y].windows(2).zip([400, 400, 100, 100]) {
            b.push(relu(pair[0], pair[1], len));
        }
        let plan = b.build().unwrap();
        let places = Places::new(&plan, &Fusion::new(&plan, true));
        let of = |id: BufferId| places.of[id.0 as usize].map(|(place, _)| place);
        assert_eq!(of(unused), None);
        assert_eq!(of(chain[0]), of(chain[2]));
        assert_ne!(of(chain[0]), of(chain[1]));
        // State, input, output, two places of scratch, constant.
        assert_eq!(places.places.len(), 6);
        assert_eq!(of(state), Some(0));
        assert_eq!(of(table), Some(5));
        assert_eq!(places.places[of(chain[2]).unwrap()], (Content::Activation, 2048));
        assert_eq!(places.bytes(Content::State), LEAST_BYTES);
    }

    /// What WebGPU demands: no node finds two of its buffers in one place.
    #[test]
    fn a_node_never_meets_a_place_twice() {
        let mut b = PlanBuilder::new();
        let scratch: Vec<_> = (0..12).map(|i| b.scratch("s", 300 + 77 * (i * 5 % 12))).collect();
        for pass in 0..3 {
            b.pass("pass");
            for i in 0..40 {
                let (x, y) = ((i * 7 + pass * 3) % 12, (i * 7 + pass * 3 + 1 + i % 11) % 12);
                if x != y {
                    b.push(relu(scratch[x], scratch[y], 300));
                }
            }
        }
        let plan = b.build().unwrap();
        let places = Places::new(&plan, &Fusion::new(&plan, true));
        for op in plan.passes.iter().flat_map(|pass| &pass.nodes) {
            let mut seen = Vec::new();
            op.operator().buffers(&mut |id, _| seen.push(places.of[id.0 as usize].unwrap()));
            assert_ne!(seen[0], seen[1]);
        }
        for (buffer, place) in plan.buffers.iter().zip(&places.of) {
            assert!(places.places[place.unwrap().0].1 >= 4 * buffer.len as u64);
        }
    }
}
