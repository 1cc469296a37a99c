//! The Wan 2.1 VAE under its original names and those of diffusers (spec 3.1).

use std::collections::BTreeMap;

use super::found::{Found, Source};
use super::names::renamed;
use crate::config::{DecoderNetwork, VaeConfig};
use crate::import::ImportError;

/// Original names for those of diffusers; others stay as they are.
pub(super) fn original(names: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let is_block = |name: &&String| name.starts_with("decoder.up_blocks.0.resnets.") && name.ends_with("norm1.gamma");
    let blocks = names.keys().filter(is_block).count();
    names.into_iter().map(|(name, index)| (one(&name, blocks), index)).collect()
}

/// The original name of a tensor of a decoder with `blocks` residual blocks a level.
fn one(name: &str, blocks: usize) -> String {
    const OUTER: [(&str, &str); 7] = [
        ("conv_in.", "conv1."),
        ("norm_out.", "head.0."),
        ("conv_out.", "head.2."),
        ("mid_block.resnets.0.", "middle.0."),
        ("mid_block.resnets.1.", "middle.2."),
        ("mid_block.attentions.0.", "middle.1."),
        ("down_blocks.", "downsamples."),
    ];
    const INNER: [(&str, &str); 5] = [
        (".norm1.", ".residual.0."),
        (".conv1.", ".residual.2."),
        (".norm2.", ".residual.3."),
        (".conv2.", ".residual.6."),
        (".conv_shortcut.", ".shortcut."),
    ];
    if let Some(outer) = renamed(name, &[("post_quant_conv.", "conv2."), ("quant_conv.", "conv1.")]) {
        return outer;
    }
    let Some((side, rest)) = name.split_once('.').filter(|(side, _)| ["encoder", "decoder"].contains(side)) else {
        return name.to_owned();
    };
    let in_block = ["mid_block.resnets", "down_blocks", "up_blocks"].iter().any(|block| rest.starts_with(block));
    let mut rest = rest.to_owned();
    if in_block {
        rest = INNER.iter().fold(rest, |rest, (from, to)| rest.replace(from, to));
    }
    rest = renamed(&rest, &OUTER).unwrap_or(rest);
    if let Some(up) = rest.strip_prefix("up_blocks.") {
        let parts: Vec<&str> = up.splitn(4, '.').collect();
        if let [level, kind, index, inner] = parts[..]
            && let (Ok(level), Ok(index)) = (level.parse::<usize>(), index.parse::<usize>())
        {
            // A level is its blocks, then what enlarges.
            let index = if kind == "resnets" { index } else { blocks };
            rest = format!("upsamples.{}.{inner}", level.saturating_mul(blocks + 1).saturating_add(index));
        }
    }
    format!("{side}.{rest}")
}

/// The network that the shapes tell, if these are the names of one. Files of the decoder alone exist.
pub(super) fn infer(found: &Found<'_>) -> Result<Option<DecoderNetwork>, ImportError> {
    let Some(&[_, channels, _, _, _]) = found.shape("decoder.conv1.weight") else { return Ok(None) };
    let decode_only = found.shape("encoder.conv1.weight").is_none();
    let side = if decode_only { "decoder.upsamples" } else { "encoder.downsamples" };
    // From the first level on: its blocks, then what changes the size.
    let (mut widths, mut time_down, mut blocks) = (Vec::new(), Vec::new(), 0);
    let mut width = 0;
    for index in 0.. {
        let name = format!("{side}.{index}");
        if let Ok(rows) = found.rows(&format!("{name}.residual.6.weight")) {
            width = rows;
            blocks += usize::from(widths.is_empty());
        } else if found.shape(&format!("{name}.resample.1.weight")).is_some() {
            widths.push(width);
            time_down.push(found.shape(&format!("{name}.time_conv.weight")).is_some());
        } else {
            widths.push(width);
            break;
        }
    }
    if decode_only {
        // The decoder begins next to the latents, and its levels have a block more.
        widths.reverse();
        time_down.reverse();
        blocks = blocks.saturating_sub(1);
    }
    if blocks == 0 {
        return Err(ImportError::Decoder(format!("missing: {side}.0.residual.6.weight")));
    }
    let (latent_mean, latent_std) = latent_statistics(channels);
    Ok(Some(DecoderNetwork::Vae(VaeConfig {
        channels,
        widths,
        blocks,
        time_down,
        latent_mean,
        latent_std,
        decode_only,
    })))
}

