//! AdamW, clipping and averaging against their definitions in double precision.

use causeway_distill::net::weights::{Init, Spec, Weights};
use causeway_distill::rng::Rng;
use causeway_distill::train::optim::{Optimizer, Part, Rule};
use causeway_distill::train::state::State;

const LEN: usize = 6;

fn fresh() -> State {
    State::new(Weights::init(&[Spec::new("x", &[LEN], Init::Normal(1.0))], 1))
}

fn all() -> Part {
    Part { range: 0..LEN, rate: 1.0 }
}

/// Steps as Loshchilov and Hutter define them, with the whole gradient cut to length `clip` first.
fn naive(rule: &Rule, start: &[f32], grads: &[Vec<f32>], rate: f64) -> Vec<f64> {
    let mut w: Vec<f64> = start.iter().map(|&x| f64::from(x)).collect();
    let (mut m, mut v) = (vec![0.0; LEN], vec![0.0; LEN]);
    let [b1, b2, decay, clip] = [rule.beta1, rule.beta2, rule.decay, rule.clip].map(f64::from);
    for (t, grad) in grads.iter().enumerate() {
        let norm = grad.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        for i in 0..LEN {
            let g = f64::from(grad[i]) * (clip / norm).min(1.0);
            m[i] = b1 * m[i] + (1.0 - b1) * g;
            v[i] = b2 * v[i] + (1.0 - b2) * g * g;
            let (c1, c2) = (1.0 - b1.powi(t as i32 + 1), 1.0 - b2.powi(t as i32 + 1));
            w[i] -= rate * (m[i] / c1 / ((v[i] / c2).sqrt() + 1e-8) + decay * w[i]);
        }
    }
    w
}

#[test]
fn steps_are_those_of_the_definition() {
    let mut rng = Rng::new(1);
    let grads: Vec<Vec<f32>> =
        (0..20).map(|i| rng.normals(LEN).iter().map(|g| g * (1 + i % 3) as f32).collect()).collect();
    // Gradients of length 2 to 8: a clip of 1 always cuts, one of 5 sometimes, none never.
    for clip in [1.0, 5.0, f32::INFINITY] {
        let rule = Rule { clip, decay: 0.1, ..Rule::default() };
        let mut state = fresh();
        let expected = naive(&rule, &state.weights.data, &grads, 0.02);
        for grad in &grads {
            let norm = rule.step(&mut state, grad, &all(), 0.02, 1);
            let true_norm = grad.iter().map(|g| g * g).sum::<f32>().sqrt();
            assert!((norm - true_norm).abs() < 1e-4, "the norm before clipping is {true_norm}, not {norm}");
        }
        for (found, expected) in state.weights.data.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "clip {clip}: {found} is not {expected}");
        }
    }
}

#[test]
fn the_average_follows_the_weights() {
    let grad = vec![1.0; LEN];
    for (ema, steps) in [(0.0, 3), (0.9, 400)] {
        let rule = Rule { ema, ..Rule::default() };
        let mut state = fresh();
        let mut expected: Vec<f64> = state.weights.data.iter().map(|&x| f64::from(x)).collect();
        for t in 1..=steps {
            rule.step(&mut state, &grad, &all(), 1e-2, 1);
            // Quicker at first, so that the random start is forgotten.
            let keep = f64::from(ema).min((1.0 + f64::from(t)) / (10.0 + f64::from(t)));
            expected
                .iter_mut()
                .zip(&state.weights.data)
                .for_each(|(e, &w)| *e = keep * *e + (1.0 - keep) * f64::from(w));
        }
        for ((found, expected), weight) in state.averaged().data.iter().zip(expected).zip(&state.weights.data) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "ema {ema}: {found} is not {expected}");
            assert!(ema > 0.0 || found == weight, "no average is the weights themselves");
        }
    }
}

#[test]
fn only_the_part_moves_and_nothing_along_nan() {
    let rule = Rule::default();
    let mut state = fresh();
    let start = state.weights.data.clone();
    rule.step(&mut state, &[1.0; LEN], &Part { range: 2..4, rate: 0.5 }, 0.1, 1);
    let moved: Vec<bool> = state.weights.data.iter().zip(&start).map(|(a, b)| a != b).collect();
    assert_eq!(moved, [false, false, true, true, false, false]);

    let before = state.clone();
    let norm = rule.step(&mut state, &[f32::NAN; LEN], &all(), 0.1, 1);
    assert!(!norm.is_finite());
    assert_eq!((state.weights.data, state.ema, state.step), (before.weights.data, before.ema, 2));
}

#[test]
fn the_rate_warms_up_and_falls() {
    let rule = Rule { rate: 1.0, warmup: 10, ..Rule::default() };
    let at = |step: u64| rule.rate_at(step, step as f64 / 100.0);
    assert!((at(0) - 0.1).abs() < 1e-3 && at(9) > 0.97 && (9..99).all(|s| at(s + 1) < at(s)));
    assert!((rule.rate_at(100, 1.0) - 0.05).abs() < 1e-6);
}

/// Muon moves the matrices of blocks alone, by the same step whoever computes it and however faint the gradient; all else goes as with AdamW.
#[test]
fn muon_moves_the_matrices_of_blocks() {
    let specs = [
        Spec::new("head.weight", &[4, 6], Init::Normal(1.0)),
        Spec::new("blocks.0.q.weight", &[6, 6], Init::Normal(1.0)),
        Spec::new("blocks.0.q.bias", &[6], Init::Zero),
        Spec::new("blocks.1.ffn.weight", &[12, 6], Init::Normal(1.0)),
    ];
    let n = 24 + 36 + 6 + 72;
    let mut rng = Rng::new(3);
    let grads: Vec<Vec<f32>> = (0..4).map(|_| rng.normals(n)).collect();
    let run = |optimizer, scale: f32, threads| {
        let rule = Rule { optimizer, clip: f32::INFINITY, decay: 0.0, ..Rule::default() };
        let mut state = State::new(Weights::init(&specs, 1));
        for grad in &grads {
            let grad: Vec<f32> = grad.iter().map(|g| g * scale).collect();
            rule.step(&mut state, &grad, &Part { range: 0..n, rate: 1.0 }, 0.01, threads);
        }
        state.weights.data.to_vec()
    };
    let (adamw, muon) = (run(Optimizer::Adamw, 1.0, 1), run(Optimizer::Muon, 1.0, 1));
    assert_eq!(muon, run(Optimizer::Muon, 1.0, 3), "threads make no difference");
    assert_eq!(adamw[..24], muon[..24], "a head is no block");
    assert_eq!(adamw[60..66], muon[60..66], "nor is a bias a matrix");
    let start = Weights::init(&specs, 1).data.to_vec();
    let faint = run(Optimizer::Muon, 1e-3, 1);
    for at in [24..60, 66..138] {
        assert_ne!(adamw[at.clone()], muon[at.clone()]);
        let moved = |w: &[f32]| at.clone().map(|i| (w[i] - start[i]).powi(2)).sum::<f32>().sqrt();
        assert!(moved(&muon) > 0.01, "it moves: {}", moved(&muon));
        assert!((moved(&faint) / moved(&muon) - 1.0).abs() < 1e-2, "by its direction, not its size");
    }
}
