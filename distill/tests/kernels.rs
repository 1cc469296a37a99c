//! Products of bf16 factors against the same in f64.

use causeway_distill::net::fast::bf16::{Bf16, Start};
use causeway_distill::net::fast::kernels::Kernels;
use causeway_distill::net::fast::linalg::Router;
use causeway_distill::net::mask::Best;
use causeway_distill::rng::Rng;

/// Rows, inner size and columns: the networks' own, and every kind of edge.
const SHAPES: [[usize; 3]; 16] = [
    [1, 1, 1],
    [1, 2, 33],
    [7, 3, 31],
    [8, 24, 24],
    [9, 31, 32],
    [16, 32, 272],
    [17, 33, 48],
    [33, 64, 65],
    [40, 96, 192],
    [64, 192, 96],
    [34, 576, 80],
    [16, 1100, 40],
    [128, 224, 672],
    [50, 1030, 32],
    [1300, 64, 33],
    [224, 48, 16],
];

/// Every way this CPU has to multiply bf16 factors.
fn ways() -> Vec<Bf16> {
    let Some(bf16) = Bf16::detect() else {
        eprintln!("this CPU has no bf16 products");
        return Vec::new();
    };
    if bf16.has_matrix_unit() {
        vec![bf16, bf16.without_matrix_unit()]
    } else {
        eprintln!("this CPU has no matrix unit, or its kernel does not lend it");
        vec![bf16]
    }
}

/// The value a factor is rounded to: eight bits of significance, ties to even.
fn rounded(x: f32) -> f64 {
    f64::from(half::bf16::from_f32(x).to_f32())
}

/// Largest distance of `found` from `start` + the sum over k of a(i, k) b(k, j), in units of what f32 sums of these terms may be off.
fn worst(
    [m, k, n]: [usize; 3],
    found: &[f32],
    start: impl Fn(usize, usize) -> f32,
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> f64 {
    let mut worst = 0.0f64;
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let term = |l: usize| rounded(a(i, l)) * rounded(b(l, j));
        let (first, sum) = (f64::from(start(i, j)), (0..k).map(term).sum::<f64>());
        // k sums, each rounded to 24 bits (pairs may be rounded on their way), of terms no larger than these in all.
        let room = (first.abs() + (0..k).map(|l| term(l).abs()).sum::<f64>()) * k as f64 * 2.0f64.powi(-23);
        worst = worst.max((f64::from(found[i * n + j]) - first - sum).abs() / room.max(1e-30));
    }
    worst
}

#[test]
fn products_are_sums_of_rounded_factors() {
    let mut rng = Rng::new(1);
    for (bf16, [m, k, n]) in ways().into_iter().flat_map(|bf16| SHAPES.map(|shape| (bf16, shape))) {
        let (a, b, bias, there) = (rng.normals(m * k), rng.normals(k * n), rng.normals(n), rng.normals(m * n));
        let rows = bf16.rows(&a, k, [m, k]);
        // The right side as it is, and from its transposed matrix.
        let flipped: Vec<f32> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
        let sides = [bf16.panels(&bf16.rows(&b, n, [k, n])), bf16.transposed(&bf16.rows(&flipped, k, [n, k]))];
        let (left, right) = (|i: usize, l: usize| a[i * k + l], |l: usize, j: usize| b[l * n + j]);
        for side in &sides {
            let starts = [Start::Zero, Start::Row(&bias), Start::There];
            for (number, start) in starts.into_iter().enumerate() {
                let mut found = there.clone();
                bf16.product(&rows, side, start, &mut found, n);
                let first = |i: usize, j: usize| [0.0, bias[j], there[i * n + j]][number];
                let off = worst([m, k, n], &found, first, left, right);
                assert!(off <= 1.0, "{m}x{k}x{n}, start {number}: {off} times what rounding explains");
            }
        }
        // The left side transposed: a^T has k rows, summed over m.
        let grad = rng.normals(m * n);
        let (left, right) = (bf16.panels(&rows), bf16.panels(&bf16.rows(&grad, n, [m, n])));
        let mut found = vec![0.5; k * n];
        bf16.transposed_product(&left, &right, Start::There, &mut found, n);
        let off = worst([k, m, n], &found, |_, _| 0.5, |i, l| a[l * k + i], |l, j| grad[l * n + j]);
        assert!(off <= 1.0, "{m}x{k}x{n}, transposed: {off} times what rounding explains");
    }
}

