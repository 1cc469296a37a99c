//! The denoiser's parts against their plain definitions.

mod tiny;

use burn::tensor::{Device, Tensor, TensorData};
use causeway_distill::footage::latents::Windows;
use causeway_distill::method::teacher_forcing::{World, judged_velocity};
use causeway_distill::net::dit::{self, Frames};
use causeway_distill::net::fast::attention;
use causeway_distill::net::fast::kernels::Kernels;
use causeway_distill::net::fast::network::Network;
use causeway_distill::net::mask::{Best, Mask, Ring};
use causeway_distill::net::rollout::{Engine, Rollout};
use causeway_distill::net::rope;
use causeway_distill::net::weights::{Weights, floats};
use causeway_distill::rng::Rng;
use causeway_distill::train::slope::slopes;
use causeway_runtime::config::{Descriptors, ModelConfig, Positions};
use causeway_runtime::session as runtime;

use self::tiny::{REACH, assert_slopes, tiny, weights, with_world};

fn windows(config: &ModelConfig, batch: usize, frames: usize, rng: &mut Rng) -> Windows {
    let len = config.dit.latent_len();
    Windows {
        batch,
        frames,
        len,
        real: rng.normals(batch * frames * len),
        before: rng.normals(batch * len),
        actions: (0..batch * frames * 2).map(|_| rng.below(2) as f32).collect(),
        events: (0..batch * frames).map(|_| rng.below(2) as u8).collect(),
        firsts: Vec::new(),
        blind: Vec::new(),
    }
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Arrangements worth a look: windows that fit the ring and longer ones, a sink, routes, copies.
fn masks() -> Vec<Mask> {
    let ring = |window: usize, sink: usize| Ring { window, sink };
    let teacher =
        |ring: Ring, route: usize, copies: usize| Mask::TeacherForcing { ring, route: Best::of(route), copies };
    let plain = |ring: Ring, frames: usize, copies: usize| {
        let route = Best { frames, by: Descriptors::Plain };
        Mask::TeacherForcing { ring, route, copies }
    };
    let mut masks: Vec<Mask> = [0, 1, 2].map(Mask::teacher_forcing).into();
    masks.extend([
        teacher(Ring::ENDLESS, 0, 3),
        teacher(ring(7, 0), 0, 1),
        teacher(ring(7, 2), 0, 3),
        teacher(ring(7, 2), 3, 2),
        plain(ring(7, 2), 3, 2),
        plain(Ring::ENDLESS, 2, 1),
        teacher(ring(7, 6), 0, 1),
        teacher(ring(40, 2), 0, 1),
        teacher(ring(1, 0), 0, 2),
        Mask::Causal(Ring::ENDLESS),
        Mask::Causal(ring(7, 2)),
        Mask::Full,
    ]);
    masks
}

/// Frames of a window that takes several tiles.
const LONG: usize = 30;

/// Frames of an input of such windows.
fn input_frames(mask: Mask) -> usize {
    if let Mask::TeacherForcing { copies, .. } = mask { (1 + copies) * LONG } else { LONG }
}

#[test]
fn a_cached_roll_out_gives_what_the_doubled_sequence_gives() {
    let config = tiny();
    let weights = weights(&config);
    let net = weights.leaves(&Device::flex());
    let mut rng = Rng::new(1);
    let frames = 9;
    let w = windows(&config, 2, frames, &mut rng);
    let sigma: Vec<f32> = (0..2 * frames).map(|_| rng.unit()).collect();
    let noisy = w.mix(&w.real, &rng.normals(w.real.len()), &sigma);
    let plain = Best { frames: 2, by: Descriptors::Plain };
    let [all, best] = [0, 2].map(Best::of);
    for (window, sink, route) in
        [(12, 0, all), (12, 0, best), (5, 0, all), (5, 2, all), (5, 2, best), (12, 0, plain), (5, 2, plain)]
    {
        let mask = Mask::TeacherForcing { ring: Ring { window, sink }, route, copies: 1 };
        let doubled = floats(judged_velocity(&net, &config, mask, &w.doubled(&w.real, &noisy, &sigma)));
        let doubled = dit::from_tokens(&config.dit, &doubled);
        for engine in [Engine::Library(&net), Engine::Fast(&weights)] {
            let mut rollout = Rollout::new(engine, &config.dit, window, w.before.clone()).routed(route).sinking(sink);
            for f in 0..frames {
                let (actions, events) = (w.at(&w.actions, f), w.at(&w.events, f));
                let v = rollout.velocity(&w.at(&noisy, f), &w.at(&sigma, f), &actions, &events);
                let off = worst(&v, &w.at(&doubled, f));
                assert!(off < 2e-4, "{mask:?}, frame {f}: cached and doubled passes differ by {off}");
                rollout.commit(&w.at(&w.real, f), &actions, &events);
            }
        }
    }
}

/// Spec 1.7 and 2.10 word for word: one query at a time, f64. What a frame sees, and from where, is what the runtime's ring says.
fn naive(c: &ModelConfig, frames: usize, mask: Mask, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
    let (c, s) = (&c.dit, c.dit.tokens_per_frame());
    let (d, n) = (c.head_dim(), q.len() / c.dim);
    let angles = rope::angles(c, &(0..frames).collect::<Vec<_>>());
    // Token i as if its frame had this position.
    let rotated = |x: &[f32], i: usize, h: usize, position: usize| -> Vec<f64> {
        let (row, turn) = (&x[i * c.dim + h * d..][..d], &angles[(position * s + i % s) * d..][..d]);
        let pair = |j: usize| {
            let [a, b, angle] = [row[j], row[j + 1], turn[j]].map(f64::from);
            [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()]
        };
        (0..d).step_by(2).flat_map(pair).collect()
    };
    let visible = |frame: usize| -> Vec<(usize, usize)> {
        let ring = match mask {
            Mask::Full => return (0..frames).map(|f| (f, f)).collect(),
            Mask::Causal(ring) | Mask::TeacherForcing { ring, .. } => ring,
        };
        let window = if ring.window == 0 { frames } else { ring.window };
        let ring = runtime::Ring { window, every: 1, sink: ring.sink, chunk: 1, positions: Positions::Compact };
        let mut seen = Vec::new();
        ring.visible(frame as u64, 1, &mut seen);
        seen.iter().map(|v| (v.frame as usize, v.position as usize)).collect()
    };
    let mut out = vec![0.0f32; q.len()];
    for i in 0..n {
        let frame = i / s;
        let seen = visible(frame % frames);
        let own = seen.iter().find(|v| v.0 == frame % frames).expect("each frame sees itself").1;
        for h in 0..c.heads {
            let query = rotated(q, i, h, own);
            let dot = |j: usize, position: usize| {
                rotated(k, j, h, position).iter().zip(&query).map(|(k, q)| k * q).sum::<f64>()
            };
            // The frames' rows are those of the clean copy, but for the own one.
            let mut past: Vec<(usize, usize)> = seen.iter().copied().filter(|v| v.1 != own).collect();
            if let Mask::TeacherForcing { route, .. } = mask
                && route.leaves_out(past.len())
            {
                let newest = past.pop();
                let turned = route.by == Descriptors::Rotated;
                let mean =
                    |f: usize, e: usize| (f * s..(f + 1) * s).map(|j| f64::from(k[j * c.dim + h * d + e])).sum::<f64>();
                let plain = |f: usize| (0..d).map(|e| f64::from(q[i * c.dim + h * d + e]) * mean(f, e)).sum::<f64>();
                let score = |&(f, p): &(usize, usize)| {
                    if turned { (f * s..(f + 1) * s).map(|j| dot(j, p)).sum::<f64>() } else { plain(f) }
                };
                past.sort_by(|a, b| score(b).total_cmp(&score(a)));
                past.truncate(route.frames - 1);
                past.extend(newest);
            }
            let keys =
                past.into_iter().chain([(frame, own)]).flat_map(|(f, p)| (f * s..(f + 1) * s).map(move |j| (j, p)));
            let scores: Vec<(f64, usize)> = keys.map(|(j, p)| (dot(j, p) / (d as f64).sqrt(), j)).collect();
            let top = scores.iter().map(|x| x.0).fold(f64::MIN, f64::max);
            let total: f64 = scores.iter().map(|x| (x.0 - top).exp()).sum();
            for e in 0..d {
                let mean =
                    scores.iter().map(|x| (x.0 - top).exp() * f64::from(v[x.1 * c.dim + h * d + e])).sum::<f64>();
                out[i * c.dim + h * d + e] = (mean / total) as f32;
            }
        }
    }
    out
}

#[test]
fn masked_and_routed_attention_match_the_definition() {
    let config = tiny();
    let device = Device::flex();
    let mut rng = Rng::new(2);
    for mask in masks() {
        let frames = input_frames(mask);
        let n = frames * config.dit.tokens_per_frame();
        let [q, k, v] = [0; 3].map(|_| rng.normals(n * config.dit.dim));
        let expected = naive(&config, LONG, mask, &q, &k, &v);
        let tensor = |x: &[f32]| Tensor::<3>::from_data(TensorData::new(x.to_vec(), [1, n, config.dit.dim]), &device);
        let got = mask.library(&config.dit, frames, &device).attend(0, tensor(&q), tensor(&k), tensor(&v));
        let off = worst(&floats(got), &expected);
        assert!(off < 1e-4, "{mask:?}: the library differs from the definition by {off}");
        let fast = |kernels: Kernels| {
            let mut attend = attention::masked(mask, &config.dit, 1, frames, false);
            worst(&attend.forward(kernels, 0, q.clone(), k.clone(), v.clone()), &expected)
        };
        let off = fast(Kernels::F32);
        assert!(off < 1e-4, "{mask:?}: the fast path differs from the definition by {off}");
        // Factors of eight bits change logits of size one by a hundredth or so; which frames are the best may then change, too.
        if !matches!(mask, Mask::TeacherForcing { route: Best { frames: 1.., .. }, .. }) {
            let off = fast(Kernels::fastest());
            assert!(off < 0.03, "{mask:?}: the fastest kernels differ from the definition by {off}");
        }
    }
}

/// The cost of a long window is linear in its length.
#[test]
fn tiles_hold_what_is_seen_and_little_else() {
    for (frames, window, sink, rows) in
        [(12, 0, 0, 16), (128, 24, 0, 64), (128, 24, 3, 96), (30, 40, 2, 8), (9, 1, 0, 500)]
    {
        let ring = Ring { window, sink };
        let tiles = ring.tiles(frames, rows);
        let all: Vec<usize> = tiles.iter().flat_map(|tile| tile.frames.clone()).collect();
        assert_eq!(all, (0..frames).collect::<Vec<_>>(), "{ring:?}");
        for tile in &tiles {
            let most = if window == 0 { frames } else { window - 1 + tile.frames.len() };
            assert!(tile.columns() <= most, "{ring:?}: {tile:?}");
            for frame in tile.frames.clone() {
                let held = if window == 0 { frame } else { frame.min(window - 1) };
                let (sink, past) = ring.seen(tile, frame);
                assert_eq!(sink + past.len(), held, "{ring:?}: {tile:?}, frame {frame}");
            }
        }
    }
}

/// Frames that are not shown to a window are what the runtime has where a stream begins: zeros.
#[test]
fn a_blind_window_sees_zeros_before_every_frame() {
    let config = tiny();
    let mut rng = Rng::new(6);
    let mut w = windows(&config, 3, 4, &mut rng);
    w.blind = vec![false, true, false];
    let row = w.frames * w.len;
    for input in [w.doubled(&w.real, &w.real, &[0.5; 12]), w.sequence(&w.real, &[0.5; 12])] {
        for (i, previous) in input.previous.chunks_exact(row).enumerate() {
            let b = i * 3 * row / input.previous.len();
            assert_eq!(previous.iter().all(|&x| x == 0.0), b == 1, "window {b}");
        }
    }
    // Nor has what is not shown a gradient.
    let ones = vec![1.0; 2 * 3 * row];
    let [history, _] = w.arranged_back(Mask::teacher_forcing(0), &vec![0.0; 2 * 3 * row], &ones);
    for (b, history) in history.chunks_exact(row).enumerate() {
        assert_eq!(history.iter().all(|&x| x == 0.0), b == 1, "window {b}");
    }
    assert_eq!(w.worlds(1, 2).blind, [true, false]);
    with_world(&config, true, 4, |world| {
        let world = World { drop_prev: 0.5, ..world };
        let blind = world.windows(1000, &mut Rng::new(1)).blind.iter().filter(|&&blind| blind).count();
        assert!((400..600).contains(&blind), "{blind} of 1000 windows");
    });
}

#[test]
fn the_flow_loss_has_the_gradient_of_finite_differences() {
    let config = tiny();
    let base = weights(&config);
    let mut rng = Rng::new(3);
    let w = windows(&config, 1, 2, &mut rng);
    let sigma = [0.7, 0.3];
    let noise = rng.normals(w.real.len());
    let noisy = w.mix(&w.real, &noise, &sigma);
    let target: Vec<f32> = noise.iter().zip(&w.real).map(|(e, x)| e - x).collect();
    let target = dit::to_tokens(&config.dit, &target);
    let input: Frames = w.doubled(&w.real, &noisy, &sigma);
    let loss = |weights: &Weights, device: &Device| {
        let net = weights.leaves(device);
        let v = judged_velocity(&net, &config, Mask::teacher_forcing(0), &input);
        let error = v.clone() - net.constant(target.clone(), v.dims());
        (net, (error.clone() * error).mean())
    };
    let (net, value) = loss(&base, &Device::flex().autodiff());
    let mut grads = value.backward();
    let mut flat = vec![0.0; base.data.len()];
    assert_eq!(base.gather(&net, &mut grads, &mut flat), base.entries().len());
    let slopes = slopes(&base, &flat, REACH, |moved| floats(loss(moved, &Device::flex()).1)[0]);
    assert_slopes("flow", &slopes, 0.02);
}

#[test]
fn tokens_and_pictures_convert_back_and_forth() {
    let config = tiny();
    let frames = Rng::new(4).normals(3 * config.dit.latent_len());
    assert_eq!(dit::from_tokens(&config.dit, &dit::to_tokens(&config.dit, &frames)), frames);
}

#[test]
fn the_fast_path_has_the_library_s_answer_and_gradient() {
    let config = tiny();
    let weights = weights(&config);
    let mut rng = Rng::new(5);
    let w = windows(&config, 2, LONG, &mut rng);
    for mask in masks() {
        let rows = mask.judged(input_frames(mask));
        let sigma: Vec<f32> = (0..2 * rows).map(|_| rng.unit()).collect();
        let noisy = rng.normals(2 * rows * w.len);
        let input = w.arranged(mask, &w.real, &noisy, &sigma);
        let slope = rng.normals(input.latents.len());
        let net = weights.leaves(&Device::flex().autodiff());
        let mut doubled = mask.library(&config.dit, input.frames, net.device());
        let slow = dit::forward(&net, &config.dit, &input, doubled.as_mut());
        let dims = slow.dims();
        let mut grads = (slow.clone() * net.constant(slope.clone(), dims)).sum().backward();
        let mut slow_grad = vec![0.0; weights.data.len()];
        weights.gather(&net, &mut grads, &mut slow_grad);

        let fast = Network::new(&weights, &config.dit);
        let mut attend = attention::masked(mask, &config.dit, 2, input.frames, true);
        let (out, trace) = fast.forward(&input, attend.as_mut(), true);
        let off = worst(&out, &floats(slow));
        assert!(off < 2e-4, "{mask:?}: answers differ by {off}");
        let mut grad = vec![0.0; weights.data.len()];
        fast.backward(&input, trace.expect("kept"), attend.as_mut(), &slope, &mut grad);
        for entry in weights.entries() {
            let at = entry.offset..entry.offset + entry.len();
            let norm = slow_grad[at.clone()].iter().map(|g| g * g).sum::<f32>().sqrt();
            let off = grad[at.clone()].iter().zip(&slow_grad[at]).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
            assert!(off < 1e-3 * norm + 1e-4, "{mask:?}, {}: gradients differ by {off} of {norm}", entry.name);
        }
    }
}
