//! Which tensor of the network each tensor of a LoRA file updates, whatever its writer calls it.
//!
//! A name is a prefix, a module and an ending. Modules are spelt as the original project, diffusers or FastVideo spell them, with dots or,
//! as kohya's trainers do, with underscores; which underscores are dots only the network's own names tell.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use crate::import::ImportError;

/// What a tensor is to an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The factor A: [rank, inputs].
    Down,
    /// The factor B: [outputs, rank].
    Up,
    Alpha,
    Difference,
}

/// Endings of factors, with and without the name of an adapter between their two parts.
const FACTORS: [(&str, Part); 8] = [
    (".lora_A", Part::Down),
    (".lora_down", Part::Down),
    (".lora.down", Part::Down),
    ("_lora.down", Part::Down),
    (".lora_B", Part::Up),
    (".lora_up", Part::Up),
    (".lora.up", Part::Up),
    ("_lora.up", Part::Up),
];
/// Endings of differences, and which tensor of the module they are of.
const DIFFERENCES: [(&str, &str); 3] = [(".diff", ".weight"), (".diff_b", ".bias"), (".diff_m", ".modulation")];

impl Part {
    /// The module of a name and the tensor's ending; `None` where this is no part of an update.
    pub fn split(name: &str) -> Option<(&str, (Self, &'static str))> {
        if let Some(module) = name.strip_suffix(".alpha") {
            return Some((module, (Self::Alpha, ".weight")));
        }
        if let Some((module, tensor)) = DIFFERENCES.iter().find_map(|(end, of)| Some((name.strip_suffix(end)?, *of))) {
            return Some((module, (Self::Difference, tensor)));
        }
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        let named = stem.rsplit_once('.').map(|(before, _)| before);
        FACTORS.iter().find_map(|(end, part)| {
            let module = stem.strip_suffix(end).or_else(|| named?.strip_suffix(end))?;
            Some((module, (*part, ".weight")))
        })
    }
}

/// The parts of all updates of a file.
pub struct Modules {
    /// Index of each part by the tensor that it updates.
    pub parts: BTreeMap<String, BTreeMap<Part, usize>>,
    /// Names that update nothing of the network.
    pub unknown: Vec<String>,
}

impl Modules {
    /// Finds the parts among the tensors' names, below `key` or `generator_lora` if there is one.
    ///
    /// # Errors
    /// `Lora` for parts that come to one, and for several prefixes; `Network` for a key that is not there.
    pub fn find(all: &[&str], key: Option<&str>, shapes: &BTreeMap<String, Vec<usize>>) -> Result<Self, ImportError> {
        const KEY: &str = "generator_lora";
        let standard = all.iter().any(|name| name.starts_with("generator_lora.")).then_some(KEY);
        let found = names::find(all, key.or(standard), &[], str::to_owned)?;
        let spelt = underscored(shapes);
        let (mut parts, mut unknown): (BTreeMap<String, BTreeMap<Part, usize>>, _) = (BTreeMap::new(), Vec::new());
        let mut prefixes: BTreeSet<&str> = BTreeSet::new();
        for (name, &index) in &found {
            let Some((module, (part, tensor))) = Part::split(name) else {
                unknown.push(name.clone());
                continue;
            };
            // Old diffusers put the adapters of attention behind a name of their own.
            let module = module.replace(".processor.", ".");
            match target(&module, tensor, shapes, &spelt) {
                Some((target, prefix)) => {
                    if let Some(prefix) = name.get(..prefix) {
                        prefixes.insert(prefix);
                    }
                    let index = parts.entry(target.clone()).or_default().insert(part, index);
                    if let Some(other) = index {
                        let what =
                            format!("{} and {name} both update {target}; choose one part with a key", all[other]);
                        return Err(ImportError::Lora(what));
                    }
                }
                None => unknown.push(name.clone()),
            }
        }
        if prefixes.len() > 1 {
            let list: Vec<String> = prefixes.iter().take(8).map(|prefix| format!("`{prefix}`")).collect();
            return Err(ImportError::Lora(format!(
                "its names begin in several ways, {}; choose one with a key",
                list.join(", ")
            )));
        }
        Ok(Self { parts, unknown })
    }
}

/// The tensor that a module's update is of, and the length of the prefix before the module.
fn target(
    module: &str,
    tensor: &str,
    shapes: &BTreeMap<String, Vec<usize>>,
    spelt: &BTreeMap<String, String>,
) -> Option<(String, usize)> {
    let known = |module: &str| {
        let name = names::from_diffusers(&format!("{module}{tensor}"));
        // A table of modulation has no name of its own in the module.
        let name = if tensor == ".modulation" { format!("{module}{tensor}") } else { name };
        shapes.contains_key(&name).then_some(name)
    };
    let starts = std::iter::once(0).chain(module.match_indices('.').map(|(at, _)| at + 1));
    if let Some(found) = starts.take(8).find_map(|at| Some((known(&module[at..])?, at))) {
        return Some(found);
    }
    let last = module.rsplit('.').next().unwrap_or_default();
    let before = module.len() - last.len();
    let starts = std::iter::once(0).chain(last.match_indices('_').map(|(at, _)| at + 1));
    starts.take(8).find_map(|at| {
        let name = format!("{}{tensor}", spelt.get(&last[at..])?);
        shapes.contains_key(&name).then_some((name, before + at))
    })
}

/// The network's modules by their names with underscores for dots, in every spelling.
fn underscored(shapes: &BTreeMap<String, Vec<usize>>) -> BTreeMap<String, String> {
    let mut spelt = BTreeMap::new();
    for name in shapes.keys() {
        let Some((module, tensor)) = name.rsplit_once('.') else { continue };
        for spelling in names::spellings(name) {
            if let Some(spelling) = spelling.strip_suffix(tensor).and_then(|spelling| spelling.strip_suffix('.')) {
                spelt.insert(spelling.replace('.', "_"), module.to_owned());
            }
        }
    }
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writers_names_come_to_the_networks() {
        let network = [
            "blocks.0.self_attn.q.weight",
            "blocks.10.self_attn.q.weight",
            "blocks.0.self_attn.q.bias",
            "blocks.0.self_attn.norm_q.weight",
            "blocks.0.ffn.0.weight",
            "blocks.0.norm3.bias",
            "blocks.0.modulation",
            "head.head.weight",
            "patch_embedding.weight",
        ];
        let shapes = network.iter().map(|name| ((*name).to_owned(), vec![1])).collect();
        let table = [
            ("diffusion_model.blocks.0.self_attn.q.lora_down.weight", network[0], Part::Down),
            ("lora_unet_blocks_0_self_attn_q.lora_up.weight", network[0], Part::Up),
            ("lora_unet_blocks_10_self_attn_q.alpha", network[1], Part::Alpha),
            ("lora_unet_blocks_0_attn1_to_q.lora_down.weight", network[0], Part::Down),
            ("lora_wan_blocks_0_ffn_0.lora_down.weight", network[4], Part::Down),
            ("lora_unet_blocks_0_ffn_net_0_proj.lora_down.weight", network[4], Part::Down),
            ("base_model.model.blocks.0.attn1.to_q.lora_A.my-adapter.weight", network[0], Part::Down),
            ("blocks.0.to_q.lora_B", network[0], Part::Up),
            ("pipe.net.blocks.0.self_attn.q.lora_B.default.weight", network[0], Part::Up),
            ("unet.blocks.0.attn1.processor.to_q_lora.down.weight", network[0], Part::Down),
            ("blocks.0.attn1.to_q.lora.up.weight", network[0], Part::Up),
            ("diffusion_model.blocks.0.self_attn.q.diff_b", network[2], Part::Difference),
            ("diffusion_model.blocks.0.self_attn.norm_q.diff", network[3], Part::Difference),
            ("diffusion_model.blocks.0.norm3.diff_b", network[5], Part::Difference),
            ("diffusion_model.blocks.0.diff_m", network[6], Part::Difference),
            ("diffusion_model.head.head.diff", network[7], Part::Difference),
            ("lora_unet_patch_embedding.lora_down.weight", network[8], Part::Down),
        ];
        for (name, expected, part) in table {
            let found = Modules::find(&[name], None, &shapes).unwrap();
            let expected = BTreeMap::from([(expected.to_owned(), BTreeMap::from([(part, 0)]))]);
            assert_eq!((found.parts, found.unknown), (expected, vec![]), "{name}");
        }
        for name in
            ["lora_unet_blocks_1_self_attn_q.lora_up.weight", "blocks.0.self_attn.q.weight", "te.q.lora_A.weight"]
        {
            assert_eq!(Modules::find(&[name], None, &shapes).unwrap().unknown.len(), 1, "{name}");
        }
        let both = ["transformer_2.blocks.0.attn1.to_q.lora_A.weight", "transformer.blocks.0.attn1.to_q.lora_B.weight"];
        let error = Modules::find(&both, None, &shapes).err().unwrap().to_string();
        assert!(error.contains("begin in several ways"), "{error}");
    }
}
