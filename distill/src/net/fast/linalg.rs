//! Matrices, norms and activations over rows, each with its gradient.

use gemm::Parallelism;

use super::kernels::Kernels;

/// A strided view of a matrix: values, distance between rows, distance between columns.
#[derive(Clone, Copy)]
pub struct View<'a>(pub &'a [f32], pub usize, pub usize);

impl View<'_> {
    /// The transposed matrix.
    pub fn t(self) -> Self {
        Self(self.0, self.2, self.1)
    }
}

/// dst (+)= a b for an m x k and a k x n matrix; `dst` has unit column distance and `dst_row` between rows.
pub fn product(add: bool, [m, k, n]: [usize; 3], a: View<'_>, b: View<'_>, dst: &mut [f32], dst_row: usize) {
    if m * n * k == 0 {
        return;
    }
    let last = |rows: usize, columns: usize, v: View<'_>| (rows - 1) * v.1 + (columns - 1) * v.2;
    assert!(last(m, k, a) < a.0.len() && last(k, n, b) < b.0.len() && (m - 1) * dst_row + n - 1 < dst.len());
    // SAFETY: the assertion bounds every element the strides can reach; `dst` is borrowed mutably, so it is disjoint.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            dst_row as isize,
            add,
            a.0.as_ptr(),
            a.2 as isize,
            a.1 as isize,
            b.0.as_ptr(),
            b.2 as isize,
            b.1 as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Runs a loop compiled for the widest vectors this CPU has. The closure must be `#[inline(always)]`-small code.
#[inline(always)]
pub fn wide<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
        unsafe fn widest<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn wider<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        let has = |wide: bool| wide && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if has(is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq")) {
            // SAFETY: the features were just detected.
            return unsafe { widest(f) };
        }
        if has(true) {
            // SAFETY: the features were just detected.
            return unsafe { wider(f) };
        }
    }
    f()
}

/// exp by a polynomial the compiler can vectorise; relative error below 2e-7, arguments clamped to +-87.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_66;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    y * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// y = x w^T + b for rows of x.
pub fn linear(x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let out = b.len();
    let (inputs, rows) = (w.len() / out, x.len() / (w.len() / out));
    let mut y = Vec::with_capacity(rows * out);
    for _ in 0..rows {
        y.extend_from_slice(b);
    }
    product(true, [rows, inputs, out], View(x, inputs, 1), View(w, 1, inputs), &mut y, out);
    y
}

/// Gradients of [`linear`]: adds those of w and b, returns that of x if wanted.
pub fn linear_back(x: &[f32], w: &[f32], dy: &[f32], dw: &mut [f32], db: &mut [f32], want_x: bool) -> Vec<f32> {
    let out = db.len();
    let (inputs, rows) = (w.len() / out, dy.len() / out);
    product(true, [out, rows, inputs], View(dy, 1, out), View(x, inputs, 1), dw, inputs);
    column_sums(dy, db);
    if !want_x {
        return Vec::new();
    }
    let mut dx = vec![0.0; rows * inputs];
    product(false, [rows, out, inputs], View(dy, out, 1), View(w, inputs, 1), &mut dx, inputs);
    dx
}

/// Adds all rows of `x` to `sum`.
pub fn column_sums(x: &[f32], sum: &mut [f32]) {
    wide(
        #[inline(always)]
        || {
            for row in x.chunks_exact(sum.len()) {
                for (s, v) in sum.iter_mut().zip(row) {
                    *s += v;
                }
            }
        },
    );
}

/// a += b.
pub fn add(a: &mut [f32], b: &[f32]) {
    wide(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
    );
}

/// Sum of `f` of the values of all rows at each place, in sixteen lanes. Lanes are arrays: with bounds to check the compiler adds one
/// number at a time, and that was once two fifths of training.
#[inline(always)]
fn sum<const N: usize>(rows: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    const LANES: usize = 16;
    let n = rows[0].len();
    let rows = rows.map(|row| &row[..n]);
    let parts = rows.map(|row| row.as_chunks::<LANES>());
    let mut lanes = [0.0f32; LANES];
    for i in 0..n / LANES {
        let chunks = parts.map(|(chunks, _)| &chunks[i]);
        for (l, lane) in lanes.iter_mut().enumerate() {
            *lane += f(chunks.map(|chunk| chunk[l]));
        }
    }
    let mut total: f32 = lanes.iter().sum();
    for i in n / LANES * LANES..n {
        total += f(rows.map(|row| row[i]));
    }
    total
}

