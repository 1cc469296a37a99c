//! The linear codec: the principal components of squares of pixels.
//!
//! Among all matrices with so many channels these lose least. Components are orthonormal, so the decoder is the encoder transposed.

use causeway_runtime::config::CodecConfig;

use crate::footage::data::planes;
use crate::footage::recording::Recording;
use crate::net::codec;
use crate::net::weights::Weights;

/// Frames that are looked at, evenly spread; more change nothing that can be seen.
const FRAMES: usize = 4000;

/// The codec of `c` that loses least of the pictures of `recording`.
pub fn fit(recording: &Recording, c: &CodecConfig) -> Weights {
    let n = 3 * c.patch * c.patch;
    let (mean, covariance) = moments(recording, c.patch, n);
    let components = eigenvectors(covariance, n);
    let mut weights = Weights::init(&codec::specs(c), 0);
    let mut fill = |name: &str, value: &dyn Fn(usize) -> f64| {
        let entry = weights.entries().iter().find(|entry| entry.name == name).cloned();
        if let Some(entry) = entry {
            (0..entry.len()).for_each(|i| weights.data[entry.offset + i] = value(i) as f32);
        }
    };
    let along = |component: usize| (0..n).map(|i| components[component * n + i] * mean[i]).sum::<f64>();
    fill("linear.encoder.weight", &|i| components[i]);
    fill("linear.encoder.bias", &|i| -along(i));
    fill("linear.decoder.weight", &|i| components[i % c.channels * n + i / c.channels]);
    fill("linear.decoder.bias", &|i| mean[i]);
    weights
}

/// PSNR in dB of frames of `recording` after the codec `weights` of `c`.
pub fn kept(recording: &Recording, weights: &Weights, c: &CodecConfig) -> f64 {
    let n = 3 * c.patch * c.patch;
    let get = |name: &str| weights.tensor(name).map_or(&[][..], |(_, values)| values);
    let [decoder, mean] = ["linear.decoder.weight", "linear.decoder.bias"].map(get);
    // What is lost lies across all components.
    let lost = |square: &[f64]| {
        let centred: Vec<f64> = square.iter().zip(mean).map(|(x, &mean)| x - f64::from(mean)).collect();
        let along = |k: usize| (0..n).map(|i| centred[i] * f64::from(decoder[i * c.channels + k])).sum::<f64>();
        centred.iter().map(|x| x * x).sum::<f64>() - (0..c.channels).map(|k| along(k).powi(2)).sum::<f64>()
    };
    let (mut sum, mut count) = (0.0, 0usize);
    squares(recording, c.patch, recording.len().div_ceil(200), |square| {
        sum += lost(square);
        count += n;
    });
    crate::footage::data::psnr(sum / count.max(1) as f64)
}

/// Calls `f` with each square of `side` pixels of every `step`-th frame, in pixel-unshuffle order.
fn squares(recording: &Recording, side: usize, step: usize, mut f: impl FnMut(&[f64])) {
    let (width, height) = (recording.info.width, recording.info.height);
    let mut square = vec![0.0f64; 3 * side * side];
    for frame in (0..recording.len()).step_by(step) {
        let pixels = planes(recording, frame..frame + 1);
        for top in (0..height).step_by(side) {
            for left in (0..width).step_by(side) {
                for (i, value) in square.iter_mut().enumerate() {
                    let (colour, y, x) = (i / side / side, top + i / side % side, left + i % side);
                    *value = f64::from(pixels[(colour * height + y) * width + x]);
                }
                f(&square);
            }
        }
    }
}

/// Mean [n] and covariance [n, n] of the squares of `side` pixels, in pixel-unshuffle order.
fn moments(recording: &Recording, side: usize, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut sum, mut products, mut count) = (vec![0.0f64; n], vec![0.0f64; n * n], 0.0);
    squares(recording, side, recording.len().div_ceil(FRAMES), |square| {
        for ((sum, row), &a) in sum.iter_mut().zip(products.chunks_exact_mut(n)).zip(square) {
            *sum += a;
            row.iter_mut().zip(square).for_each(|(sum, b)| *sum += a * b);
        }
        count += 1.0;
    });
    let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
    for (i, value) in products.iter_mut().enumerate() {
        *value = *value / count - mean[i / n] * mean[i % n];
    }
    (mean, products)
}

