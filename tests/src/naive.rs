//! The world model written down plainly in `f64`: no ring, no fusion, no slots. Every frame ever made is kept, and each chunk looks
//! its visible frames up by their number. What the runtime computes is compared with this.

use std::collections::BTreeMap;

use causeway_ops::{philox::normal4, quant::WeightSource};
use causeway_runtime::{
    Model,
    config::{Descriptors, DitConfig, GroupConfig, HistoryConfig, Positions},
};

/// Rows of features.
type Rows = Vec<Vec<f64>>;

/// Keys and values of one frame in every layer, without any rotation.
struct Remembered {
    k: Vec<Rows>,
    v: Vec<Rows>,
}

/// Stream settings; of the layers that are in no group of the file.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Window in frames including sink and chunk.
    pub window: usize,
    /// Sink in frames.
    pub sink: usize,
    /// History frames kept a query, 0 for all.
    pub route: usize,
    /// Numbering of positions.
    pub positions: Positions,
}

/// A stream of the naive model.
pub struct Naive<'a> {
    config: &'a DitConfig,
    groups: &'a [GroupConfig],
    descriptors: Descriptors,
    weights: BTreeMap<String, Vec<f64>>,
    /// May change from chunk to chunk.
    pub settings: Settings,
    memory: Vec<Remembered>,
    previous: Vec<f64>,
    /// A cut was made, and no chunk since.
    cut: bool,
    seed: [u32; 2],
}

impl<'a> Naive<'a> {
    /// An empty stream.
    pub fn new(model: &'a Model<'_>, settings: Settings, seed: u64) -> Self {
        let weights = model
            .tensors()
            .map(|(name, _)| {
                let values = model.tensor(name).and_then(|t| t.to_f32().ok()).unwrap_or_default();
                (name.to_owned(), values.into_iter().map(f64::from).collect())
            })
            .collect();
        let config = &model.config().dit;
        let previous = vec![0.0; config.latent_len()];
        let HistoryConfig { groups, descriptors, .. } = &model.config().history;
        let seed = [seed as u32, (seed >> 32) as u32];
        Self {
            config,
            groups,
            descriptors: *descriptors,
            weights,
            settings,
            memory: Vec::new(),
            previous,
            cut: false,
            seed,
        }
    }

    /// Generates one chunk and commits it; returns its channels-last latents.
    pub fn chunk(&mut self, sigmas: &[f32], action: &[f32], event: usize) -> Vec<f64> {
        let frames = self.config.chunk;
        let len = self.config.latent_len();
        let mut x: Vec<f64> = self.noise(0);
        for (step, &sigma) in sigmas.iter().enumerate() {
            let flow = self.forward(&x, frames, 1000.0 * f64::from(sigma), action, event).0;
            let next = f64::from(sigmas.get(step + 1).copied().unwrap_or(0.0));
            let noise = self.noise(step as u32 + 1);
            for i in 0..frames * len {
                let clean = x[i] - f64::from(sigma) * flow[i];
                x[i] = (1.0 - next) * clean + next * noise[i];
            }
        }
        self.commit(&x, frames, action, event);
        self.cut = false;
        x
    }

    /// The next chunk knows no frame before, and its routes need not keep the newest one.
    pub fn cut(&mut self) {
        self.previous.fill(0.0);
        self.cut = true;
    }

    /// Runs the clean-context pass over `frames` frames and remembers them.
    pub fn commit(&mut self, x: &[f64], frames: usize, action: &[f32], event: usize) {
        let (_, made) = self.forward(x, frames, 0.0, action, event);
        self.memory.extend(made);
        let len = self.config.latent_len();
        self.previous = x[(frames - 1) * len..][..len].to_vec();
    }

    fn noise(&self, step: u32) -> Vec<f64> {
        let len = self.config.latent_len();
        let start = self.memory.len();
        (0..self.config.chunk * len)
            .map(|i| {
                let (frame, element) = (start + i / len, i % len);
                f64::from(normal4(self.seed, frame as u32, step, element as u32 / 4)[element % 4])
            })
            .collect()
    }

    fn w(&self, name: &str) -> &[f64] {
        &self.weights[&format!("dit.{name}")]
    }

