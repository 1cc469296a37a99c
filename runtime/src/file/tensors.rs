//! Which tensors a model file holds, and which of them may be quantised (`docs/model-file.md`).

use alloc::{string::String, vec::Vec};

use causeway_ops::quant::BLOCK;

use crate::{config::ModelConfig, model::Network};

/// Names and shapes of all tensors of a valid configuration, in the order they are written: its [`Network::tensors`].
pub fn expected_tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    config.tensors()
}

/// Whether the format lets a tensor be quantised: the matrices of transformer blocks, where rows are whole blocks of
/// 32.
///
/// They are nearly all of a model's bytes, in a text encoder together with its token embedding. The layers around them (embeddings, modulation, head) are small, and shape
/// every token of every step.
pub fn may_quantise(name: &str, shape: &[usize]) -> bool {
    let block = ["dit.blocks.", "clip.blocks."].iter().any(|blocks| name.starts_with(blocks));
    let matrix = block || (name.starts_with("umt5.") && !name.contains(".pos_embedding."));
    matrix && name.ends_with(".weight") && shape.len() == 2 && shape[1].is_multiple_of(BLOCK)
}