/// Where the tensor `name` of ours comes from: queries, keys and values are rows of one tensor, so are the two frames that an enlargement
/// of time makes; of the encoder's last rows only the mean's are kept.
pub(super) fn source(name: &str, shape: &[usize]) -> Source {
    let name = name.trim_start_matches("vae.");
    let parts = [
        (".to_q.", ".to_qkv.", 0),
        (".to_k.", ".to_qkv.", 1),
        (".to_v.", ".to_qkv.", 2),
        (".time_conv.0.", ".time_conv.", 0),
        (".time_conv.1.", ".time_conv.", 1),
    ];
    let part = parts.into_iter().find(|(ours, ..)| name.contains(ours));
    let (name, part) =
        part.map_or_else(|| (name.to_owned(), 0), |(ours, theirs, part)| (name.replace(ours, theirs), part));
    Source { name, rows: part * shape[0]..(part + 1) * shape[0] }
}

/// [outputs, inputs, 3, height, width] as [outputs, 3 * inputs, height, width]: the newest frame first, then the others from the oldest on.
pub(super) fn flatten_time(values: &[f32], inputs: usize, area: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for output in values.chunks_exact(inputs * 3 * area) {
        for frame in [2, 0, 1] {
            let taps = output.chunks_exact(area).skip(frame).step_by(3);
            out.extend(taps.flatten());
        }
    }
    out
}

/// Mean and standard deviation of the Wan 2.1 VAE's latents (spec 3.1); other latents are taken as they are.
pub(super) fn latent_statistics(channels: usize) -> (Vec<f32>, Vec<f32>) {
    const MEAN: [f32; 16] = [
        -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
        -0.9497, 0.2503, -0.2921,
    ];
    const STD: [f32; 16] = [
        2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
        2.8251, 1.9160,
    ];
    if channels == MEAN.len() { (MEAN.to_vec(), STD.to_vec()) } else { (vec![0.0; channels], vec![1.0; channels]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_diffusers_come_to_the_original_ones() {
        let table = [
            ("decoder.conv_in.weight", "decoder.conv1.weight"),
            ("encoder.norm_out.gamma", "encoder.head.0.gamma"),
            ("quant_conv.bias", "conv1.bias"),
            ("post_quant_conv.weight", "conv2.weight"),
            ("decoder.mid_block.resnets.1.conv2.bias", "decoder.middle.2.residual.6.bias"),
            ("decoder.mid_block.attentions.0.to_qkv.weight", "decoder.middle.1.to_qkv.weight"),
            ("encoder.down_blocks.5.time_conv.weight", "encoder.downsamples.5.time_conv.weight"),
            ("encoder.down_blocks.3.conv_shortcut.weight", "encoder.downsamples.3.shortcut.weight"),
            ("decoder.up_blocks.1.resnets.2.norm2.gamma", "decoder.upsamples.6.residual.3.gamma"),
            ("decoder.up_blocks.2.upsamplers.0.resample.1.bias", "decoder.upsamples.11.resample.1.bias"),
            ("decoder.upsamples.11.resample.1.bias", "decoder.upsamples.11.resample.1.bias"),
            ("encoder.conv1.weight", "encoder.conv1.weight"),
            ("conv1.weight", "conv1.weight"),
        ];
        for (name, expected) in table {
            assert_eq!(one(name, 3), expected, "{name}");
        }
    }
}
