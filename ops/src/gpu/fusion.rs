//! Nodes that one dispatch does together. A dispatch costs a GPU some microseconds whatever it computes: of a small world's frame they
//! are all there is.
//!
//! A node that is done together with later ones is done at the last of them, so that any range of nodes can still be run; what it
//! reads lives until then, and what only they pass on has no place in memory. All follows from the plan alone: its memory is known
//! before weights are.

use causeway_shaders::Halves;

#[cfg(feature = "waypoint")]
use crate::op::RmsNorm;
use crate::{
    buffer::{BufferId, BufferKind, WeightId},
    op::{Access, CrossAttention, LayerNorm, Linear, Op, Operator, RmsNormRope},
    plan::Plan,
    planner::Life,
    quant::{BLOCK, DType},
};

use super::{
    choice::Shape,
    halves::halves,
    job::{Job, Source},
    tiles,
};

/// What is done at a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<'a> {
    /// Nothing: a later node does it.
    Later,
    /// The node alone.
    Plain(&'a Op),
    /// Linear layers of one input and of one shape, perhaps of a norm's output, that make the parts of a joint buffer.
    Linears { norm: Option<&'a LayerNorm>, layers: Vec<&'a Linear> },
    /// Norms of the first two parts of a joint buffer: queries and keys.
    Norms([&'a RmsNormRope; 2]),
    /// Cross-attention whose queries are normed.
    CrossAttention { norm: &'a RmsNormRope, op: &'a CrossAttention },
    /// A layer and the one that reads its output, so many rows at a time: the whole output would take much memory.
    FeedForward { up: &'a Linear, down: &'a Linear, rows: usize },
    /// A norm and the wide layers that are all that read it, each as it is done by itself. Where they read bytes, the norm makes these.
    Normed { norm: Norm<'a>, layers: Vec<Step<'a>> },
}

impl<'a> Step<'a> {
    /// The steps of layers that it is made of: itself, if it is no more than one.
    pub fn parts(&self) -> &[Step<'a>] {
        if let Step::Normed { layers, .. } = self { layers } else { std::slice::from_ref(self) }
    }

    /// Its layers.
    fn layers(&self) -> &[&Linear] {
        match self {
            Step::Linears { layers, .. } => layers,
            _ => &[],
        }
    }

    /// The rows that wide layers read in whole blocks, their number, and that of a row's blocks: what may have to be quantised first.
    pub fn rows_in_blocks(&self) -> Option<(BufferId, usize, usize)> {
        let (layer, count) = match self {
            Step::Plain(Op::Linear(layer)) => (layer, 1),
            Step::Linears { norm: None, layers } => (*layers.first()?, layers.len()),
            Step::Normed { norm, .. } => return Some((norm.y, norm.rows, norm.dim / BLOCK)),
            _ => return None,
        };
        let wide = tiles::is_wide(layer.rows, count * layer.outputs) && layer.inputs.is_multiple_of(BLOCK);
        wide.then_some((layer.x, layer.rows, layer.inputs / BLOCK))
    }

    /// Shapes that its layers may be lowered as, if their weights are of this type: all together, or each by itself.
    pub fn shapes(&self, dtype: DType) -> impl Iterator<Item = Shape> + use<> {
        let alone = if let Step::Plain(Op::Linear(layer)) = self { Some(layer) } else { None };
        let first = self.layers().first().copied().or(alone).map(|layer| (layer.rows, layer.inputs, layer.outputs));
        let counts = [1, self.layers().len().max(1)];
        counts.into_iter().filter_map(move |count| {
            let (rows, inputs, outputs) = first?;
            Some(Shape::Linear { rows, inputs, outputs: count * outputs, dtype })
        })
    }

    /// The matrices that it reads, unless it is made of steps.
    pub fn matrices(&self) -> impl Iterator<Item = WeightId> + '_ {
        let alone = if let Step::Plain(Op::Linear(layer)) = self { Some(layer) } else { None };
        self.layers().iter().copied().chain(alone).map(|layer| layer.weight)
    }

    /// Calls `visit` for every buffer that is touched, as an operator does.
    pub fn buffers(&self, visit: &mut dyn FnMut(BufferId, Access)) {
        match self {
            Step::Later => {}
            Step::Plain(op) => op.operator().buffers(visit),
            Step::Linears { norm, layers } => {
                let between = norm.map(|norm| norm.y);
                let mut outside = |id, access| {
                    if Some(id) != between {
                        visit(id, access);
                    }
                };
                norm.iter().for_each(|norm| norm.buffers(&mut outside));
                layers.iter().for_each(|layer| layer.buffers(&mut outside));
            }
            Step::Norms(norms) => norms.iter().for_each(|norm| norm.buffers(visit)),
            Step::CrossAttention { op, .. } => op.buffers(visit),
            Step::FeedForward { up, down, .. } => {
                up.buffers(visit);
                down.buffers(visit);
            }
            Step::Normed { norm, layers } => {
                norm.op.operator().buffers(visit);
                layers.iter().for_each(|layer| layer.buffers(visit));
            }
        }
    }
}

/// A norm of rows, of one kind or another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Norm<'a> {
    pub op: &'a Op,
    pub x: BufferId,
    pub y: BufferId,
    pub rows: usize,
    pub dim: usize,
}

