//! A recording seen through the codec: normalised latents with their actions and events, and windows of them.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use causeway_ops::quant::WeightSource;
use causeway_ops::stored::ReadError;
use causeway_runtime::Model;
use causeway_runtime::config::{CodecConfig, DitConfig};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::footage::data::{Episodes, planes};
use crate::footage::recording::Recording;
use crate::net::codec::{self, Past};
use crate::net::codec_tape;
use crate::net::dit::Frames;
use crate::net::mask::Mask;
use crate::net::weights::{Leaves, Weights, floats};
use crate::rng::Rng;
use crate::train::progress;
use crate::train::state::{StateError, bytes_of, floats_in, read_if_there, write_whole};

/// Latents of a whole recording.
pub struct Latents {
    /// Normalised latents [N, C, H, W].
    pub data: Vec<f32>,
    /// Values of one latent frame.
    pub len: usize,
    /// [N, A].
    pub actions: Vec<f32>,
    /// [N].
    pub events: Vec<u8>,
    /// Episode marks.
    pub episodes: Episodes,
}

/// Encodes every episode of `recording` as one stream, on `threads` threads: codec latents [N, C, h, w]. With the tensor library on
/// `device`, or without one by the CPU's own passes, several times faster.
pub fn encode(
    recording: &Recording,
    codec: &Weights,
    c: &CodecConfig,
    device: Option<&Device>,
    threads: usize,
) -> Vec<f32> {
    let episodes = Episodes::new(&recording.episode_starts).ranges();
    match device {
        None if codec_tape::encodes(c) => {
            let chunk = |episode: &Range<usize>| {
                let (first, end) = (episode.start, episode.end);
                (first..end).step_by(CHUNK).map(move |start| (first, start..end.min(start + CHUNK)))
            };
            let chunks: Vec<_> = episodes.iter().flat_map(chunk).collect();
            let size = [recording.info.height, recording.info.width];
            in_parallel(threads, &chunks, || {
                |(first, chunk): &(usize, Range<usize>)| {
                    // Frames before the chunk are encoded again rather than remembered, and forgotten.
                    let start = chunk.start.saturating_sub(codec_tape::reach(c)).max(*first);
                    let frames = planes(recording, start..chunk.end);
                    let mut all = codec_tape::encode(codec, c, &frames, [chunk.end - start, size[0], size[1]]);
                    all.drain(..all.len() / (chunk.end - start) * (chunk.start - start));
                    all
                }
            })
        }
        _ => {
            let flex = Device::flex();
            let device = device.unwrap_or(&flex);
            in_parallel(threads, &episodes, || {
                let net = codec.leaves(device);
                move |episode| encode_by_library(recording, &net, c, episode)
            })
        }
    }
}

/// Frames encoded at once.
const CHUNK: usize = 25;

fn encode_by_library(recording: &Recording, net: &Leaves, c: &CodecConfig, episode: &Range<usize>) -> Vec<f32> {
    let (w, h) = (recording.info.width, recording.info.height);
    let (mut past, mut out) = (Past::default(), Vec::new());
    for start in episode.clone().step_by(CHUNK) {
        let time = CHUNK.min(episode.end - start);
        let frames = net.constant(planes(recording, start..start + time), [time, 3, h, w]);
        out.extend(floats(codec::encode(net, c, frames, time, &mut past)));
    }
    out
}

/// What a function that `begin` makes on each of `threads` threads makes of all `parts`, in order.
fn in_parallel<P: Sync, F: FnMut(&P) -> Vec<f32>>(
    threads: usize,
    parts: &[P],
    begin: impl Fn() -> F + Sync,
) -> Vec<f32> {
    let next = AtomicUsize::new(0);
    let bar = progress::parts("encoding", parts.len());
    let work = || {
        let (mut make, mut done) = (begin(), Vec::new());
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(i) else { return done };
            done.push((i, make(part)));
            bar.inc(1);
        }
    };
    let mut made = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |w: std::thread::ScopedJoinHandle<'_, Vec<(usize, Vec<f32>)>>| {
            w.join().unwrap_or_else(|e| std::panic::resume_unwind(e))
        };
        workers.into_iter().flat_map(join).collect::<Vec<_>>()
    });
    bar.finish_and_clear();
    made.sort_by_key(|part| part.0);
    made.into_iter().flat_map(|part| part.1).collect()
}

/// The codec's weights in a finished model file.
///
/// # Errors
/// Weights that cannot be read.
pub fn codec_of(model: &Model<'_>) -> Result<Weights, ReadError> {
    let mut codec = Weights::init(&codec::specs(&model.config().codec), 0);
    for entry in codec.entries().to_vec() {
        if let Some(view) = model.tensor(&entry.name) {
            codec.data[entry.offset..entry.offset + entry.len()].copy_from_slice(&view.to_f32()?);
        }
    }
    Ok(codec)
}

