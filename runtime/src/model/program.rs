//! Programs: which passes of a plan a session runs one after the other, and for what.

use alloc::vec::Vec;

use causeway_ops::plan::PassId;

/// Which of a guided stream's two prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The prompt, or the events of a world.
    Positive,
    /// What guidance leads away from.
    Negative,
}

/// What a run of a pass is told of the noise in the latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The latents are clean, as the commit pass sees them.
    Clean,
    /// The level of the denoise step that the session is at.
    Step,
}

/// What comes after a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next step.
    Next,
    /// The program again from this step on, at the next noise level, until the last one is done.
    Again(usize),
    /// The host looks at what the pass made: a chunk that is not made of numbers is dropped; else the next step.
    Judge,
    /// The host is given what the pass made: a picture, or a latent frame.
    Give,
}

/// A pass in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The pass.
    pub pass: PassId,
    /// What it is told.
    pub level: Level,
    /// What comes after it.
    pub then: Then,
}

impl Step {
    /// Of clean latents, followed by the next one.
    pub fn plain(pass: PassId) -> Self {
        Self { pass, level: Level::Clean, then: Then::Next }
    }
}

/// Steps in order. Numbers that change from run to run (noise levels, history) come from the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Latent frames that it makes, takes or computes anew.
    pub frames: usize,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Steps, from the first on, in which it can be dropped without a trace.
    pub droppable: usize,
}

impl Program {
    /// Bytes held.
    fn bytes(&self) -> usize {
        self.steps.len() * size_of::<Step>()
    }
}

/// A program that computes frames of the window anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recaching {
    /// History that its passes see.
    pub history: usize,
    /// The program; its frames are those computed anew.
    pub program: Program,
}

/// All programs of a model: a closed set, which [`ProgramId`] names.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// What the stream is told, to cross-attention keys and values; the second is of the negative prompt.
    pub condition: Vec<Program>,
    /// Noise to a chunk: the stream's first, all others.
    pub chunk: [Program; 2],
    /// Latents that the host gives, committed: the stream's first, all others.
    pub given: [Program; 2],
    /// A picture, committed as the first of those given.
    pub picture: Option<Program>,
    /// A picture, committed as the newest frame, where all latent frames are as many pictures.
    pub placed: Option<Program>,
    /// What can be computed anew.
    pub recache: Vec<Recaching>,
    /// Latents of a saved game, committed, which the codec sees and the host does not: one frame, and a chunk.
    pub restore: Vec<Program>,
}

/// Names a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramId {
    /// [`Programs::condition`].
    Condition(Side),
    /// [`Programs::chunk`]; whether it is the stream's first.
    Chunk(bool),
    /// [`Programs::given`]; whether it is the stream's first.
    Given(bool),
    /// [`Programs::picture`].
    Picture,
    /// [`Programs::placed`].
    Placed,
    /// [`Programs::recache`].
    Recache(usize),
    /// [`Programs::restore`].
    Restore(usize),
}

impl Programs {
    /// The program of this name, where the model has it.
    pub fn get(&self, id: ProgramId) -> Option<&Program> {
        match id {
            ProgramId::Condition(side) => self.condition.get(side as usize),
            ProgramId::Chunk(first) => Some(&self.chunk[usize::from(!first)]),
            ProgramId::Given(first) => Some(&self.given[usize::from(!first)]),
            ProgramId::Picture => self.picture.as_ref(),
            ProgramId::Placed => self.placed.as_ref(),
            ProgramId::Recache(index) => self.recache.get(index).map(|recaching| &recaching.program),
            ProgramId::Restore(index) => self.restore.get(index),
        }
    }

    /// The program that computes so many frames anew behind so much history.
    pub fn recaching(&self, history: usize, frames: usize) -> Option<ProgramId> {
        let wanted = |recaching: &Recaching| recaching.history == history && recaching.program.frames == frames;
        self.recache.iter().position(wanted).map(ProgramId::Recache)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let lists = (self.condition.capacity() + self.restore.capacity()) * size_of::<Program>()
            + self.recache.capacity() * size_of::<Recaching>();
        let recache = self.recache.iter().map(|recaching| &recaching.program);
        let restore = &self.restore;
        let all = restore
            .iter()
            .chain(&self.condition)
            .chain(&self.chunk)
            .chain(&self.given)
            .chain(&self.picture)
            .chain(&self.placed)
            .chain(recache);
        lists + all.map(Program::bytes).sum::<usize>()
    }
}