#[test]
fn a_product_writes_its_columns_alone() {
    for (bf16, m) in ways().into_iter().flat_map(|bf16| [9, 16, 50].map(|m| (bf16, m))) {
        let (k, n, distance) = (5, 40, 70);
        let mut rng = Rng::new(2);
        let (a, b) = (rng.normals(m * 80), rng.normals(k * n));
        // Rows of a matrix inside another.
        let rows = bf16.rows(&a[3..], 80, [m, k]);
        let mut found = vec![7.0; m * distance];
        bf16.product(&rows, &bf16.panels(&bf16.rows(&b, n, [k, n])), Start::Zero, &mut found, distance);
        assert!(found.chunks(distance).all(|row| row[n..].iter().all(|&x| x == 7.0)), "a row reaches into the next");
        let inside: Vec<f32> = found.chunks(distance).flat_map(|row| row[..n].to_vec()).collect();
        let off = worst([m, k, n], &inside, |_, _| 0.0, |i, l| a[3 + i * 80 + l], |l, j| b[l * n + j]);
        assert!(off <= 1.0, "{off} times what rounding explains");
        // The same of a transposed left side, wider and narrower than the right one.
        let flipped: Vec<f32> = (0..k * m).map(|i| a[3 + i % m * 80 + i / m]).collect();
        let (left, right) = (bf16.panels(&bf16.rows(&flipped, m, [k, m])), bf16.panels(&bf16.rows(&b, n, [k, n])));
        let mut found = vec![7.0; m * distance];
        bf16.transposed_product(&left, &right, Start::Zero, &mut found, distance);
        assert!(found.chunks(distance).all(|row| row[n..].iter().all(|&x| x == 7.0)), "a row reaches into the next");
    }
}

#[test]
fn sliding_rows_and_shifted_pairs() {
    let mut rng = Rng::new(4);
    for bf16 in ways() {
        for [rows, step, first, k, n] in
            [[1, 2, 0, 2, 1], [9, 4, 6, 12, 5], [21, 24, 48, 72, 40], [30, 2, 2, 34, 33], [55, 6, 2, 128, 48]]
        {
            let a = rng.normals(first + rows * step + k);
            let b = rng.normals(k * n);
            let mut found = vec![0.0; rows * n];
            let panels = bf16.panels(&bf16.rows(&b, n, [k, n]));
            let all = bf16.rows(&a, a.len(), [1, a.len()]);
            bf16.sliding_product(&all, [first, step], rows, &panels, Start::Zero, &mut found, n);
            let off = worst([rows, k, n], &found, |_, _| 0.0, |i, l| a[first + i * step + l], |l, j| b[l * n + j]);
            assert!(off <= 1.0, "{rows} rows, {step} apart: {off} times what rounding explains");
        }
        for [k, shift, m, n] in [[1, 0, 3, 2], [40, 5, 24, 48], [61, 8, 33, 12], [600, 1, 10, 34], [128, 20, 70, 33]] {
            let (a, b) = (rng.normals((k + 2 * shift) * m), rng.normals(k * n));
            let left = bf16.panels(&bf16.rows(&a, m, [k + 2 * shift, m]));
            let right = bf16.panels(&bf16.rows(&b, n, [k, n]));
            let mut found = vec![0.0; m * n];
            bf16.shifted_product(&left, shift, &right, Start::Zero, &mut found, n);
            let off = worst([m, k, n], &found, |_, _| 0.0, |i, l| a[(l + 2 * shift) * m + i], |l, j| b[l * n + j]);
            assert!(off <= 1.0, "{k} rows from pair {shift} on: {off} times what rounding explains");
        }
    }
}

#[test]
fn changed_values_are_packed_anew() {
    use causeway_distill::net::fast::kernels::{Side, Values};
    let Some(bf16) = Bf16::detect() else { return };
    let mut values = Values::from(vec![1.0; 64]);
    let ones = bf16.rows(&[1.0; 8], 8, [1, 8]);
    let answer = |values: &Values| {
        let mut y = vec![0.0; 8];
        bf16.product(&ones, &values.packed(bf16, 0, [8, 8], Side::Forward), Start::Zero, &mut y, 8);
        y
    };
    assert_eq!(answer(&values), [8.0; 8]);
    values[8] = 3.0;
    assert_eq!(answer(&values), [8.0, 10.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]);
    assert_eq!(answer(&values.clone()), answer(&values));
}

