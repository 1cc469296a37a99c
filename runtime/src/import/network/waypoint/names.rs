//! Names and sizes of Waypoint's published tensors, in the spellings that there are.

use std::collections::BTreeMap;

use super::release::Release;
use crate::import::Entry;

/// Features of a head in the published networks.
const HEAD_DIM: usize = 64;
/// A tensor by which the network is known.
const ANCHOR: &str = "ctrl_emb.mlp.fc1.weight";
const BLOCKS: &str = "transformer.blocks.";

/// The name of a tensor of layer n.
pub fn block(n: usize, part: &str) -> String {
    format!("{BLOCKS}{n}.{part}")
}

/// The layer and the part that a tensor of ours belongs to.
pub fn blocks(name: &str) -> Option<(usize, &str)> {
    let (n, part) = name.strip_prefix("dit.blocks.")?.split_once('.')?;
    Some((n.parse().ok()?, part))
}

/// Indices of tensors by their published names, whatever stands before these and however newer exports spell them; `None` where the
/// network is not there.
pub fn canonical(names: &[&str]) -> Option<BTreeMap<String, usize>> {
    let prefix = names.iter().find_map(|name| name.strip_suffix(ANCHOR))?;
    let mut found = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        let Some(name) = name.strip_prefix(prefix) else { continue };
        // A second copy of the same matrices.
        if name.contains(".cond_heads.") {
            continue;
        }
        for name in spelt(name) {
            found.insert(name, at);
        }
    }
    found.contains_key(&block(0, "attn.q_proj.weight")).then_some(found)
}

/// The published names of a tensor: two of what newer exports store once.
fn spelt(name: &str) -> Vec<String> {
    let as_it_is = || vec![name.to_owned()];
    let Some((n, part)) = name.strip_prefix(BLOCKS).and_then(|rest| rest.split_once('.')) else { return as_it_is() };
    let of = |part: &str| format!("{BLOCKS}{n}.{part}");
    if part == "cond_head.bias_in" {
        return vec![of("attn_cond_head.bias_in"), of("mlp_cond_head.bias_in")];
    }
    if let Some((vector, rest)) = part.strip_prefix("cond_head.cond_proj.").and_then(|rest| rest.split_once('.'))
        && let Ok(vector @ 0..6) = vector.parse::<usize>()
    {
        let half = if vector < 3 { "attn" } else { "mlp" };
        return vec![of(&format!("{half}_cond_head.cond_proj.{}.{rest}", vector % 3))];
    }
    if let Some(rest) = part.strip_prefix("ctrl_mlpfusion.mlp.") {
        return vec![of(&format!("ctrl_mlpfusion.{rest}"))];
    }
    if let Some(rest) = part.strip_prefix("mlp.") {
        return vec![of(&format!("dit_mlp.{rest}"))];
    }
    as_it_is()
}

/// What shapes and the file outside tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    pub dim: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub layers: usize,
    pub ffn_dim: usize,
    /// Numbers of a noise level's embedding, and what the first of its matrices makes of them.
    pub freq_dim: usize,
    pub freq_hidden: usize,
    pub channels: usize,
    /// Side of a patch.
    pub patch: usize,
    /// Numbers that a latent frame is told.
    pub entries: usize,
    /// Every so many layers, from the first on, one is told them.
    pub control_every: usize,
    /// Whether both matrices of what they become lie side by side in one.
    pub fused: bool,
    /// Whether the last layer is stored as a transposed convolution with a bias for each channel.
    pub convolved: bool,
}

impl Sizes {
    /// Of the published networks.
    pub const PUBLISHED: Self = Self {
        dim: 2048,
        heads: 32,
        kv_heads: 16,
        layers: 24,
        ffn_dim: 8192,
        freq_dim: 512,
        freq_hidden: 8192,
        channels: 32,
        patch: 2,
        entries: 259,
        control_every: 3,
        fused: false,
        convolved: true,
    };