    fn linear(&self, name: &str, x: &[Vec<f64>]) -> Rows {
        let (weight, bias) = (self.w(&format!("{name}.weight")), self.w(&format!("{name}.bias")));
        x.iter()
            .map(|row| {
                let dot = |w: &[f64]| w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
                weight.chunks(row.len()).zip(bias).map(|(w, b)| dot(w) + b).collect()
            })
            .collect()
    }

    fn rms(&self, name: &str, x: Rows) -> Rows {
        let weight = self.w(&format!("{name}.weight"));
        let norm = |row: Vec<f64>| {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
            let scale = 1.0 / (mean + f64::from(self.config.eps)).sqrt();
            row.iter().zip(weight).map(|(x, w)| x * scale * w).collect()
        };
        x.into_iter().map(norm).collect()
    }

    fn layer_norm(&self, x: &[Vec<f64>], scale_shift: impl Fn(usize, usize) -> (f64, f64)) -> Rows {
        x.iter()
            .enumerate()
            .map(|(r, row)| {
                let n = row.len() as f64;
                let mean = row.iter().sum::<f64>() / n;
                let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
                let inverse = 1.0 / (variance + f64::from(self.config.eps)).sqrt();
                let place = |(i, x): (usize, &f64)| {
                    let (scale, shift) = scale_shift(r, i);
                    (x - mean) * inverse * scale + shift
                };
                row.iter().enumerate().map(place).collect()
            })
            .collect()
    }

    /// Flow (channels-last) and the keys and values of the frames of `x`.
    fn forward(&self, x: &[f64], frames: usize, t: f64, action: &[f32], event: usize) -> (Vec<f64>, Vec<Remembered>) {
        let c = self.config;
        let tokens = c.tokens_per_frame();
        let mut hidden = self.linear_patch(x, frames);
        let e = self.embedding(t, action);
        let e0 = self.linear("time_projection.1", &[e[0].iter().map(|&x| silu(x)).collect()]).remove(0);
        let mut made: Vec<Remembered> = (0..frames).map(|_| Remembered { k: vec![], v: vec![] }).collect();
        let context = self.w("event_embedding");
        let context: Rows =
            context.chunks(c.dim).skip(event * c.event_tokens).take(c.event_tokens).map(<[f64]>::to_vec).collect();
        for n in 0..c.layers {
            let at = |name: &str| format!("blocks.{n}.{name}");
            let m: Vec<f64> = self.w(&at("modulation")).iter().zip(&e0).map(|(a, b)| a + b).collect();
            let part = |i: usize, j: usize| m[i * c.dim + j];
            let y = self.layer_norm(&hidden, |_, j| (1.0 + part(1, j), part(0, j)));
            let q = self.rms(&at("self_attn.norm_q"), self.linear(&at("self_attn.q"), &y));
            let k = self.rms(&at("self_attn.norm_k"), self.linear(&at("self_attn.k"), &y));
            let v = self.linear(&at("self_attn.v"), &y);
            for f in 0..frames {
                made[f].k.push(k[f * tokens..][..tokens].to_vec());
                made[f].v.push(v[f * tokens..][..tokens].to_vec());
            }
            let visible = self.visible(n);
            let first = match self.settings.positions {
                Positions::Compact => visible.len(),
                Positions::Absolute => self.memory.len(),
            };
            let own_positions: Vec<usize> = (first..first + frames).collect();
            let attended = self.attend(n, &q, &made, &visible, &own_positions);
            add(&mut hidden, &self.linear(&at("self_attn.o"), &attended), |j| part(2, j));
            let (w3, b3) = (self.w(&at("norm3.weight")), self.w(&at("norm3.bias")));
            let y = self.layer_norm(&hidden, |_, j| (w3[j], b3[j]));
            let q = self.rms(&at("cross_attn.norm_q"), self.linear(&at("cross_attn.q"), &y));
            let k = self.rms(&at("cross_attn.norm_k"), self.linear(&at("cross_attn.k"), &context));
            let v = self.linear(&at("cross_attn.v"), &context);
            let crossed: Rows = q.iter().map(|q| self.softmax_rows(q, &k, &v)).collect();
            add(&mut hidden, &self.linear(&at("cross_attn.o"), &crossed), |_| 1.0);
            let y = self.layer_norm(&hidden, |_, j| (1.0 + part(4, j), part(3, j)));
            let wide: Rows =
                self.linear(&at("ffn.0"), &y).into_iter().map(|r| r.into_iter().map(gelu).collect()).collect();
            add(&mut hidden, &self.linear(&at("ffn.2"), &wide), |j| part(5, j));
        }
        let m = self.w("head.modulation");
        let y = self.layer_norm(&hidden, |_, j| (1.0 + m[c.dim + j] + e[0][j], m[j] + e[0][j]));
        let patches = self.linear("head.head", &y);
        (self.unpatchify(&patches, frames), made)
    }