/// Mean and standard deviation of each channel of `data` [N, C, area].
pub fn moments(data: &[f32], channels: usize, area: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut sum, mut square) = (vec![0.0f64; channels], vec![0.0f64; channels]);
    for (i, plane) in data.chunks_exact(area).enumerate() {
        sum[i % channels] += plane.iter().map(|&x| f64::from(x)).sum::<f64>();
        square[i % channels] += plane.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    }
    let n = (data.len() / channels) as f64;
    let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
    let std = square.iter().zip(&mean).map(|(s, m)| ((s / n - m * m).max(1e-8)).sqrt() as f32);
    (mean.iter().map(|&m| m as f32).collect(), std.collect())
}

/// Scales for the components of a linear codec, from their deviations: strong ones stay the stronger, as they matter more to the
/// eye, but by the root of what they are. The mean square of all channels together is then 1.
pub fn soften(std: &mut [f32]) {
    let mean = std.iter().sum::<f32>() / std.len() as f32;
    std.iter_mut().for_each(|s| *s = (*s * mean).sqrt());
}

/// z = (x - mean) / std per channel, in place.
pub fn normalise(data: &mut [f32], area: usize, mean: &[f32], std: &[f32]) {
    for (i, plane) in data.chunks_exact_mut(area).enumerate() {
        let c = i % mean.len();
        plane.iter_mut().for_each(|x| *x = (*x - mean[c]) / std[c]);
    }
}

/// The inverse of [`normalise`].
pub fn restore(data: &mut [f32], area: usize, mean: &[f32], std: &[f32]) {
    for (i, plane) in data.chunks_exact_mut(area).enumerate() {
        let c = i % mean.len();
        plane.iter_mut().for_each(|x| *x = *x * std[c] + mean[c]);
    }
}

/// Writes codec latents as one tensor `latents`, so that later stages need not encode again.
///
/// # Errors
/// [`StateError`].
pub fn save(path: &Path, data: &[f32]) -> Result<(), StateError> {
    let format = |e: safetensors::SafeTensorError| StateError::Format { path: path.into(), reason: e.to_string() };
    let bytes = bytes_of(data);
    let view = TensorView::new(Dtype::F32, vec![data.len()], &bytes).map_err(format)?;
    write_whole(path, &safetensors::serialize([("latents", view)], None).map_err(format)?)
}

/// Reads what [`save`] wrote; `None` if there is no such file.
///
/// # Errors
/// [`StateError`] when the file cannot be read or is damaged.
pub fn load(path: &Path) -> Result<Option<Vec<f32>>, StateError> {
    let Some(bytes) = read_if_there(path)? else { return Ok(None) };
    let format = |reason: String| StateError::Format { path: path.into(), reason };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| format(e.to_string()))?;
    floats_in(&file, "latents").map(Some).ok_or_else(|| format("no f32 tensor latents".into()))
}

impl Latents {
    /// Joins normalised latents with what the recording says of each frame.
    pub fn new(data: Vec<f32>, recording: &Recording) -> Self {
        let frames = recording.events.len();
        let (actions, events) = (recording.actions.clone(), recording.events.clone());
        Self { len: data.len() / frames, data, actions, events, episodes: Episodes::new(&recording.episode_starts) }
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.events.len()
    }

    /// Frame `i`, [C, H, W].
    pub fn frame(&self, i: usize) -> &[f32] {
        &self.data[i * self.len..(i + 1) * self.len]
    }

    /// Action vector of frame `i`.
    pub fn action(&self, i: usize) -> &[f32] {
        let a = self.actions.len() / self.frames();
        &self.actions[i * a..(i + 1) * a]
    }

    /// The first `frames` frames of every episode, with nothing before them.
    pub fn starts(&self, frames: usize) -> Windows {
        self.begun(&self.episodes.ranges().iter().map(|range| range.start).collect::<Vec<_>>(), frames)
    }

    /// The windows of `frames` frames that begin at `firsts`, with nothing before them.
    pub fn begun(&self, firsts: &[usize], frames: usize) -> Windows {
        let mut out = Windows { batch: firsts.len(), frames, len: self.len, ..Windows::default() };
        out.before = vec![0.0; firsts.len() * self.len];
        out.firsts = firsts.to_vec();
        for &first in firsts {
            (first..first + frames).for_each(|i| out.add(self, i));
        }
        out
    }