/// Rows of x centred and scaled to unit variance; also 1 / deviation of each row.
pub fn layer_norm(x: &[f32], d: usize, eps: f32) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut scale) = (vec![0.0; x.len()], vec![0.0; x.len() / d]);
    wide(
        #[inline(always)]
        || {
            for ((x, y), scale) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(&mut scale) {
                let mean = sum([x], |[x]| x) / d as f32;
                let variance = sum([x], |[x]| (x - mean) * (x - mean)) / d as f32;
                let r = 1.0 / (variance + eps).sqrt();
                y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * r);
                *scale = r;
            }
        },
    );
    (y, scale)
}

/// Gradient of [`layer_norm`] added to `dx`, from its result `y`, `scale` and the result's gradient `dy`.
pub fn layer_norm_back(y: &[f32], scale: &[f32], dy: &[f32], dx: &mut [f32]) {
    let d = y.len() / scale.len();
    wide(
        #[inline(always)]
        || {
            let rows = y.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)).zip(scale);
            for (((y, dy), dx), r) in rows {
                let mean = sum([dy], |[dy]| dy) / d as f32;
                let along = sum([dy, y], |[dy, y]| dy * y) / d as f32;
                for i in 0..d {
                    dx[i] += r * (dy[i] - mean - y[i] * along);
                }
            }
        },
    );
}

/// Rows of x divided by their root mean square, times `gain`; also the divisor's inverse of each row.
pub fn rms(x: &[f32], gain: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let d = gain.len();
    let (mut y, mut scale) = (vec![0.0; x.len()], vec![0.0; x.len() / d]);
    wide(
        #[inline(always)]
        || {
            for ((x, y), scale) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(&mut scale) {
                let r = 1.0 / (sum([x], |[x]| x * x) / d as f32 + eps).sqrt();
                for i in 0..d {
                    y[i] = x[i] * r * gain[i];
                }
                *scale = r;
            }
        },
    );
    (y, scale)
}

/// Gradient of [`rms`]: turns `dy` into that of x in place, adds that of the gain.
pub fn rms_back(x: &[f32], scale: &[f32], gain: &[f32], dy: &mut [f32], dgain: &mut [f32]) {
    let d = gain.len();
    wide(
        #[inline(always)]
        || {
            for ((x, dy), &r) in x.chunks_exact(d).zip(dy.chunks_exact_mut(d)).zip(scale) {
                let along = sum([dy, gain, x], |[dy, gain, x]| dy * gain * x) * r * r * r / d as f32;
                for i in 0..d {
                    dgain[i] += dy[i] * x[i] * r;
                    dy[i] = dy[i] * gain[i] * r - x[i] * along;
                }
            }
        },
    );
}

/// 2 sqrt(2 / pi).
pub(super) const A: f32 = 1.595_769;
pub(super) const B: f32 = 0.044_715;

/// GELU(tanh), as x sigmoid(2a).
pub fn gelu(x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    wide(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x / (1.0 + exp(-A * (x + B * x * x * x)));
            }
        },
    );
    y
}

/// Turns the gradient of [`gelu`]'s result into that of x, in place.
pub fn gelu_back(x: &[f32], dy: &mut [f32]) {
    wide(
        #[inline(always)]
        || {
            for (g, &x) in dy.iter_mut().zip(x) {
                let s = 1.0 / (1.0 + exp(-A * (x + B * x * x * x)));
                *g *= s + x * s * (1.0 - s) * A * (1.0 + 3.0 * B * x * x);
            }
        },
    );
}

/// x sigmoid(x).
pub fn silu(x: &[f32]) -> Vec<f32> {
    x.iter().map(|&x| x / (1.0 + exp(-x))).collect()
}

/// Turns the gradient of [`silu`]'s result into that of x, in place.
pub fn silu_back(x: &[f32], dy: &mut [f32]) {
    for (g, &x) in dy.iter_mut().zip(x) {
        let s = 1.0 / (1.0 + exp(-x));
        *g *= s + x * s * (1.0 - s);
    }
}