    /// Numbers of the history frames that a layer sees: of those that it keeps the sink, and the newest others.
    fn visible(&self, layer: usize) -> Vec<usize> {
        let (start, chunk) = (self.memory.len(), self.config.chunk);
        let (window, sink, every) = match self.group(layer) {
            None => (self.settings.window, self.settings.sink, 1),
            Some(group) => (group.window, group.sink, group.every),
        };
        let kept: Vec<usize> = (0..start).filter(|frame| frame % every == 0).collect();
        let room = window - (start..start + chunk).filter(|frame| frame % every == 0).count();
        let (sink, rest) = kept.split_at(sink.min(kept.len()));
        let recent = room.saturating_sub(sink.len()).min(rest.len());
        [sink, &rest[rest.len() - recent..]].concat()
    }

    fn group(&self, layer: usize) -> Option<&GroupConfig> {
        self.groups.iter().find(|group| group.layers.contains(&layer))
    }

    fn attend(&self, n: usize, q: &Rows, own: &[Remembered], visible: &[usize], own_at: &[usize]) -> Rows {
        let c = self.config;
        let (tokens, d) = (c.tokens_per_frame(), c.head_dim());
        let position = |index: usize| match self.settings.positions {
            Positions::Compact => index,
            Positions::Absolute => visible[index],
        };
        let mut out = vec![vec![0.0; c.dim]; q.len()];
        for h in 0..c.heads {
            let head = |row: &[f64]| row[h * d..][..d].to_vec();
            let history: Vec<Rows> = visible
                .iter()
                .enumerate()
                .map(|(i, &f)| {
                    let keys = self.memory[f].k[n].iter().enumerate();
                    keys.map(|(t, row)| self.rope(head(row), position(i), t)).collect()
                })
                .collect();
            let unrotated: Vec<Rows> =
                visible.iter().map(|&f| self.memory[f].k[n].iter().map(|row| head(row)).collect()).collect();
            for (r, row) in q.iter().enumerate() {
                let query = self.rope(head(row), own_at[r / tokens], r % tokens);
                let mut keys = Vec::new();
                let mut values = Vec::new();
                let seen = match self.descriptors {
                    Descriptors::Rotated => self.route(n, &query, &history),
                    Descriptors::Plain => self.route(n, &head(row), &unrotated),
                };
                for i in seen {
                    keys.extend(history[i].iter().cloned());
                    values.extend(self.memory[visible[i]].v[n].iter().map(|v| head(v)));
                }
                for (f, frame) in own.iter().enumerate() {
                    for t in 0..tokens {
                        keys.push(self.rope(head(&frame.k[n][t]), own_at[f], t));
                        values.push(head(&frame.v[n][t]));
                    }
                }
                out[r][h * d..][..d].copy_from_slice(&softmax(&query, &keys, &values));
            }
        }
        out
    }

    /// Indices of the history frames that a query keeps (docs/design.md, section 6).
    fn route(&self, layer: usize, query: &[f64], history: &[Rows]) -> Vec<usize> {
        let k = self.group(layer).map_or(self.settings.route, |group| group.route);
        if k == 0 || history.len() <= k {
            return (0..history.len()).collect();
        }
        let newest = history.len() - 1;
        let score = |i: usize| {
            let sum = |j: usize| history[i].iter().map(|key| key[j]).sum::<f64>() / history[i].len() as f64;
            let dot: f64 = (0..query.len()).map(|j| query[j] * sum(j)).sum();
            if i == newest && !self.cut { f64::INFINITY } else { dot }
        };
        let mut order: Vec<usize> = (0..history.len()).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        order.truncate(k);
        order
    }