impl<'a> Norm<'a> {
    fn new(op: &'a Op) -> Option<Self> {
        match *op {
            Op::LayerNorm(LayerNorm { x, y, rows, dim, .. }) => Some(Self { op, x, y, rows, dim }),
            #[cfg(feature = "waypoint")]
            Op::RmsNorm(RmsNorm { x, y, rows, dim, .. }) => Some(Self { op, x, y, rows, dim }),
            _ => None,
        }
    }
}

/// All steps of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fusion<'a> {
    /// One a node of every pass.
    pub passes: Vec<Vec<Step<'a>>>,
    /// Buffers of one length that lie one after the other in a place.
    pub joints: Vec<Vec<BufferId>>,
    /// Buffers that hold some of their rows at a time, and elements of these.
    short: Vec<(BufferId, usize)>,
    /// Of every buffer, whether its numbers lie in half precision.
    halves: Vec<bool>,
}

impl<'a> Fusion<'a> {
    /// `able`: the device can keep numbers in half precision.
    pub fn new(plan: &'a Plan, able: bool) -> Self {
        let touches = touches(plan);
        let passed_on =
            |id: BufferId, times: usize| plan.buffer(id).kind == BufferKind::Scratch && touches[id.0 as usize] == times;
        let mut this = Self { passes: Vec::new(), joints: Vec::new(), short: Vec::new(), halves: halves(plan, able) };
        for pass in &plan.passes {
            let mut steps = Vec::new();
            while let Some(rest) = pass.nodes.get(steps.len()..).filter(|rest| !rest.is_empty()) {
                let (step, count) = this.step(plan, rest, &passed_on);
                steps.resize(steps.len() + count - 1, Step::Later);
                steps.push(step);
            }
            this.passes.push(steps);
        }
        for joint in &this.joints {
            let all = joint.iter().all(|id| this.halves[id.0 as usize]);
            joint.iter().for_each(|id| this.halves[id.0 as usize] = all);
        }
        this
    }

    /// Buffers whose numbers lie in half precision.
    pub fn halves(&self) -> &[bool] {
        &self.halves
    }

    /// Bindings of a dispatch whose numbers do.
    pub fn halves_of(&self, job: &Job) -> Halves {
        let half = |source: &Option<Source>| match source {
            Some(Source::Buffer(id) | Source::From(id, _) | Source::Joint(id, _)) => self.halves[id.0 as usize],
            _ => false,
        };
        let each = job.sources.iter().enumerate().filter(|(_, source)| half(source));
        Halves(each.map(|(at, _)| 1 << at).sum())
    }

    /// Elements of a buffer that have a place in memory at a time.
    pub fn len(&self, plan: &Plan, at: usize) -> usize {
        let short = self.short.iter().find(|(id, _)| id.0 as usize == at);
        short.map_or(plan.buffers[at].len, |(_, len)| *len)
    }

