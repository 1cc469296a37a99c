//! Prompts on their way through an encoder.

use alloc::{vec, vec::Vec};

use causeway_ops::{BackendError, quant::WeightSource, stored::ReadError};

use super::EncodeError;
use crate::{
    config::Umt5Sizes,
    file::Umt5File,
    model::{Umt5Passes, Umt5Plan},
};

const EMBEDDING: &str = "umt5.token_embedding.weight";
const SHARED_BIAS: &str = "umt5.pos_embedding.embedding.weight";
const OWN_BIAS: &str = "layer.pos_embedding.embedding.weight";

/// A prompt.
pub(super) struct Prompt {
    pub passes: Umt5Passes,
    /// The residual stream, as large as the plan's buffer.
    pub x: Vec<f32>,
}

/// All prompts of one encoding.
pub(super) struct Prompts {
    pub plan: Umt5Plan,
    pub list: Vec<Prompt>,
}

impl Prompts {
    /// Looks the tokens up; nothing is done before all are checked.
    pub fn new(file: &Umt5File<'_>, prompts: &[Vec<u32>]) -> Result<Self, EncodeError> {
        let sizes = &file.config().encoder;
        check(prompts, sizes)?;
        let plan = Self::plan(sizes, prompts)?;
        let unread = |error| BackendError::unread(EMBEDDING, error);
        let list = prompts.iter().filter_map(|tokens| look_up(file, &plan, tokens).map_err(unread).transpose());
        let list = list.collect::<Result<_, _>>()?;
        Ok(Self { plan, list })
    }

    /// The plan of a layer for these prompts.
    fn plan(sizes: &Umt5Sizes, prompts: &[Vec<u32>]) -> Result<Umt5Plan, EncodeError> {
        let mut lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Ok(Umt5Plan::new(sizes, &lengths)?)
    }

    /// Bytes that so many prompts take here, with the plan's bias; a backend keeps its own copy of the plan.
    pub fn bytes(plan: &Umt5Plan, prompts: usize) -> usize {
        let [x, bias] = [plan.x, plan.bias].map(|id| 4 * plan.plan.buffer(id).len);
        prompts * x + bias + 2 * plan.plan.bytes()
    }

    /// A layer's biases for prompts of `rows` tokens.
    pub fn bias(&self, file: &Umt5File<'_>, layer: usize, rows: usize) -> Result<Vec<f32>, BackendError> {
        let sizes = &file.config().encoder;
        let name = Umt5Plan::in_file(if sizes.shared_bias { SHARED_BIAS } else { OWN_BIAS }, layer);
        let table = match file.tensor(&name) {
            Some(view) => view.to_f32().map_err(|error| BackendError::unread(&name, error))?,
            None => Vec::new(),
        };
        Ok(self.plan.bias(sizes, &table, rows))
    }
}

fn look_up(file: &Umt5File<'_>, plan: &Umt5Plan, tokens: &[u32]) -> Result<Option<Prompt>, ReadError> {
    let passes = plan.passes.iter().find(|passes| passes.rows == tokens.len());
    let (Some(&passes), Some(table)) = (passes, file.tensor(EMBEDDING)) else { return Ok(None) };
    let mut x = vec![0.0; plan.plan.buffer(plan.x).len];
    for (row, &token) in x.chunks_exact_mut(table.cols()).zip(tokens) {
        table.row(token as usize, row)?;
    }
    Ok(Some(Prompt { passes, x }))
}

fn check(prompts: &[Vec<u32>], sizes: &Umt5Sizes) -> Result<(), EncodeError> {
    if prompts.is_empty() {
        return Err(EncodeError::NoPrompts);
    }
    for (prompt, tokens) in prompts.iter().enumerate() {
        let known = sizes.vocabulary;
        if let Some(at) = tokens.iter().position(|&token| token as usize >= known) {
            return Err(EncodeError::Token { prompt, at, found: tokens[at], known });
        }
    }
    Ok(())
}
