//! Takes the place of `game.rs` in builds without feature `matrix-game`: there is no such value, and nothing is compiled for it.

use core::{convert::Infallible, marker::PhantomData};

use causeway_ops::{BufferId, PlanBuilder};

use super::{inputs::GameInputs, ring::Group};
use crate::config::DitConfig;

/// Nothing.
#[derive(Clone)]
pub(super) struct Game<'a> {
    pub inputs: GameInputs,
    never: Infallible,
    _dit: PhantomData<&'a DitConfig>,
}

impl<'a> Game<'a> {
    pub fn new(_: &mut PlanBuilder, _: &'a DitConfig, _: &Group, _: usize) -> Option<Self> {
        None
    }

    pub fn acts(&self, _: usize) -> bool {
        match self.never {}
    }

    pub fn patches(&self, _: &mut PlanBuilder, _: BufferId, _: usize, _: usize) -> (BufferId, usize) {
        match self.never {}
    }

    pub fn context(&self, _: &mut PlanBuilder, _: BufferId, _: usize) -> BufferId {
        match self.never {}
    }

    pub fn act(&self, _: &mut PlanBuilder, _: &[Group], _: usize, _: BufferId, _: usize, _: bool) {
        match self.never {}
    }
}