    /// Draws `batch` windows of `frames` frames. One in eight begins as a stream does, with nothing before it.
    pub fn windows(&self, batch: usize, frames: usize, rng: &mut Rng) -> Windows {
        let mut out = Windows { batch, frames, len: self.len, ..Windows::default() };
        for _ in 0..batch {
            let first = self.episodes.window(frames + 1, rng).map_or(0, |i| i + 1);
            if first == 0 || rng.below(8) == 0 {
                out.before.extend(std::iter::repeat_n(0.0, self.len));
            } else {
                out.before.extend_from_slice(self.frame(first - 1));
            }
            out.firsts.push(first);
            (first..first + frames).for_each(|i| out.add(self, i));
        }
        out
    }
}

/// Some windows of a recording.
#[derive(Clone, Default)]
pub struct Windows {
    /// Windows.
    pub batch: usize,
    /// Frames of each.
    pub frames: usize,
    /// Values of one latent frame.
    pub len: usize,
    /// The frames [B, F, C, H, W].
    pub real: Vec<f32>,
    /// The frame before each window [B, C, H, W]; zeros where a stream begins.
    pub before: Vec<f32>,
    /// [B, F, A].
    pub actions: Vec<f32>,
    /// [B, F].
    pub events: Vec<u8>,
    /// The frame of the recording that each window [B] begins with; empty where they are of none.
    pub firsts: Vec<usize>,
    /// Windows [B] whose network is not shown the frames before: it sees zeros, as where a stream begins. All are shown if empty.
    pub blind: Vec<bool>,
}

impl Windows {
    /// Appends frame `i` of `from` to the last window.
    fn add(&mut self, from: &Latents, i: usize) {
        self.real.extend_from_slice(from.frame(i));
        self.actions.extend_from_slice(from.action(i));
        self.events.push(from.events[i]);
    }

    fn is_blind(&self, window: usize) -> bool {
        self.blind.get(window).copied().unwrap_or(false)
    }

    /// `history` [B, F, C, H, W] moved on by one frame, beginning with the frame before the window; zeros for blind windows.
    fn previous(&self, history: &[f32]) -> Vec<f32> {
        let (row, mut out) = (self.frames * self.len, Vec::with_capacity(history.len()));
        for b in 0..self.batch {
            if self.is_blind(b) {
                out.resize(out.len() + row, 0.0);
                continue;
            }
            out.extend_from_slice(&self.before[b * self.len..(b + 1) * self.len]);
            out.extend_from_slice(&history[b * row..(b + 1) * row - self.len]);
        }
        out
    }

    /// The input [history | noisy ...] of teacher forcing; history at noise level zero, behind it any number of copies, `noisy`
    /// [B, copies, F, C, H, W] at `sigma` [B, copies, F].
    pub fn doubled(&self, history: &[f32], noisy: &[f32], sigma: &[f32]) -> Frames {
        let (b, all) = (self.batch, 1 + sigma.len() / (self.batch * self.frames));
        Frames {
            batch: b,
            frames: all * self.frames,
            latents: behind(history, noisy, b),
            previous: repeated(&self.previous(history), b, all),
            sigma: behind(&vec![0.0; b * self.frames], sigma, b),
            actions: repeated(&self.actions, b, all),
            events: repeated(&self.events, b, all),
        }
    }

    /// One sequence of `latents` [B, F, C, H, W] at noise levels `sigma` [B, F].
    pub fn sequence(&self, latents: &[f32], sigma: &[f32]) -> Frames {
        Frames {
            batch: self.batch,
            frames: self.frames,
            latents: latents.to_vec(),
            previous: self.previous(latents),
            sigma: sigma.to_vec(),
            actions: self.actions.clone(),
            events: self.events.clone(),
        }
    }

    /// What a network sees of `noisy` at `sigma` under `mask`, in teacher forcing behind `history`.
    pub fn arranged(&self, mask: Mask, history: &[f32], noisy: &[f32], sigma: &[f32]) -> Frames {
        match mask {
            Mask::TeacherForcing { .. } => self.doubled(history, noisy, sigma),
            Mask::Causal(_) | Mask::Full => self.sequence(noisy, sigma),
        }
    }

    /// The gradients of `history` and of `noisy` from those of what [`Self::arranged`] made of them: of the latents, `own`, and of the
    /// frames before them, `previous`, which is empty for a network that sees none. Teacher forcing has one copy here.
    pub fn arranged_back(&self, mask: Mask, own: &[f32], previous: &[f32]) -> [Vec<f32>; 2] {
        let row = self.frames * self.len;
        let mut out = [vec![0.0; self.batch * row], vec![0.0; self.batch * row]];
        // Rows of each window: what they are, and what the frames before them are.
        let rows: &[[usize; 2]] = match mask {
            Mask::TeacherForcing { .. } => &[[0, 0], [1, 0]],
            Mask::Causal(_) | Mask::Full => &[[1, 1]],
        };
        for (i, [is, follows]) in (0..self.batch * rows.len()).map(|i| (i, rows[i % rows.len()])) {
            let to = i / rows.len() * row;
            out[is][to..to + row].iter_mut().zip(&own[i * row..]).for_each(|(sum, g)| *sum += g);
            // Each frame but the last is the one before the next.
            let before = previous.get(i * row + self.len..(i + 1) * row).filter(|_| !self.is_blind(i / rows.len()));
            let before = before.unwrap_or_default();
            out[follows][to..].iter_mut().zip(before).for_each(|(sum, g)| *sum += g);
        }
        out
    }

