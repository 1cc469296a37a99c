//! The two implementations of the codec agree, and a stream is a clip.

mod tiny;

use burn::tensor::Device;
use causeway_distill::footage::latents;
use causeway_distill::net::codec::{self, Past};
use causeway_distill::net::codec_tape::{PULL, Pass};
use causeway_distill::net::fast::kernels::Kernels;
use causeway_distill::net::weights::{Weights, floats};
use causeway_distill::rng::Rng;
use causeway_runtime::config::{CodecConfig, CodecKind};

use self::tiny::{off, recording};

fn tiny() -> CodecConfig {
    CodecConfig {
        kind: CodecKind::Taehv,
        channels: 4,
        patch: 2,
        widths: [10, 8, 6, 5],
        blocks: 1,
        space_up: [true, true, false],
        time_up: [1, 1, 1],
        encoder: 0,
        warmup: 0,
    }
}

#[test]
fn tape_and_tensor_library_give_the_same_loss_and_gradient() {
    // With widths of pairs all products can be of bf16; with odd ones some cannot.
    let even = CodecConfig { widths: [10, 8, 6, 4], ..tiny() };
    for (config, kernels, room) in [
        (tiny(), Kernels::F32, [1e-5, 1e-4]),
        (tiny(), Kernels::fastest(), [2e-3, 0.03]),
        (even, Kernels::fastest(), [2e-3, 0.03]),
    ] {
        same_loss_and_gradient(&config, kernels, room);
    }
}

/// `room` for the loss, relative, and for each gradient, relative to the norm of all.
fn same_loss_and_gradient(config: &CodecConfig, kernels: Kernels, [loss_room, room]: [f32; 2]) {
    let weights = Weights::init(&codec::specs(config), 3).on(kernels);
    let (time, n, side) = (3, 6, 16);
    let mut rng = Rng::new(5);
    let frames: Vec<f32> = (0..n * 3 * side * side).map(|_| rng.unit()).collect();

    let mut fast = vec![0.0; weights.data.len()];
    let fast_loss = Pass::new(&weights, config, time).step(&frames, [n, side, side], 0.0, &mut rng, &mut fast);

    let net = weights.leaves(&Device::flex().autodiff());
    let real = net.constant(frames, [n, 3, side, side]);
    let latents = codec::encode(&net, config, real.clone(), time, &mut Past::default());
    let made = codec::decode(&net, config, latents.clone(), time, &mut Past::default());
    let loss = codec::loss(made, real) + (latents.clone() * latents).mean() * PULL;
    let mut grads = loss.backward();
    let mut slow = vec![0.0; weights.data.len()];
    assert_eq!(weights.gather(&net, &mut grads, &mut slow), weights.entries().len());

    let slow_loss = floats(loss)[0];
    assert!(
        (fast_loss - slow_loss).abs() < loss_room * slow_loss,
        "{kernels:?}: loss {fast_loss} on the tape, {slow_loss} in the library"
    );
    let norm = slow.iter().map(|g| g * g).sum::<f32>().sqrt();
    for entry in weights.entries() {
        let at = entry.offset..entry.offset + entry.len();
        let off = fast[at.clone()].iter().zip(&slow[at]).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        assert!(off < room * norm, "{kernels:?}, {}: gradients differ by {off}, norm of all is {norm}", entry.name);
    }
}

#[test]
fn both_ways_to_encode_a_recording_give_the_same_latents() {
    let mut recording = recording();
    // Episodes shorter and longer than what is encoded at once.
    for start in [2, 5] {
        recording.episode_starts[start] = 1;
    }
    let linear = CodecConfig { kind: CodecKind::Linear, ..tiny() };
    for config in [tiny(), CodecConfig { blocks: 2, ..tiny() }, linear] {
        let mut weights = Weights::init(&codec::specs(&config), 3);
        let mut rng = Rng::new(4);
        weights.data.iter_mut().for_each(|w| *w += 0.1 * rng.normal());
        let slow = latents::encode(&recording, &weights, &config, Some(&Device::flex()), 1);
        for threads in [1, 3] {
            let fast = latents::encode(&recording, &weights, &config, None, threads);
            assert_eq!(fast.len(), slow.len());
            let distance = off(&slow, &fast);
            assert!(distance < 1e-5, "{:?}, {threads} threads: off by {distance}", config.kind);
            // Up to 26 products, each with two factors rounded to eight bits, of whose sums half may cancel.
            let fast = latents::encode(&recording, &weights.clone().on(Kernels::fastest()), &config, None, threads);
            let distance = off(&slow, &fast);
            assert!(distance < 2.0 * 52.0f64.sqrt() / 512.0, "{:?}, fastest kernels: off by {distance}", config.kind);
        }
    }
}

#[test]
fn a_stream_decodes_to_the_same_frames_as_a_clip() {
    let config = tiny();
    let weights = Weights::init(&codec::specs(&config), 4);
    let net = weights.leaves(&Device::flex());
    let values = Rng::new(6).normals(5 * 4 * 4 * 4);
    let clip = net.constant(values.clone(), [5, 4, 4, 4]);
    let whole = floats(codec::decode(&net, &config, clip, 5, &mut Past::default()));
    let (mut past, mut streamed) = (Past::default(), Vec::new());
    for frame in values.chunks_exact(64) {
        let latent = net.constant(frame.to_vec(), [1, 4, 4, 4]);
        streamed.extend(floats(codec::decode(&net, &config, latent, 1, &mut past)));
    }
    let worst = whole.iter().zip(&streamed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "stream and clip differ by {worst}");
}
