//! Takes the place of `rows.rs` in builds without feature `matrix-game`: there is no such value, and nothing is compiled for it.

use core::convert::Infallible;

use super::{acts::Acts, error::SessionError, fields::Fields};
use crate::config::DitConfig;

/// Nothing.
#[derive(Clone, Debug)]
pub(super) struct Rows(Infallible);

impl Rows {
    pub fn new(_: &DitConfig) -> Option<Self> {
        None
    }

    pub fn memory(&self) -> usize {
        match self.0 {}
    }

    pub fn tell(&mut self, _: &Acts, _: usize, _: bool) -> &[f32] {
        match self.0 {}
    }

    pub fn made(&mut self) {
        match self.0 {}
    }

    pub fn clear(&mut self) {
        match self.0 {}
    }

    pub fn below(&self, _: f32) -> bool {
        match self.0 {}
    }

    pub fn fields(&mut self, _: &mut dyn Fields) -> Result<(), SessionError> {
        match self.0 {}
    }

    pub fn saved(&mut self, _: &mut dyn Fields) -> Result<(), SessionError> {
        match self.0 {}
    }
}