/// Softmax of `row` in place.
#[inline(always)]
pub fn softmax(row: &mut [f32]) {
    // In lanes, as one after the other they would wait for each other.
    let mut lanes = [f32::MIN; 16];
    let chunks = row.chunks_exact(16);
    let mut top = chunks.remainder().iter().fold(f32::MIN, |top, &x| top.max(x));
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if *lane < x { x } else { *lane };
        }
    }
    for lane in lanes {
        top = top.max(lane);
    }
    for x in row.iter_mut() {
        *x = exp(*x - top);
    }
    let inverse = 1.0 / sum([row], |[x]| x);
    row.iter_mut().for_each(|x| *x *= inverse);
}

/// Picks each query's best frames (spec 2.10), and remembers which frames any query has picked.
pub struct Router {
    route: usize,
    scores: Vec<f32>,
    order: Vec<usize>,
    hidden: Vec<bool>,
    used: Vec<bool>,
}

impl Router {
    /// For the `route` best frames; 0 for all.
    pub fn new(route: usize) -> Self {
        Self { route, scores: Vec::new(), order: Vec::new(), hidden: Vec::new(), used: Vec::new() }
    }

    /// Forgets what was picked; there are `frames` to pick from.
    pub fn begin(&mut self, frames: usize) {
        self.used.clear();
        self.used.resize(frames, false);
    }

    /// Whether any query has picked a frame.
    pub fn used(&self, frame: usize) -> bool {
        self.used[frame]
    }

    /// Marks all but the best of `row`, logits of history with `s` columns a frame: their mean is q . mean(keys of the frame),
    /// which ranks frames; ties go to the older one. The newest is always kept, as the runtime does.
    #[inline(always)]
    fn pick(&mut self, row: &[f32], s: usize) {
        let frames = row.len() / s;
        self.hidden.clear();
        self.hidden.resize(frames, false);
        if self.route > 0 && frames > self.route {
            self.scores.clear();
            self.scores.extend(row.chunks_exact(s).map(|frame| sum([frame], |[x]| x)));
            self.scores[frames - 1] = f32::INFINITY;
            self.order.clear();
            self.order.extend(0..frames);
            let scores = &self.scores;
            let better = |&f: &usize, &g: &usize| scores[g].total_cmp(&scores[f]).then(f.cmp(&g));
            let (_, _, rest) = self.order.select_nth_unstable_by(self.route - 1, better);
            rest.iter().for_each(|&f| self.hidden[f] = true);
        }
    }

    /// Softmax of `row` in place: logits of history, of which a query sees its best frames, and of its own frame.
    #[inline(always)]
    pub fn softmax(&mut self, kernels: Kernels, row: &mut [f32], s: usize) {
        let past = row.len() - s;
        self.pick(&row[..past], s);
        for (used, hidden) in self.used.iter_mut().zip(&self.hidden) {
            *used |= !hidden;
        }
        if let Kernels::F32 = kernels {
            // Sums in the order they always had.
            let hidden = self.hidden.iter().enumerate().filter(|(_, hidden)| **hidden);
            hidden.for_each(|(f, _)| row[f * s..(f + 1) * s].fill(f32::MIN));
            return kernels.softmax(row);
        }
        // What is seen is brought together, so that exponentials are of nothing else, and then put back.
        let seen = self.hidden.iter().filter(|hidden| !**hidden).count() * s;
        if seen == past {
            return kernels.softmax(row);
        }
        let mut to = 0;
        for f in (0..self.hidden.len()).filter(|&f| !self.hidden[f]) {
            row.copy_within(f * s..(f + 1) * s, to);
            to += s;
        }
        row.copy_within(past.., seen);
        kernels.softmax(&mut row[..seen + s]);
        row.copy_within(seen..seen + s, past);
        for f in (0..self.hidden.len()).rev() {
            if self.hidden[f] {
                row[f * s..(f + 1) * s].fill(0.0);
            } else {
                to -= s;
                row.copy_within(to..to + s, f * s);
            }
        }
    }
}

/// Turns the gradient `dp` of a softmax's result `p` into that of its input, in place.
#[inline(always)]
pub fn softmax_back(p: &[f32], dp: &mut [f32]) {
    let along = sum([p, dp], |[p, dp]| p * dp);
    dp.iter_mut().zip(p).for_each(|(g, p)| *g = p * (*g - along));
}