#[test]
fn exponentials_are_those_of_f64() {
    use causeway_distill::net::fast::vector::{gelu, gelu_back, softmax};
    let Some(bf16) = Bf16::detect() else { return };
    let mut rng = Rng::new(3);
    let near = |what: &str, x: f64, found: f32, expected: f64, room: f64| {
        assert!((f64::from(found) - expected).abs() <= room, "{what} at {x}: {found}, expected {expected}");
    };
    for len in [1, 5, 16, 33, 300] {
        for scale in [0.1, 3.0, 60.0] {
            let x: Vec<f32> = rng.normals(len).iter().map(|x| scale * x).collect();
            let top = x.iter().fold(f64::MIN, |top, &x| top.max(f64::from(x)));
            let total: f64 = x.iter().map(|&x| (f64::from(x) - top).exp()).sum();
            let mut p = x.clone();
            softmax(bf16, &mut p);
            for (&x, &p) in x.iter().zip(&p) {
                let expected = (f64::from(x) - top).exp() / total;
                near("softmax", x.into(), p, expected, 3e-6 * expected + 1e-36);
            }
            let (mut y, mut slope) = (vec![0.0; len], vec![2.0; len]);
            gelu(bf16, &x, &mut y);
            gelu_back(bf16, &x, &mut slope);
            for ((&x, &y), &slope) in x.iter().zip(&y).zip(&slope) {
                let (x, a, b) = (f64::from(x), f64::from(1.595_769_f32), f64::from(0.044_715_f32));
                let gate = 1.0 / (1.0 + (-a * (x + b * x * x * x)).exp());
                near("GELU", x, y, x * gate, 3e-6 * (x * gate).abs() + 1e-12);
                let expected = gate + x * gate * (1.0 - gate) * a * (1.0 + 3.0 * b * x * x);
                near("slope of GELU", x, slope, 2.0 * expected, 2e-5);
            }
        }
    }
    // What is hidden has no weight, and the largest numbers no infinities.
    let mut row = [f32::MIN, 0.0, 88.0, f32::MIN];
    softmax(bf16, &mut row);
    assert!(row[2] == 1.0 && row[0] < 1e-36 && row[3] < 1e-36, "{row:?}");
    let mut slope = [1.0, 1.0];
    gelu_back(bf16, &[-1e6, 1e6], &mut slope);
    assert!(slope[0].abs() < 1e-20 && slope[1] == 1.0, "{slope:?}");
}

#[test]
fn what_is_brought_together_for_a_softmax_is_put_back() {
    let mut rng = Rng::new(6);
    for (bf16, [frames, s, route]) in ways().into_iter().flat_map(|bf16| {
        [[0, 5, 2], [1, 4, 1], [3, 4, 3], [9, 4, 2], [9, 16, 8], [20, 64, 5], [7, 3, 0], [12, 5, 1]]
            .map(|size| (bf16, size))
    }) {
        let (mut exact, mut quick) = (Router::new(Best::of(route)), Router::new(Best::of(route)));
        exact.begin(frames);
        quick.begin(frames);
        for _ in 0..3 {
            let mut p: Vec<f32> = rng.normals((frames + 1) * s).iter().map(|x| 3.0 * x).collect();
            let mut q = p.clone();
            exact.softmax(Kernels::F32, &mut p, s, &[]);
            quick.softmax(Kernels::Bf16(bf16), &mut q, s, &[]);
            let off = p.iter().zip(&q).map(|(p, q)| (p - q).abs()).fold(0.0, f32::max);
            assert!(off < 1e-6, "{frames} frames of {s}, route {route}: {off}");
            let seen = (0..frames).filter(|f| q[f * s..(f + 1) * s].iter().any(|&x| x > 0.0)).count();
            assert_eq!(
                seen,
                if route == 0 { frames } else { route.min(frames) },
                "{frames} frames of {s}, route {route}"
            );
        }
        assert!((0..frames).all(|f| exact.used(f) == quick.used(f)));
    }
}