    /// Reads them off the tensors found.
    ///
    /// # Errors
    /// What is missing, misshapen or contradicts `config.yaml`.
    pub fn infer<'a>(entry: &dyn Fn(&str) -> Option<&'a Entry>, release: &Release) -> Result<Self, String> {
        let shape = |name: &str| entry(name).map(|entry| entry.shape.clone()).ok_or_else(|| format!("missing: {name}"));
        let matrix = |name: &str| match shape(name)?.as_slice() {
            &[outputs, inputs] if outputs > 0 && inputs > 0 => Ok([outputs, inputs]),
            other => Err(format!("misshapen: {name} is {other:?}")),
        };
        let (dim, channels, patch) = match shape("patchify.weight")?.as_slice() {
            &[dim, channels, high, wide] if dim * channels > 0 && high == wide && (1..=16).contains(&high) => {
                (dim, channels, high)
            }
            other => return Err(format!("misshapen: patchify.weight is {other:?}")),
        };
        let layers = (0..).take_while(|&n| entry(&block(n, "attn.q_proj.weight")).is_some()).count();
        let heads = release.heads.unwrap_or(dim / HEAD_DIM);
        if heads == 0 || !dim.is_multiple_of(heads) {
            return Err(format!("{heads} heads in a width of {dim}"));
        }
        let [kv, _] = matrix(&block(0, "attn.k_proj.weight"))?;
        let kv_heads = kv / (dim / heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) || kv != kv_heads * dim / heads {
            return Err(format!("{heads} heads of {}, but keys of {kv} features", dim / heads));
        }
        if let Some(told) = release.kv_heads.filter(|&told| told != kv_heads) {
            return Err(format!("{kv_heads} heads of keys, config.yaml says {told}"));
        }
        let [ffn_dim, _] = matrix(&block(0, "dit_mlp.fc1.weight"))?;
        let [freq_hidden, freq_dim] = matrix("denoise_step_emb.mlp.fc1.weight")?;
        let [control, entries] = matrix(ANCHOR)?;
        if control != ffn_dim {
            return Err(format!("controls become {control} features, those of a layer {ffn_dim}"));
        }
        let told = |n: &usize| entry(&block(*n, "ctrl_mlpfusion.fc2.weight")).is_some();
        let with: Vec<usize> = (0..layers).filter(told).collect();
        let control_every = with.get(1).copied().unwrap_or(layers).max(1);
        if !with.iter().copied().eq((0..layers).step_by(control_every)) {
            return Err(format!(
                "layers {with:?} are told the controls, expected the first and every so many after it"
            ));
        }
        Ok(Self {
            dim,
            heads,
            kv_heads,
            layers,
            ffn_dim,
            freq_dim,
            freq_hidden,
            channels,
            patch,
            entries,
            control_every,
            fused: entry(&block(0, "ctrl_mlpfusion.fc1.weight")).is_some(),
            convolved: shape("unpatchify.weight")?.len() == 4,
        })
    }

    /// Names and shapes of all published tensors.
    pub fn published(&self) -> Vec<(String, Vec<usize>)> {
        let &Self { dim, heads, kv_heads, layers, ffn_dim, freq_dim, freq_hidden, channels, patch, entries, .. } = self;
        let kv = dim / heads * kv_heads;
        let (outputs, convolution) = (channels * patch * patch, vec![dim, channels, patch, patch]);
        let unpatchify = if self.convolved { convolution.clone() } else { vec![outputs, dim] };
        let mut all = vec![
            ("patchify.weight".to_owned(), convolution),
            ("denoise_step_emb.mlp.fc1.weight".to_owned(), vec![freq_hidden, freq_dim]),
            ("denoise_step_emb.mlp.fc2.weight".to_owned(), vec![dim, freq_hidden]),
            (ANCHOR.to_owned(), vec![ffn_dim, entries]),
            ("ctrl_emb.mlp.fc2.weight".to_owned(), vec![dim, ffn_dim]),
            ("ctrl_cfg.null_emb".to_owned(), vec![1, 1, dim]),
            ("out_norm.fc.weight".to_owned(), vec![2 * dim, dim]),
            ("unpatchify.weight".to_owned(), unpatchify),
            ("unpatchify.bias".to_owned(), vec![if self.convolved { channels } else { outputs }]),
        ];
        for n in 0..layers {
            let mut add = |part: &str, shape: &[usize]| all.push((block(n, part), shape.to_vec()));
            add("attn.q_proj.weight", &[dim, dim]);
            add("attn.k_proj.weight", &[kv, dim]);
            add("attn.v_proj.weight", &[kv, dim]);
            add("attn.out_proj.weight", &[dim, dim]);
            add("attn.v_lamb", &[]);
            for half in ["attn_cond_head", "mlp_cond_head"] {
                add(&format!("{half}.bias_in"), &[dim]);
                (0..3).for_each(|vector| add(&format!("{half}.cond_proj.{vector}.weight"), &[dim, dim]));
            }
            add("dit_mlp.fc1.weight", &[ffn_dim, dim]);
            add("dit_mlp.fc2.weight", &[dim, ffn_dim]);
            if n.is_multiple_of(self.control_every) {
                if self.fused {
                    add("ctrl_mlpfusion.fc1.weight", &[dim, 2 * dim]);
                } else {
                    add("ctrl_mlpfusion.fc1_x.weight", &[dim, dim]);
                    add("ctrl_mlpfusion.fc1_c.weight", &[dim, dim]);
                }
                add("ctrl_mlpfusion.fc2.weight", &[dim, dim]);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_spellings_come_to_the_published_names() {
        let of = |part: &str| spelt(&block(4, part));
        for (part, expected) in [
            ("attn.v_lamb", vec!["attn.v_lamb"]),
            ("cond_head.bias_in", vec!["attn_cond_head.bias_in", "mlp_cond_head.bias_in"]),
            ("cond_head.cond_proj.1.weight", vec!["attn_cond_head.cond_proj.1.weight"]),
            ("cond_head.cond_proj.5.weight", vec!["mlp_cond_head.cond_proj.2.weight"]),
            ("mlp.fc2.weight", vec!["dit_mlp.fc2.weight"]),
            ("ctrl_mlpfusion.mlp.fc1.weight", vec!["ctrl_mlpfusion.fc1.weight"]),
        ] {
            assert_eq!(of(part), expected.into_iter().map(|part| block(4, part)).collect::<Vec<_>>());
        }
        assert_eq!(spelt("ctrl_cfg.null_emb"), ["ctrl_cfg.null_emb"]);
        let names = ["net.ctrl_emb.mlp.fc1.weight", "net.transformer.blocks.0.attn.q_proj.weight", "other"];
        let found = canonical(&names).unwrap();
        assert_eq!(found[&block(0, "attn.q_proj.weight")], 1);
        assert!(found.len() == 2 && canonical(&names[1..]).is_none());
    }
}