    /// Buffers that are never there whole.
    pub fn inner(&self) -> impl Iterator<Item = BufferId> + '_ {
        self.short.iter().map(|(id, _)| *id)
    }

    /// Life of every buffer in every pass, by what is touched when.
    pub fn lives(&self, buffers: usize) -> Vec<Vec<Life>> {
        let mut lives: Vec<Vec<Life>> = vec![vec![None; self.passes.len()]; buffers];
        for (pass, steps) in self.passes.iter().enumerate() {
            for (node, step) in steps.iter().enumerate() {
                step.buffers(&mut |id, _| {
                    let life = &mut lives[id.0 as usize][pass];
                    *life = Some((life.map_or(node, |(first, _)| first), node));
                });
            }
        }
        lives
    }

    /// Weights that one dispatch reads, in the order in which it does: each list once, and no weight in two.
    pub fn neighbours(&self) -> Vec<Vec<WeightId>> {
        let mut all: Vec<Vec<WeightId>> = Vec::new();
        for step in self.passes.iter().flatten().flat_map(Step::parts) {
            let Step::Linears { layers, .. } = step else { continue };
            let matrices: Vec<WeightId> = layers.iter().map(|layer| layer.weight).collect();
            let biases = layers.iter().filter_map(|layer| layer.bias).collect();
            for list in [matrices, biases] {
                if list.len() > 1 && !list.iter().any(|id| all.iter().flatten().any(|other| other == id)) {
                    all.push(list);
                }
            }
        }
        all
    }

    /// What the first of `nodes` begins, and how many nodes that does.
    fn step(&mut self, plan: &Plan, nodes: &'a [Op], passed_on: &dyn Fn(BufferId, usize) -> bool) -> (Step<'a>, usize) {
        match nodes {
            [Op::LayerNorm(norm), rest @ ..] => {
                let mut layers = self.run(plan, rest);
                // One layer that adds to its output, or has a gate, is a run of one too.
                if layers.is_empty() && let Some(Op::Linear(layer)) = rest.first() {
                    layers.push(layer);
                }
                let fits = layers.first().is_some_and(|layer| norms_on_the_way(norm, layer, layers.len()));
                if fits && passed_on(norm.y, 1 + layers.len()) {
                    let count = 1 + layers.len();
                    self.join(&layers);
                    return (Step::Linears { norm: Some(norm), layers }, count);
                }
                if let Some(normed) = self.normed(plan, nodes, passed_on) {
                    return normed;
                }
            }
            #[cfg(feature = "waypoint")]
            [Op::RmsNorm(_), ..] => {
                if let Some(normed) = self.normed(plan, nodes, passed_on) {
                    return normed;
                }
            }
            [Op::Linear(_), ..] => {
                let layers = self.run(plan, nodes);
                if layers.len() > 1 {
                    let count = layers.len();
                    self.join(&layers);
                    return (Step::Linears { norm: None, layers }, count);
                }
                if let [Op::Linear(up), Op::Linear(down), ..] = nodes
                    && passed_on(up.y, 2)
                    && let Some(rows) = rows_at_a_time(up, down).filter(|_| plan.buffer(up.y).len == up.rows * up.outputs)
                {
                    self.short.push((up.y, rows * up.outputs));
                    return (Step::FeedForward { up, down, rows }, 2);
                }
            }
            [Op::RmsNormRope(a), Op::RmsNormRope(b), ..] if self.starts(a.x, b.x) && alike(a, b) => {
                return (Step::Norms([a, b]), 2);
            }
            [Op::RmsNormRope(norm), Op::CrossAttention(op), ..]
                // A layer writes them, the norm changes them, attention reads them.
                if norm.x == op.q && norm.grid.is_none() && norm.weight.is_some() && passed_on(op.q, 3) && op.head_dim <= 128 =>
            {
                return (Step::CrossAttention { norm, op }, 2);
            }
            _ => {}
        }
        (Step::Plain(&nodes[0]), 1)
    }

    /// A norm at the front of `nodes` and the layers behind it, if these are all that read it and are wide, and none of them is done some
    /// rows at a time.
    fn normed(
        &mut self,
        plan: &Plan,
        nodes: &'a [Op],
        passed_on: &dyn Fn(BufferId, usize) -> bool,
    ) -> Option<(Step<'a>, usize)> {
        let [op, rest @ ..] = nodes else { return None };
        let norm = Norm::new(op)?;
        let reads = |op: &'a Op| match op {
            Op::Linear(layer) if layer.x == norm.y && layer.y != norm.x => Some(layer),
            _ => None,
        };
        let layers: Vec<&Linear> = rest.iter().map_while(reads).collect();
        let fits = |layer: &&Linear| (layer.rows, layer.inputs) == (norm.rows, norm.dim);
        let columns = layers.iter().map(|layer| layer.outputs).sum();
        let short = match (layers.last(), rest.get(layers.len())) {
            (Some(up), Some(Op::Linear(down))) => rows_at_a_time(up, down).is_some(),
            _ => false,
        };
        let all = !layers.is_empty() && layers.iter().all(fits) && passed_on(norm.y, 1 + layers.len());
        if !all || short || !norm.dim.is_multiple_of(BLOCK) || !tiles::is_wide(norm.rows, columns) {
            return None;
        }
        let (mut steps, mut left) = (Vec::new(), &rest[..layers.len()]);
        while !left.is_empty() {
            let (step, count) = self.step(plan, left, passed_on);
            steps.push(step);
            left = &left[count..];
        }
        Some((Step::Normed { norm, layers: steps }, 1 + layers.len()))
    }

    /// Layers at the front of `nodes` that differ in their weights and outputs only; none if there are fewer than two.
    fn run(&self, plan: &Plan, nodes: &'a [Op]) -> Vec<&'a Linear> {
        const MOST: usize = 3;
        let layers = nodes.iter().map_while(|op| if let Op::Linear(layer) = op { Some(layer) } else { None });
        let mut run: Vec<&Linear> = Vec::new();
        for layer in layers.take(MOST) {
            let free = !self.joints.iter().flatten().any(|&id| id == layer.y);
            let own = plan.buffer(layer.y).kind == BufferKind::Scratch
                && plan.buffer(layer.y).len == layer.rows * layer.outputs
                && run.iter().all(|other| other.y != layer.y);
            let plain = !layer.residual && layer.gate.is_none();
            let same = run.first().is_none_or(|first| {
                let shape = |layer: &Linear| (layer.x, layer.rows, layer.inputs, layer.outputs, layer.bias.is_some());
                shape(first) == shape(layer) && first.activation == layer.activation
            });
            if !(free && own && plain && same) {
                break;
            }
            run.push(layer);
        }
        if run.len() > 1 { run } else { Vec::new() }
    }

    fn join(&mut self, layers: &[&Linear]) {
        if layers.len() > 1 {
            self.joints.push(layers.iter().map(|layer| layer.y).collect());
        }
    }

    /// Whether a joint begins with these.
    fn starts(&self, first: BufferId, second: BufferId) -> bool {
        self.joints.iter().any(|joint| joint.starts_with(&[first, second]))
    }
}

