//! From the names that projects publish to the original Wan 2.1 names (spec 1.3).

use std::collections::BTreeMap;

use super::ImportError;

/// Keys under which training scripts keep the generator, best first.
const WRAPPERS: [&str; 5] = ["generator_ema", "generator", "model", "state_dict", "root"];
/// What wrappers of modules leave in the middle of names.
const INFIXES: [&str; 4] = ["_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.", "module."];
/// What wrapping models put before names.
const PREFIXES: [&str; 5] = ["model.", "diffusion_model.", "transformer.", "base_model.", "dit."];

/// The part of the checkpoint to take: names below `key`, or below the first wrapper that is there; all if there is none.
fn part<'a>(names: &[&'a str], key: Option<&str>) -> Result<Vec<(usize, &'a str)>, ImportError> {
    let below = |key: &str| -> Vec<(usize, &'a str)> {
        let stripped = names.iter().enumerate().map(|(at, name)| (at, name.strip_prefix(key)));
        stripped.filter_map(|(at, name)| Some((at, name?.strip_prefix('.')?))).collect()
    };
    if let Some(key) = key {
        let found = below(key);
        if found.is_empty() {
            let mut keys: Vec<&str> = names.iter().filter_map(|name| Some(name.split_once('.')?.0)).collect();
            keys.dedup();
            keys.truncate(16);
            return Err(ImportError::Network(format!(
                "there is nothing under the key `{key}`; there are: {}",
                keys.join(", ")
            )));
        }
        return Ok(found);
    }
    let found = WRAPPERS.iter().map(|wrapper| below(wrapper)).find(|found| !found.is_empty());
    Ok(found.unwrap_or_else(|| names.iter().copied().enumerate().collect()))
}

/// Original names of a Wan checkpoint's tensors, with their indices.
///
/// # Errors
/// As [`find`].
pub fn original(names: &[&str], key: Option<&str>) -> Result<BTreeMap<String, usize>, ImportError> {
    find(names, key, from_diffusers)
}

/// Names of a checkpoint's tensors without wrappers and as `rename` makes them, with their indices. Empty names are left out.
///
/// # Errors
/// `Duplicate` if two come to the same name, `Network` for a key that is not there.
pub fn find(
    names: &[&str],
    key: Option<&str>,
    rename: impl Fn(&str) -> String,
) -> Result<BTreeMap<String, usize>, ImportError> {
    let mut part = part(names, key)?;
    // A wrapper within a wrapper: `state_dict.generator_ema.`
    if key.is_none() {
        for wrapper in WRAPPERS {
            let inner: Vec<_> = part
                .iter()
                .filter_map(|&(at, name)| Some((at, name.strip_prefix(wrapper)?.strip_prefix('.')?)))
                .collect();
            if !inner.is_empty() {
                part = inner;
                break;
            }
        }
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (at, name) in part.into_iter().filter(|(_, name)| !name.is_empty()) {
        let name = rename(&stripped(name));
        if let Some(&first) = found.get(&name) {
            let (first, second) = (names[first].to_owned(), names[at].to_owned());
            return Err(ImportError::Duplicate { name, first, second });
        }
        found.insert(name, at);
    }
    Ok(found)
}

/// A tensor's name without what wrappers add.
pub fn stripped(name: &str) -> String {
    let mut name = INFIXES.iter().fold(name.to_owned(), |name, infix| name.replace(infix, ""));
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest.to_owned();
    }
    name
}

/// `name` with the first prefix of `table` that fits replaced.
pub fn renamed(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| name.strip_prefix(from).map(|rest| format!("{to}{rest}")))
}

/// Renames what diffusers calls differently; other names stay as they are.
fn from_diffusers(name: &str) -> String {
    const OUTER: [(&str, &str); 7] = [
        ("condition_embedder.time_embedder.linear_1.", "time_embedding.0."),
        ("condition_embedder.time_embedder.linear_2.", "time_embedding.2."),
        ("condition_embedder.text_embedder.linear_1.", "text_embedding.0."),
        ("condition_embedder.text_embedder.linear_2.", "text_embedding.2."),
        ("condition_embedder.time_proj.", "time_projection.1."),
        ("proj_out.", "head.head."),
        ("condition_embedder.image_embedder.", "img_emb.proj."),
    ];
    const INNER: [(&str, &str); 12] = [
        ("attn1.to_q.", "self_attn.q."),
        ("attn1.to_k.", "self_attn.k."),
        ("attn1.to_v.", "self_attn.v."),
        ("attn1.to_out.0.", "self_attn.o."),
        ("attn1.", "self_attn."),
        ("attn2.to_q.", "cross_attn.q."),
        ("attn2.to_k.", "cross_attn.k."),
        ("attn2.to_v.", "cross_attn.v."),
        ("attn2.to_out.0.", "cross_attn.o."),
        ("attn2.", "cross_attn."),
        ("ffn.net.0.proj.", "ffn.0."),
        ("ffn.net.2.", "ffn.2."),
    ];
    if name == "scale_shift_table" {
        return "head.modulation".to_owned();
    }
    let block = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
    let Some((number, inner)) = block else {
        return renamed(name, &OUTER).unwrap_or_else(|| name.to_owned());
    };
    let inner = match inner {
        "scale_shift_table" => "modulation".to_owned(),
        // Diffusers numbers norms in the order of use; of all three only this one has weights (spec, trap 3).
        "norm2.weight" | "norm2.bias" => inner.replace("norm2", "norm3"),
        _ => renamed(inner, &INNER).unwrap_or_else(|| inner.to_owned()),
    };
    format!("blocks.{number}.{inner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> String {
        from_diffusers(&stripped(name))
    }

    #[test]
    fn every_wrapping_comes_to_the_original_name() {
        let table = [
            ("model.blocks.0.self_attn.q.weight", "blocks.0.self_attn.q.weight"),
            ("model._fsdp_wrapped_module.blocks.3._fsdp_wrapped_module.ffn.0.bias", "blocks.3.ffn.0.bias"),
            ("_orig_mod.module.head.head.weight", "head.head.weight"),
            ("model.diffusion_model.patch_embedding.bias", "patch_embedding.bias"),
            ("blocks.1.attn1.to_out.0.weight", "blocks.1.self_attn.o.weight"),
            ("blocks.1.attn2.norm_k.weight", "blocks.1.cross_attn.norm_k.weight"),
            ("blocks.11.norm2.bias", "blocks.11.norm3.bias"),
            ("blocks.2.scale_shift_table", "blocks.2.modulation"),
            ("scale_shift_table", "head.modulation"),
            ("condition_embedder.time_proj.weight", "time_projection.1.weight"),
            ("base_model.model.blocks.0.cross_attn.o.lora_A.weight", "blocks.0.cross_attn.o.lora_A.weight"),
        ];
        for (name, expected) in table {
            assert_eq!(one(name), expected, "{name}");
        }
    }

    #[test]
    fn the_best_wrapper_wins_unless_a_key_is_named() {
        let names = ["critic.a", "generator.model.a", "generator_ema.model._fsdp_wrapped_module.a", "step"];
        assert_eq!(original(&names, None).unwrap(), BTreeMap::from([("a".to_owned(), 2)]));
        assert_eq!(original(&names, Some("generator")).unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
        let error = original(&names, Some("model")).unwrap_err().to_string();
        assert!(error.contains("critic, generator, generator_ema"), "{error}");
        let twice = original(&["model.a", "model._orig_mod.a"], None).unwrap_err();
        assert!(matches!(twice, ImportError::Duplicate { .. }), "{twice}");
    }
}