    /// The `frames` frames from `first` on.
    pub fn part(&self, first: usize, frames: usize) -> Self {
        let cut = |values: &[f32]| self.cut(values, first, frames);
        let before = if first == 0 { self.before.clone() } else { self.at(&self.real, first - 1) };
        let (events, blind) = (self.cut(&self.events, first, frames), self.blind.clone());
        let firsts = self.firsts.iter().map(|begin| begin + first).collect();
        Self { frames, real: cut(&self.real), before, actions: cut(&self.actions), events, firsts, blind, ..*self }
    }

    /// The `batch` windows from `first` on.
    pub fn worlds(&self, first: usize, batch: usize) -> Self {
        fn rows<T: Copy>(values: &[T], of: usize, first: usize, batch: usize) -> Vec<T> {
            let row = values.len() / of;
            values[first * row..(first + batch) * row].to_vec()
        }
        let of = self.batch;
        Self {
            batch,
            real: rows(&self.real, of, first, batch),
            before: rows(&self.before, of, first, batch),
            actions: rows(&self.actions, of, first, batch),
            events: rows(&self.events, of, first, batch),
            firsts: rows(&self.firsts, of, first, batch),
            blind: rows(&self.blind, of, first, batch),
            ..*self
        }
    }

    /// `frames` frames from `first` on of an array [B, F, ...].
    fn cut<T: Copy>(&self, values: &[T], first: usize, frames: usize) -> Vec<T> {
        let row = values.len() / self.batch;
        let one = row / self.frames;
        values.chunks_exact(row).flat_map(|row| &row[first * one..(first + frames) * one]).copied().collect()
    }

    /// Replaces frame `f` of every window by `made` [B, C, H, W].
    pub fn put(&mut self, f: usize, made: &[f32]) {
        for (b, frame) in made.chunks_exact(self.len).enumerate() {
            self.real[(b * self.frames + f) * self.len..][..self.len].copy_from_slice(frame);
        }
    }

    /// Rows `f` of an array [B, F, ...].
    pub fn at<T: Copy>(&self, values: &[T], f: usize) -> Vec<T> {
        self.cut(values, f, 1)
    }

    /// (1 - sigma) x + sigma noise with one sigma for each frame of [B, F, C, H, W].
    pub fn mix(&self, x: &[f32], noise: &[f32], sigma: &[f32]) -> Vec<f32> {
        let blend = |(i, (x, e)): (usize, (&f32, &f32))| {
            let s = sigma[i / self.len];
            (1.0 - s) * x + s * e
        };
        x.iter().zip(noise).enumerate().map(blend).collect()
    }
}

/// `all` with the last values of each of `batch` rows replaced by those of `ends`.
pub fn with_ends(mut all: Vec<f32>, ends: &[f32], batch: usize) -> Vec<f32> {
    let (row, kept) = (all.len() / batch, ends.len() / batch);
    for (to, from) in all.chunks_exact_mut(row).zip(ends.chunks_exact(kept)) {
        to[row - kept..].copy_from_slice(from);
    }
    all
}

/// Each of the `batch` rows of `a` with that of `b` behind it.
fn behind<T: Copy>(a: &[T], b: &[T], batch: usize) -> Vec<T> {
    let rows = a.chunks_exact(a.len() / batch).zip(b.chunks_exact(b.len() / batch));
    rows.flat_map(|(a, b)| a.iter().chain(b).copied()).collect()
}

/// Each of the `batch` rows of `values` `times` over.
pub fn repeated<T: Copy>(values: &[T], batch: usize, times: usize) -> Vec<T> {
    values.chunks_exact(values.len() / batch).flat_map(|row| row.repeat(times)).collect()
}

/// sigma' = shift sigma / (1 + (shift - 1) sigma) (spec 2.1).
pub fn warp(sigma: f32, shift: f32) -> f32 {
    shift * sigma / (1.0 + (shift - 1.0) * sigma)
}

/// Warped noise levels of `steps` even steps from noise to data; the data's own level, 0, is left out.
pub fn even_levels(steps: usize, shift: f32) -> Vec<f32> {
    (0..steps).map(|i| warp(1.0 - i as f32 / steps as f32, shift)).collect()
}

/// Latents [C, H, W]-wise to and from pixels needs the grid's area; a convenience for [`normalise`] and [`restore`].
pub fn area(c: &DitConfig) -> usize {
    c.latent.height * c.latent.width
}
