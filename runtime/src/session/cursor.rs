//! Where in its programs a session is.

use causeway_ops::GROUPS;

use super::{
    error::SessionError,
    fields::{Fields, flag, one_of, size, small},
};
use crate::model::{ProgramId, Side};

/// A place: between programs, or a part of a node of a pass of a step of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The program; none between chunks.
    pub program: Option<ProgramId>,
    pub step: usize,
    /// The pass of the step has run, and what it made is on its way to the host.
    pub giving: bool,
    /// Denoise step of the chunk.
    pub level: usize,
    pub node: usize,
    pub part: usize,
    /// Visible history of the frames in flight, of each group of layers.
    pub history: [u32; GROUPS],
}

impl Cursor {
    pub const START: Self =
        Self { program: None, step: 0, giving: false, level: 0, node: 0, part: 0, history: [0; GROUPS] };

    /// The beginning of a program.
    pub fn at(program: ProgramId, history: [u32; GROUPS]) -> Self {
        Self { program: Some(program), history, ..Self::START }
    }

    /// To the beginning of a step.
    pub fn goto(&mut self, step: usize) {
        (self.step, self.giving, self.node, self.part) = (step, false, 0, 0);
    }

    /// Its fields, for a snapshot.
    pub fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        let mut name = self.program.map_or((0, 0), |program| match program {
            ProgramId::Condition(side) => (1, side as usize),
            ProgramId::Chunk(first) => (2, usize::from(first)),
            ProgramId::Given(first) => (3, usize::from(first)),
            ProgramId::Picture => (4, 0),
            ProgramId::Recache(index) => (5, index),
            ProgramId::Restore(index) => (6, index),
            ProgramId::Placed => (7, 0),
        });
        one_of(fields, &mut name.0, &[0, 1, 2, 3, 4, 5, 6, 7])?;
        size(fields, &mut name.1)?;
        self.program = match name {
            (0, _) => None,
            (1, side) => Some(ProgramId::Condition(if side == 0 { Side::Positive } else { Side::Negative })),
            (2, first) => Some(ProgramId::Chunk(first == 1)),
            (3, first) => Some(ProgramId::Given(first == 1)),
            (4, _) => Some(ProgramId::Picture),
            (5, index) => Some(ProgramId::Recache(index)),
            (6, index) => Some(ProgramId::Restore(index)),
            (_, _) => Some(ProgramId::Placed),
        };
        for number in [&mut self.step, &mut self.level, &mut self.node, &mut self.part] {
            size(fields, number)?;
        }
        flag(fields, &mut self.giving)?;
        self.history.iter_mut().try_for_each(|history| small(fields, history))
    }
}
