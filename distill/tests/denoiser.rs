//! The denoiser's parts against their plain definitions.

mod tiny;

use burn::tensor::{Device, Tensor, TensorData};
use causeway_distill::dit::{self, Frames};
use causeway_distill::latents::Windows;
use causeway_distill::mask::Mask;
use causeway_distill::method::teacher_forcing::{World, judged_velocity};
use causeway_distill::rng::Rng;
use causeway_distill::rollout::{Engine, Rollout};
use causeway_distill::rope;
use causeway_distill::slope::slopes;
use causeway_distill::weights::{Weights, floats};
use causeway_runtime::config::ModelConfig;

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
        blind: Vec::new(),
    }
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_cached_roll_out_gives_what_the_doubled_sequence_gives() {
    let config = tiny();
    let weights = weights(&config);
    let net = weights.leaves(&Device::flex());
    let mut rng = Rng::new(1);
    let w = windows(&config, 2, 4, &mut rng);
    let sigma: Vec<f32> = (0..8).map(|_| rng.unit()).collect();
    let noisy = w.mix(&w.real, &rng.normals(w.real.len()), &sigma);
    for (engine, route) in [Engine::Library(&net), Engine::Fast(&weights)].into_iter().flat_map(|e| [(e, 0), (e, 2)]) {
        let doubled =
            floats(judged_velocity(&net, &config, Mask::TeacherForcing { route }, &w.doubled(&w.real, &noisy, &sigma)));
        let doubled = dit::from_tokens(&config.dit, &doubled);
        let mut rollout = Rollout::new(engine, &config.dit, 8, w.before.clone()).routed(route);
        for f in 0..4 {
            let (actions, events) = (w.at(&w.actions, f), w.at(&w.events, f));
            let v = rollout.velocity(&w.at(&noisy, f), &w.at(&sigma, f), &actions, &events);
            let off = worst(&v, &w.at(&doubled, f));
            assert!(off < 2e-4, "route {route}, frame {f}: cached and doubled passes differ by {off}");
            rollout.commit(&w.at(&w.real, f), &actions, &events);
        }
    }
}

/// Spec 1.7 and 2.10 word for word: one query at a time, f64.
fn naive(c: &ModelConfig, frames: usize, mask: Mask, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
    let (c, s) = (&c.dit, c.dit.tokens_per_frame());
    let (d, n) = (c.head_dim(), q.len() / c.dim);
    let positions: Vec<usize> = (0..n / s).map(|frame| frame % frames).collect();
    let angles = rope::angles(c, &positions);
    let rotate = |x: &[f32]| -> Vec<f64> {
        let mut out = vec![0.0; x.len()];
        for i in 0..n {
            for h in 0..c.heads {
                for j in (0..d).step_by(2) {
                    let (at, angle) = (i * c.dim + h * d + j, f64::from(angles[i * d + j]));
                    let (a, b) = (f64::from(x[at]), f64::from(x[at + 1]));
                    out[at] = a * angle.cos() - b * angle.sin();
                    out[at + 1] = a * angle.sin() + b * angle.cos();
                }
            }
        }
        out
    };
    let (q, k) = (rotate(q), rotate(k));
    let mut out = vec![0.0f32; q.len()];
    for i in 0..n {
        let frame = i / s;
        for h in 0..c.heads {
            let dot = |j: usize| (0..d).map(|e| q[i * c.dim + h * d + e] * k[j * c.dim + h * d + e]).sum::<f64>();
            let others: Vec<usize> = match mask {
                Mask::Full => (0..frames).filter(|&g| g != frame).collect(),
                Mask::Causal => (0..frame).collect(),
                Mask::TeacherForcing { route } => {
                    let mut past: Vec<(f64, usize)> =
                        (0..frame % frames).map(|g| ((g * s..(g + 1) * s).map(dot).sum::<f64>(), g)).collect();
                    if route > 0 {
                        // The newest frame is always seen.
                        past.iter_mut().filter(|p| p.1 + 1 == frame % frames).for_each(|p| p.0 = f64::MAX);
                        past.sort_by(|a, b| b.0.total_cmp(&a.0));
                        past.truncate(route);
                    }
                    past.into_iter().map(|p| p.1).collect()
                }
            };
            let seen = others.into_iter().chain([frame]).flat_map(|g| g * s..(g + 1) * s);
            let scores: Vec<(f64, usize)> = seen.map(|j| (dot(j) / (d as f64).sqrt(), j)).collect();
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
    let (frames, device) = (5, Device::flex());
    let mut rng = Rng::new(2);
    let routes = [0, 1, 2].map(|route| Mask::TeacherForcing { route });
    for mask in routes.into_iter().chain([Mask::Causal, Mask::Full]) {
        let all = if mask.window(2 * frames) == frames { 2 * frames } else { frames };
        let n = all * config.dit.tokens_per_frame();
        let [q, k, v] = [0; 3].map(|_| rng.normals(n * config.dit.dim));
        let tensor = |x: &[f32]| Tensor::<3>::from_data(TensorData::new(x.to_vec(), [1, n, config.dit.dim]), &device);
        let got = mask.library(&config.dit, all, &device).attend(0, tensor(&q), tensor(&k), tensor(&v));
        let off = worst(&floats(got), &naive(&config, frames, mask, &q, &k, &v));
        assert!(off < 1e-4, "{mask:?}: differs from the definition by {off}");
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
    let [history, _] = w.arranged_back(Mask::TeacherForcing { route: 0 }, &vec![0.0; 2 * 3 * row], &ones);
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
        let v = judged_velocity(&net, &config, Mask::TeacherForcing { route: 0 }, &input);
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
    use causeway_distill::fast::{attention, network::Network};
    let config = tiny();
    let weights = weights(&config);
    let mut rng = Rng::new(5);
    let w = windows(&config, 2, 3, &mut rng);
    let sigma: Vec<f32> = (0..6).map(|_| rng.unit()).collect();
    let noisy = w.mix(&w.real, &rng.normals(w.real.len()), &sigma);
    let input = w.doubled(&w.real, &noisy, &sigma);
    let slope = rng.normals(2 * w.real.len());

    let masks = [Mask::TeacherForcing { route: 0 }, Mask::TeacherForcing { route: 1 }, Mask::Causal, Mask::Full];
    for mask in masks {
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