/// Eigenvectors of the symmetric matrix `a` [n, n], one a row, the largest eigenvalue first (cyclic Jacobi rotations).
fn eigenvectors(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let trace: f64 = (0..n).map(|i| a[i * n + i]).sum();
    for _ in 0..50 {
        let rest: f64 = (0..n * n).filter(|i| i / n != i % n).map(|i| a[i] * a[i]).sum();
        if rest.sqrt() <= 1e-12 * trace {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let off = a[p * n + q];
                if off == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cos = 1.0 / (t * t + 1.0).sqrt();
                let turn = |x: f64, y: f64| (cos * (x - t * y), cos * (y + t * x));
                for k in 0..n {
                    (a[k * n + p], a[k * n + q]) = turn(a[k * n + p], a[k * n + q]);
                }
                for k in 0..n {
                    (a[p * n + k], a[q * n + k]) = turn(a[p * n + k], a[q * n + k]);
                    (v[p * n + k], v[q * n + k]) = turn(v[p * n + k], v[q * n + k]);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    order.iter().flat_map(|&i| v[i * n..(i + 1) * n].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a codec keeps is said by what comes back, and one with all components keeps everything.
    #[test]
    fn a_codec_keeps_what_it_says() {
        use crate::footage::world::{Habits, KEEP, Scene, Size};
        use crate::net::codec::Past;
        let (scene, mut found) = (Scene { map: &KEEP, size: Size { width: 32, height: 32 } }, Vec::new());
        let shard = scene.play(1, 0, 60, || ());
        let recording = Recording {
            frames: shard.frames,
            actions: shard.actions,
            events: shard.events,
            poses: shard.poses,
            episode_starts: shard.episode_starts,
            info: scene.info(1, Habits::default()),
        };
        let frames = planes(&recording, 0..60);
        for channels in [6, 20, 48] {
            let c = CodecConfig::linear(channels, 4);
            let weights = fit(&recording, &c);
            let net = weights.leaves(&burn::tensor::Device::flex());
            let z = codec::encode(&net, &c, net.constant(frames.clone(), [60, 3, 32, 32]), 60, &mut Past::default());
            let back = crate::net::weights::floats(codec::decode(&net, &c, z, 60, &mut Past::default()));
            let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
            let error = back.iter().zip(&frames).map(square).sum::<f64>() / frames.len() as f64;
            let says = kept(&recording, &weights, &c);
            assert!(
                channels == 48 && says > 90.0 || (says - crate::footage::data::psnr(error)).abs() < 0.05,
                "{says}, {error}"
            );
            found.push(says);
        }
        assert!(found[0] < found[1] && found[1] < found[2]);
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let n = 7;
        let half: Vec<f64> = (0..n * n).map(|i| ((i * 37 % 101) as f64 - 50.0) / 50.0).collect();
        let product = |i: usize, j: usize| (0..n).map(|k| half[i * n + k] * half[j * n + k]).sum::<f64>();
        let a: Vec<f64> = (0..n * n).map(|i| product(i / n, i % n)).collect();
        let v = eigenvectors(a.clone(), n);
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let mut last = f64::INFINITY;
        for (i, row) in v.chunks_exact(n).enumerate() {
            let image: Vec<f64> = a.chunks_exact(n).map(|a| dot(a, row)).collect();
            let value = dot(&image, row);
            assert!(value <= last && image.iter().zip(row).all(|(y, x)| (y - value * x).abs() < 1e-9));
            assert!(
                v.chunks_exact(n)
                    .enumerate()
                    .all(|(j, other)| (dot(row, other) - f64::from(u8::from(i == j))).abs() < 1e-9)
            );
            last = value;
        }
    }
}