    /// Full 3-axis RoPE of one head's row (spec 1.5).
    fn rope(&self, mut row: Vec<f64>, frame: usize, token: usize) -> Vec<f64> {
        let c = self.config;
        let columns = c.token_grid().1;
        let mut pair = 0;
        for (dims, p) in c.rope_dims().into_iter().zip([frame, token / columns, token % columns]) {
            for j in 0..dims / 2 {
                let angle = p as f64 * f64::from(c.rope_theta).powf(-2.0 * j as f64 / dims as f64);
                let (a, b) = (row[2 * pair], row[2 * pair + 1]);
                row[2 * pair] = a * angle.cos() - b * angle.sin();
                row[2 * pair + 1] = a * angle.sin() + b * angle.cos();
                pair += 1;
            }
        }
        row
    }

    fn softmax_rows(&self, q: &[f64], k: &Rows, v: &Rows) -> Vec<f64> {
        let d = self.config.head_dim();
        let cut = |rows: &Rows, h: usize| -> Rows { rows.iter().map(|r| r[h * d..][..d].to_vec()).collect() };
        (0..self.config.heads).flat_map(|h| softmax(&q[h * d..][..d], &cut(k, h), &cut(v, h))).collect()
    }

    fn embedding(&self, t: f64, action: &[f32]) -> Rows {
        let half = self.config.freq_dim / 2;
        let angle = |i: usize| t * 10_000f64.powf(-(i as f64) / half as f64);
        let sinusoid = (0..half).map(|i| angle(i).cos()).chain((0..half).map(|i| angle(i).sin())).collect();
        let act = |rows: Rows| -> Rows { rows.into_iter().map(|r| r.into_iter().map(silu).collect()).collect() };
        let mut e = self.linear("time_embedding.2", &act(self.linear("time_embedding.0", &[sinusoid])));
        let action: Vec<f64> = action.iter().map(|&x| f64::from(x)).collect();
        let a = self.linear("action_embedding.2", &act(self.linear("action_embedding.0", &[action])));
        add(&mut e, &a, |_| 1.0);
        e
    }

    fn linear_patch(&self, x: &[f64], frames: usize) -> Rows {
        let c = self.config;
        let (len, channels, width) = (c.latent_len(), c.latent.channels, c.latent.width);
        let [_, ph, pw] = c.patch;
        let (rows, columns) = c.token_grid();
        let mut patches = Vec::new();
        for f in 0..frames {
            for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                let mut patch = Vec::new();
                for channel in 0..c.in_channels() {
                    let source = if channel < channels { &x[f * len..][..len] } else { &self.previous[..] };
                    for (dy, dx) in (0..ph).flat_map(|dy| (0..pw).map(move |dx| (dy, dx))) {
                        patch.push(source[((i * ph + dy) * width + j * pw + dx) * channels + channel % channels]);
                    }
                }
                patches.push(patch);
            }
        }
        self.linear("patch_embedding", &patches)
    }

    fn unpatchify(&self, patches: &Rows, frames: usize) -> Vec<f64> {
        let c = self.config;
        let (channels, width) = (c.latent.channels, c.latent.width);
        let [_, ph, pw] = c.patch;
        let (rows, columns) = c.token_grid();
        let mut out = vec![0.0; frames * c.latent_len()];
        for (token, patch) in patches.iter().enumerate() {
            let (f, i, j) = (token / (rows * columns), token / columns % rows, token % columns);
            for (index, &value) in patch.iter().enumerate() {
                let (dy, dx, channel) = (index / (pw * channels), index / channels % pw, index % channels);
                out[f * c.latent_len() + ((i * ph + dy) * width + j * pw + dx) * channels + channel] = value;
            }
        }
        out
    }
}

fn softmax(q: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<f64> {
    let scale = 1.0 / (q.len() as f64).sqrt();
    let logits: Vec<f64> = keys.iter().map(|k| k.iter().zip(q).map(|(a, b)| a * b).sum::<f64>() * scale).collect();
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|l| (l - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..q.len()).map(|j| weights.iter().zip(values).map(|(w, v)| w * v[j]).sum::<f64>() / total).collect()
}

fn add(x: &mut Rows, y: &Rows, gate: impl Fn(usize) -> f64) {
    for (x, y) in x.iter_mut().zip(y) {
        for (j, (x, y)) in x.iter_mut().zip(y).enumerate() {
            *x += gate(j) * y;
        }
    }
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}
