//! From the names that projects publish to the original Wan 2.1 names (spec 1.3).

use std::collections::BTreeMap;

use crate::import::ImportError;

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

/// The tensor by which the Wan network is known among others.
pub const WAN: &str = "patch_embedding.weight";
/// Tensors by which networks are known: Wan's, TAEHV's, the VAE's under either name, and the text encoder's.
pub const ANCHORS: [&str; 5] =
    [WAN, "decoder.1.weight", "decoder.conv1.weight", "decoder.conv_in.weight", "token_embedding.weight"];

/// Parts that are trained beside the generator and are not it.
const OTHERS: [&str; 6] = ["critic", "fake_score", "real_score", "discriminator", "teacher", "optimizer"];

/// Deepest prefix that is looked for, in parts of a name.
const DEEPEST: usize = 8;

/// Original names of a Wan checkpoint's tensors, with their indices; the network is the part that has the `anchors`.
///
/// # Errors
/// As [`find`].
pub fn original(names: &[&str], key: Option<&str>, anchors: &[&str]) -> Result<BTreeMap<String, usize>, ImportError> {
    find(names, key, anchors, from_diffusers)
}

/// Names of a checkpoint's tensors without wrappers and as `rename` makes them, with their indices. Empty names are left out. If none of
/// the `anchors` is among them, and the checkpoint has one behind a prefix, what is behind that prefix is taken.
///
/// # Errors
/// `Duplicate` if two come to the same name, `Network` for a key that is not there, or where several parts have an anchor.
pub fn find<'a>(
    names: &[&'a str],
    key: Option<&str>,
    anchors: &[&str],
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
    let has_anchor = |part: &[(usize, &str)]| {
        anchors.is_empty() || part.iter().any(|(_, name)| anchors.contains(&rename(&stripped(name)).as_str()))
    };
    if !has_anchor(&part) {
        let searched: Vec<(usize, &'a str)> =
            if key.is_none() { names.iter().copied().enumerate().collect() } else { part.clone() };
        let prefixes = prefixes(&searched, anchors, &rename);
        match prefixes.as_slice() {
            [] => {}
            [one] if key.is_none() && OTHERS.contains(&one.split('.').next().unwrap_or_default()) => {
                let what = format!("its only network is under the key `{one}`; give --key {one} to take that");
                return Err(ImportError::Network(what));
            }
            [one] => {
                let behind = |(at, name): &(usize, &'a str)| Some((*at, name.strip_prefix(*one)?.strip_prefix('.')?));
                part = searched.iter().filter_map(behind).collect();
            }
            several => {
                let keys: Vec<String> = several.iter().take(16).map(|key| format!("--key {key}")).collect();
                return Err(ImportError::Network(format!(
                    "it holds {} networks; give {}",
                    several.len(),
                    keys.join(" or ")
                )));
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

/// Keys under which there is a Wan network, those that are taken without being asked for first.
pub fn keys(names: &[(usize, &str)]) -> Vec<String> {
    let anchored = |name: &str| from_diffusers(&stripped(name)) == WAN;
    let top = names.iter().filter_map(|(_, name)| name.split_once('.')).filter(|(_, rest)| anchored(rest));
    let mut keys: Vec<String> = top.map(|(key, _)| key.to_owned()).collect();
    keys.sort();
    keys.dedup();
    let rank = |key: &String| WRAPPERS.iter().position(|wrapper| wrapper == key).unwrap_or(WRAPPERS.len());
    keys.sort_by_key(rank);
    keys
}

/// What stands before an anchor, without the dot between them; each once, sorted.
pub fn prefixes<'a>(names: &[(usize, &'a str)], anchors: &[&str], rename: impl Fn(&str) -> String) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for (_, name) in names {
        // The last part of an anchor is the last part of every name for it.
        let fits = |rest: &str| anchors.contains(&rename(&stripped(rest)).as_str());
        if !name.ends_with("weight") || fits(name) {
            continue;
        }
        let mut dots = name.match_indices('.').map(|(at, _)| at).take(DEEPEST);
        found.extend(dots.find(|&at| fits(&name[at + 1..])).map(|at| &name[..at]));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// A tensor's name without what wrappers add.
pub fn stripped(name: &str) -> String {
    let mut name = INFIXES.iter().fold(name.to_owned(), |name, infix| name.replace(infix, ""));
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest.to_owned();
    }
    name
}

/// How diffusers and FastVideo spell an original name, and that itself.
pub fn spellings(original: &str) -> Vec<String> {
    let back = |name: &str, table: &[(&str, &str)]| -> Vec<String> {
        let spell = |(theirs, ours): &(&str, &str)| name.strip_prefix(*ours).map(|rest| format!("{theirs}{rest}"));
        table.iter().filter_map(spell).collect()
    };
    let mut all = vec![original.to_owned()];
    match original.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
        Some((number, inner)) => {
            all.extend(back(inner, &INNER).into_iter().map(|inner| format!("blocks.{number}.{inner}")))
        }
        None => all.extend(back(original, &OUTER)),
    }
    all
}

/// `name` with the first prefix of `table` that fits replaced.
pub fn renamed(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| name.strip_prefix(from).map(|rest| format!("{to}{rest}")))
}

/// Names of diffusers and FastVideo outside of blocks, and the original ones.
const OUTER: [(&str, &str); 19] = [
    ("condition_embedder.time_embedder.linear_1.", "time_embedding.0."),
    ("condition_embedder.time_embedder.linear_2.", "time_embedding.2."),
    ("condition_embedder.text_embedder.linear_1.", "text_embedding.0."),
    ("condition_embedder.text_embedder.linear_2.", "text_embedding.2."),
    ("condition_embedder.time_proj.", "time_projection.1."),
    ("proj_out.", "head.head."),
    ("condition_embedder.image_embedder.norm1.", "img_emb.proj.0."),
    ("condition_embedder.image_embedder.ff.net.0.proj.", "img_emb.proj.1."),
    ("condition_embedder.image_embedder.ff.net.2.", "img_emb.proj.3."),
    ("condition_embedder.image_embedder.norm2.", "img_emb.proj.4."),
    ("condition_embedder.image_embedder.ff.fc_in.", "img_emb.proj.1."),
    ("condition_embedder.image_embedder.ff.fc_out.", "img_emb.proj.3."),
    ("condition_embedder.image_embedder.", "img_emb.proj."),
    ("patch_embedding.proj.", "patch_embedding."),
    ("condition_embedder.time_embedder.mlp.fc_in.", "time_embedding.0."),
    ("condition_embedder.time_embedder.mlp.fc_out.", "time_embedding.2."),
    ("condition_embedder.text_embedder.fc_in.", "text_embedding.0."),
    ("condition_embedder.text_embedder.fc_out.", "text_embedding.2."),
    ("condition_embedder.time_modulation.linear.", "time_projection.1."),
];
/// The same inside of blocks; the first that fits counts.
const INNER: [(&str, &str); 22] = [
    ("attn1.to_q.", "self_attn.q."),
    ("attn1.to_k.", "self_attn.k."),
    ("attn1.to_v.", "self_attn.v."),
    ("attn1.to_out.0.", "self_attn.o."),
    ("attn1.", "self_attn."),
    ("attn2.to_q.", "cross_attn.q."),
    ("attn2.to_k.", "cross_attn.k."),
    ("attn2.to_v.", "cross_attn.v."),
    ("attn2.to_out.0.", "cross_attn.o."),
    ("attn2.to_out.", "cross_attn.o."),
    ("attn2.", "cross_attn."),
    ("ffn.net.0.proj.", "ffn.0."),
    ("ffn.net.2.", "ffn.2."),
    // FastVideo's: self-attention lies in the block itself, and the norm after it belongs to the sum.
    ("to_q.", "self_attn.q."),
    ("to_k.", "self_attn.k."),
    ("to_v.", "self_attn.v."),
    ("to_out.", "self_attn.o."),
    ("norm_q.", "self_attn.norm_q."),
    ("norm_k.", "self_attn.norm_k."),
    ("self_attn_residual_norm.norm.", "norm3."),
    ("ffn.fc_in.", "ffn.0."),
    ("ffn.fc_out.", "ffn.2."),
];

/// Renames what diffusers and FastVideo call differently; other names stay as they are.
pub fn from_diffusers(name: &str) -> String {
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
            ("patch_embedding.proj.weight", "patch_embedding.weight"),
            ("condition_embedder.time_modulation.linear.bias", "time_projection.1.bias"),
            ("blocks.3.to_out.bias", "blocks.3.self_attn.o.bias"),
            ("blocks.3.attn2.to_out.bias", "blocks.3.cross_attn.o.bias"),
            ("blocks.3.norm_q.weight", "blocks.3.self_attn.norm_q.weight"),
            ("blocks.3.self_attn_residual_norm.norm.weight", "blocks.3.norm3.weight"),
            ("blocks.3.ffn.fc_out.weight", "blocks.3.ffn.2.weight"),
        ];
        for (name, expected) in table {
            assert_eq!(one(name), expected, "{name}");
        }
    }

    #[test]
    fn the_best_wrapper_wins_unless_a_key_is_named() {
        let names = ["critic.a", "generator.model.a", "generator_ema.model._fsdp_wrapped_module.a", "step"];
        assert_eq!(original(&names, None, &[]).unwrap(), BTreeMap::from([("a".to_owned(), 2)]));
        assert_eq!(original(&names, Some("generator"), &[]).unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
        let error = original(&names, Some("model"), &[]).unwrap_err().to_string();
        assert!(error.contains("critic, generator, generator_ema"), "{error}");
        let twice = original(&["model.a", "model._orig_mod.a"], None, &[]).unwrap_err();
        assert!(matches!(twice, ImportError::Duplicate { .. }), "{twice}");
    }

    #[test]
    fn a_prefix_of_any_name_is_taken_off_where_there_is_one_network() {
        let find =
            |names: &[&str], key| original(names, key, &ANCHORS).map(|found| found.into_keys().collect::<Vec<_>>());
        let one = ["step", "net.dit.patch_embedding.weight", "net.dit.blocks.0.attn1.to_q.bias", "head.bias"];
        assert_eq!(find(&one, None).unwrap(), ["blocks.0.self_attn.q.bias", "patch_embedding.weight"]);
        assert_eq!(find(&one, Some("net")).unwrap(), ["blocks.0.self_attn.q.bias", "patch_embedding.weight"]);
        // A wrapper that holds something else does not hide it.
        let beside = ["state_dict.step", "net.patch_embedding.proj.weight"];
        assert_eq!(find(&beside, None).unwrap(), ["patch_embedding.weight"]);
        let two = ["b.patch_embedding.weight", "a.x.patch_embedding.weight"];
        let error = find(&two, None).unwrap_err().to_string();
        assert!(error.contains("it holds 2 networks; give --key a.x or --key b"), "{error}");
        assert_eq!(find(&two, Some("a.x")).unwrap(), ["patch_embedding.weight"]);
        let error = find(&["critic.patch_embedding.weight"], None).unwrap_err().to_string();
        assert!(error.contains("give --key critic"), "{error}");
        // Behind a usual wrapper it is taken, whatever else there is.
        let all = ["model.diffusion_model.patch_embedding.weight", "first_stage_model.decoder.conv1.weight"];
        assert_eq!(find(&all, None).unwrap(), ["patch_embedding.weight"]);
    }
}
