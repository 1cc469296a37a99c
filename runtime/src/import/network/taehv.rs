//! TAEHV under its published names, `decoder.{i}` (spec 3.2).

use super::found::{Found, Source};
use crate::config::{CodecConfig, CodecKind, DecoderNetwork};
use crate::import::ImportError;

/// The network that the shapes tell, if these are the names of one. Time and space factors are those of every published one.
pub(super) fn infer(found: &Found<'_>) -> Result<Option<DecoderNetwork>, ImportError> {
    let Some(&[first, channels, 3, 3]) = found.shape("decoder.1.weight") else { return Ok(None) };
    let has_block = |index: usize| found.shape(&format!("decoder.{index}.conv.0.weight")).is_some();
    let blocks = (3..).take_while(|&index| has_block(index)).count();
    if blocks == 0 {
        return Ok(None);
    }
    let mut widths = [first; 4];
    for (stage, width) in widths[1..].iter_mut().enumerate() {
        *width = found.rows(&format!("decoder.{}.weight", 3 + stage * (blocks + 3) + blocks + 2))?;
    }
    let last = format!("decoder.{}.weight", 3 + 3 * (blocks + 3) + 1);
    let colours = found.rows(&last)?;
    let Some(patch) = (1..=16).find(|patch| 3 * patch * patch == colours) else {
        return Err(ImportError::Decoder(format!("misshapen: {last} has {colours} rows, no pixels of 3 colours")));
    };
    // That of pictures alone, and of other latents than Wan's, is read both ways: worlds start from pictures.
    let encoder = found.shape("encoder.0.weight").filter(|_| patch == 2).and_then(|shape| shape.first().copied());
    Ok(Some(DecoderNetwork::Taehv(CodecConfig {
        kind: CodecKind::Taehv,
        channels,
        patch,
        widths,
        blocks,
        space_up: [true; 3],
        time_up: [1, 2, 2],
        encoder: encoder.unwrap_or(0),
        // What its players do with it (spec 3.2).
        warmup: if patch == 2 { 3 } else { 0 },
    })))
}

/// Where the tensor `name` of ours comes from. A TGrow may be larger than needed: its last rows count.
pub(super) fn source(codec: &CodecConfig, name: &str, shape: &[usize], found: &Found<'_>) -> Source {
    let published = name.trim_start_matches("taehv.");
    let grown = |stage: usize| 3 + stage * (codec.blocks + 3) + codec.blocks + 1;
    for (stage, &frames) in codec.time_up.iter().enumerate() {
        let Some(rest) = published.strip_prefix(&format!("decoder.{}.conv.", grown(stage))) else { continue };
        let frame = rest.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let name = format!("decoder.{}.conv.weight", grown(stage));
        let surplus = found.rows(&name).map_or(0, |rows| rows.saturating_sub(frames * shape[0]));
        let start = surplus + frame * shape[0];
        return Source { name, rows: start..start + shape[0] };
    }
    Source { name: published.to_owned(), rows: 0..shape[0] }
}