/// How often the nodes of a plan touch each buffer.
fn touches(plan: &Plan) -> Vec<usize> {
    let mut touches = vec![0; plan.buffers.len()];
    for op in plan.passes.iter().flat_map(|pass| &pass.nodes) {
        op.operator().buffers(&mut |id, _| touches[id.0 as usize] += 1);
    }
    touches
}

/// Whether a norm is better done by the layers that read it: each of their workgroups takes the measure of its rows anew, which is cheaper
/// than a dispatch where the layers are small.
fn norms_on_the_way(norm: &LayerNorm, layer: &Linear, layers: usize) -> bool {
    layer.x == norm.y
        && layer.y != norm.x
        && (layer.rows, layer.inputs) == (norm.rows, norm.dim)
        && !layer.residual
        && layer.gate.is_none()
        && norm.dim.is_multiple_of(4)
        && !tiles::is_wide(layer.rows, layers * layer.outputs)
}

/// Most bytes between two layers; with more, these are done some rows at a time. It is what WebGPU lets every kernel see of a buffer.
const MOST_BETWEEN: usize = 128 << 20;
/// Ranges of rows begin where WebGPU lets bindings begin.
const BEGIN: usize = 256;

/// How many rows of a layer and of the one that reads its output are done at a time, whole frames of their gate, if not all are.
fn rows_at_a_time(up: &Linear, down: &Linear) -> Option<usize> {
    let pair = down.x == up.y && down.y != up.x && (down.rows, down.inputs) == (up.rows, up.outputs);
    let frame = down.gate.map_or(64, |gate| gate.rows_per_frame);
    // Of numbers in half precision too.
    let begins = |columns: usize| (2 * frame * columns).is_multiple_of(BEGIN);
    let fits = pair && !up.residual && up.gate.is_none() && begins(up.inputs) && begins(down.outputs);
    let rows = (MOST_BETWEEN / (4 * up.outputs * frame).max(1)).max(1) * frame;
    (fits && rows < up.rows).then_some(rows)
}

fn alike(a: &RmsNormRope, b: &RmsNormRope) -> bool {
    let shape = |norm: &RmsNormRope| (norm.rows, norm.dim, norm.eps, norm.grid, norm.weight.is_some());
    shape(a) == shape(b) && a.dim.is_multiple_of(2)
}
