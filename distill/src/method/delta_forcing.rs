//! Delta Forcing: a trust region for supervision by a teacher, and monotonic continuity (spec 5.8).
//!
//! After an event the teacher's score knows the new condition and not the stream it is to continue: it may ask for something
//! valid by itself that does not follow from what was. The delta between where teacher and student take a frame, measured in the
//! student's own step, tells how far that is; supervision beyond a radius is weighed down, and a pull towards continuing evenly
//! takes its place.
//!
//! **This is our reading of the paper's abstract and reviews: no equation, weight or threshold of it is published.** Where we chose:
//! the radius is measured on the student's roll-outs without an event, once or anew as the student moves; the
//! continuity gradient is scaled to the size of the other by the length of a frame.

use serde::{Deserialize, Serialize};

use crate::method::score::Verdict;
use crate::method::self_rollout::Made;
use crate::rng::Rng;

/// How supervision is weighed, frame by frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weighting {
    /// All alike: no trust region.
    None,
    /// min(1, radius / delta).
    #[default]
    Trust,
    /// 1 within the radius, 0 beyond.
    Hard,
    /// The weights of [`Weighting::Trust`], dealt out at random.
    Random,
    /// The same weights dealt out the wrong way round: most to the frame that was trusted least. A control.
    Inverted,
}

/// Whether the radius follows the student.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Radius {
    /// Measured once, of the student as tuning begins.
    #[default]
    Fixed,
    /// Measured anew at each step that moves the student, on as many streams without an event.
    Running,
}

/// What is chosen about trust region and continuity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How supervision is weighed.
    pub weighting: Weighting,
    /// How trust falls beyond the radius: 0 for radius / delta, else exp(-fall (delta / radius - 1)).
    pub fall: f32,
    /// Share of deltas without an event that lie within the radius.
    pub quantile: f32,
    /// Noise levels between which deltas are measured; `None` for those of supervision, most of which tell little.
    pub levels: Option<[f32; 2]>,
    /// Whether the radius follows the student.
    pub radius: Radius,
    /// Size of the pull of continuity (lambda); 0 for none.
    pub continuity: f32,
    /// Whether continuity also asks that a frame after an event should not move away from where the teacher sees it. That pulls towards
    /// the teacher just where it is not trusted.
    pub approach: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            weighting: Weighting::Trust,
            fall: 0.0,
            quantile: 0.9,
            levels: None,
            radius: Radius::Fixed,
            continuity: 0.5,
            approach: false,
        }
    }
}

/// Trust region and continuity.
#[derive(Clone, Debug, PartialEq)]
pub struct DeltaForcing {
    /// What was chosen.
    pub options: Options,
    /// Radius for each tenth of the noise levels.
    pub radius: [f32; BUCKETS],
}

/// Noise levels with a radius of their own.
pub const BUCKETS: usize = 10;

/// How much longer than the mean a step may be (kappa).
const SLACK: f32 = 0.5;

fn bucket(level: f32) -> usize {
    ((level * BUCKETS as f32) as usize).min(BUCKETS - 1)
}

fn norm(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|x| x * x).sum::<f32>().sqrt()
}

/// One generated frame within its window.
struct Frame<'a> {
    /// Its place among all frames [B, F].
    row: usize,
    /// Itself.
    now: &'a [f32],
    /// The frame before it.
    before: &'a [f32],
    /// Where the teacher sees it.
    taught: &'a [f32],
    level: f32,
}

/// The generated frames that follow another one.
fn frames<'a>(made: &'a Made, verdict: &'a Verdict) -> impl Iterator<Item = Frame<'a>> {
    let (windows, len) = (&made.windows, made.windows.len);
    let at = move |values: &'a [f32], row: usize| &values[row * len..(row + 1) * len];
    (0..windows.batch * windows.frames).filter(|row| row % windows.frames >= made.given.max(1)).map(move |row| Frame {
        row,
        now: at(&windows.real, row),
        before: at(&windows.real, row - 1),
        taught: at(&verdict.real, row),
        level: verdict.level[row],
    })
}

impl Frame<'_> {
    /// |teacher's step - own step| / |own step|.
    fn delta(&self) -> f32 {
        norm(difference(self.taught, self.now)) / (norm(difference(self.now, self.before)) + 1e-6)
    }
}

/// The deltas of generated frames, each with its place among all frames [B, F].
pub fn deltas(made: &Made, verdict: &Verdict) -> Vec<(usize, f32)> {
    frames(made, verdict).map(|frame| (frame.row, frame.delta())).collect()
}

impl DeltaForcing {
    /// Measures the radius on roll-outs without an event and what the scores say of them.
    pub fn new(options: Options, quiet: &[(Made, Verdict)]) -> Self {
        Self { options, radius: radius(options.quantile, quiet.iter().map(|(made, verdict)| (made, verdict))) }
    }

    /// The same with the radius of other roll-outs.
    #[must_use]
    pub fn following(&self, made: &Made, verdict: &Verdict) -> Self {
        Self { radius: radius(self.options.quantile, std::iter::once((made, verdict))), ..self.clone() }
    }

    /// The weight of supervision for each frame [B, F]; 1 for frames that follow nothing.
    pub fn weights(&self, made: &Made, verdict: &Verdict, rng: &mut Rng) -> Vec<f32> {
        let Options { weighting, fall, .. } = self.options;
        let mut weights = vec![1.0; verdict.level.len()];
        let mut drawn = Vec::new();
        for frame in frames(made, verdict) {
            let (radius, delta) = (self.radius[bucket(frame.level)], frame.delta());
            let trust = match fall {
                0.0 => (radius / delta).min(1.0),
                _ => (-fall * (delta / radius - 1.0).max(0.0)).exp(),
            };
            weights[frame.row] = match weighting {
                Weighting::None => 1.0,
                Weighting::Trust | Weighting::Random | Weighting::Inverted => trust,
                Weighting::Hard => f32::from(u8::from(delta <= radius)),
            };
            drawn.push(frame.row);
        }
        match weighting {
            // Fisher-Yates over the frames that have a weight.
            Weighting::Random => {
                for i in (1..drawn.len()).rev() {
                    weights.swap(drawn[i], drawn[rng.below(i + 1)]);
                }
            }
            Weighting::Inverted => {
                drawn.sort_by(|&a, &b| weights[a].total_cmp(&weights[b]));
                for i in 0..drawn.len() / 2 {
                    weights.swap(drawn[i], drawn[drawn.len() - 1 - i]);
                }
            }
            _ => {}
        }
        weights
    }

    /// Weighs `gradient` [B, F, C, H, W] of distribution matching and adds the pull of continuity, which in a trust region has the
    /// weight that supervision has lost. `at` is the frame of the window at which the event changed, if it did.
    pub fn apply(&self, made: &Made, verdict: &Verdict, at: Option<usize>, gradient: &mut [f32], rng: &mut Rng) {
        let len = made.windows.len;
        let weights = self.weights(made, verdict, rng);
        for (row, frame) in gradient.chunks_exact_mut(len).enumerate() {
            frame.iter_mut().for_each(|g| *g *= weights[row]);
        }
        let Options { weighting, continuity, approach, .. } = self.options;
        if continuity == 0.0 {
            return;
        }
        let at = at.filter(|_| approach);
        for frame in frames(made, verdict) {
            let lost = if weighting == Weighting::None { 1.0 } else { 1.0 - weights[frame.row] };
            if lost > 0.0 {
                let path = Path::new(made, &frame, at);
                // In steps of the mean length, and as long as a gradient of distribution matching.
                let scale = continuity * lost * path.mean * (len as f32).sqrt();
                let slope = path.continuity().1;
                gradient[frame.row * len..][..len].iter_mut().zip(slope).for_each(|(g, s)| *g += scale * s);
            }
        }
    }
}

/// What the continuity of one frame is judged by; all but `now` are constants.
struct Path<'a> {
    /// The frame.
    now: &'a [f32],
    /// The one before it.
    before: &'a [f32],
    /// The one before that.
    earlier: Option<&'a [f32]>,
    /// After an event: the last frame before it.
    origin: Option<&'a [f32]>,
    /// Where the teacher sees the frame.
    taught: &'a [f32],
    /// Mean length of a step in the window.
    mean: f32,
}

impl<'a> Path<'a> {
    /// Of `frame`, when the event changed at frame `at` of the window.
    fn new(made: &'a Made, frame: &Frame<'a>, at: Option<usize>) -> Self {
        let (windows, len) = (&made.windows, made.windows.len);
        let (number, row) = (frame.row % windows.frames, |row: usize| &windows.real[row * len..(row + 1) * len]);
        let first = frame.row - number;
        let step = |r: usize| norm(difference(row(r), row(r - 1)));
        let mean = (first + 1..first + windows.frames).map(step).sum::<f32>() / (windows.frames - 1) as f32;
        Self {
            now: frame.now,
            before: frame.before,
            earlier: (number >= 2).then(|| row(frame.row - 2)),
            origin: at.filter(|&at| at > 0 && number > at).map(|at| row(first + at - 1)),
            taught: frame.taught,
            mean: mean + 1e-6,
        }
    }

    /// The loss of monotonic continuity, and its gradient at the frame: no step much longer than the mean, no turning back, and
    /// after an event no move away from where the teacher sees the frame.
    fn continuity(&self) -> (f32, Vec<f32>) {
        let (now, mean) = (self.now, self.mean);
        let step: Vec<f32> = difference(now, self.before).collect();
        let size = norm(step.iter().copied()) + 1e-6;
        let long = (size - (1.0 + SLACK) * mean).max(0.0) / mean;
        let mut loss = long * long;
        let mut slope: Vec<f32> = step.iter().map(|d| 2.0 * long / mean * d / size).collect();

        if let Some(earlier) = self.earlier {
            let last: Vec<f32> = difference(self.before, earlier).collect();
            let other = norm(last.iter().copied()) + 1e-6;
            let cos = dot(&step, &last) / (size * other);
            if cos < 0.0 {
                loss -= cos;
                slope.iter_mut().zip(step.iter().zip(&last)).for_each(|(s, (d, l))| {
                    *s -= l / (size * other) - cos * d / (size * size);
                });
            }
        }
        if let Some(origin) = self.origin {
            let goal: Vec<f32> = difference(self.taught, origin).collect();
            let far = norm(goal.iter().copied()) + 1e-6;
            let back = -dot(&step, &goal) / (far * mean);
            if back > 0.0 {
                loss += back;
                slope.iter_mut().zip(&goal).for_each(|(s, g)| *s -= g / (far * mean));
            }
        }
        (loss, slope)
    }
}

/// The radius of each tenth of the noise levels: the `quantile` of deltas.
fn radius<'a>(quantile: f32, quiet: impl Iterator<Item = (&'a Made, &'a Verdict)>) -> [f32; BUCKETS] {
    let mut deltas: [Vec<f32>; BUCKETS] = Default::default();
    for frame in quiet.flat_map(|(made, verdict)| frames(made, verdict)) {
        deltas[bucket(frame.level)].push(frame.delta());
    }
    let found = deltas.map(|mut values| {
        values.sort_by(f32::total_cmp);
        values.get((values.len() as f32 * quantile) as usize).copied()
    });
    // A level that never came up takes the radius of its neighbour below, or above.
    std::array::from_fn(|i| {
        found[..=i].iter().rev().chain(&found[i..]).flatten().next().copied().unwrap_or(f32::INFINITY)
    })
}

fn difference(a: &[f32], b: &[f32]) -> impl Iterator<Item = f32> {
    a.iter().zip(b).map(|(a, b)| a - b)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footage::latents::Windows;

    const LEN: usize = 6;

    /// Windows of five frames, two of them given, that wander with `stride`.
    fn made(seed: u64, stride: f32) -> Made {
        let mut rng = Rng::new(seed);
        let (batch, frames) = (3, 5);
        let mut real: Vec<f32> = Vec::new();
        for i in 0..batch * frames {
            let last = if i % frames == 0 { vec![0.0; LEN] } else { real[(i - 1) * LEN..].to_vec() };
            real.extend(last.iter().map(|x| x + stride * rng.normal()));
        }
        let n = batch * frames;
        let windows = Windows {
            batch,
            frames,
            len: LEN,
            real,
            before: vec![0.0; batch * LEN],
            actions: vec![0.0; n],
            events: vec![0; n],
            firsts: Vec::new(),
            blind: Vec::new(),
        };
        Made { noisy: vec![0.0; windows.real.len()], sigma: vec![1.0; n], given: 2, unseen: 0, windows }
    }

    /// What a teacher says who is `off` away from `made`, at one level.
    fn verdict(made: &Made, off: f32, seed: u64) -> Verdict {
        let mut rng = Rng::new(seed);
        let real = made.windows.real.iter().map(|x| x + off * rng.normal()).collect();
        Verdict { noisy: Vec::new(), level: vec![0.5; made.sigma.len()], real, fake: made.windows.real.clone() }
    }

    fn quiet() -> Vec<(Made, Verdict)> {
        (0..20)
            .map(|seed| {
                let made = made(seed, 1.0);
                let verdict = verdict(&made, 0.3, 90 + seed);
                (made, verdict)
            })
            .collect()
    }

    #[test]
    fn a_teacher_that_agrees_is_trusted_and_one_that_jumps_is_not() {
        let delta = DeltaForcing::new(Options::default(), &quiet());
        let made = made(70, 1.0);
        let weight = |off: f32| {
            let weights = delta.weights(&made, &verdict(&made, off, 71), &mut Rng::new(0));
            weights.iter().enumerate().filter(|(i, _)| i % 5 >= 2).map(|(_, w)| w).sum::<f32>() / 9.0
        };
        assert_eq!(weight(0.0), 1.0);
        let fall = [0.3, 1.0, 3.0, 10.0].map(weight);
        assert!(fall[0] > 0.9 && fall.windows(2).all(|w| w[1] < w[0]) && fall[3] < 0.1, "{fall:?}");
    }

    #[test]
    fn supervision_moves_less_the_further_it_jumps_beyond_the_radius() {
        // The step a teacher's jump J causes is weight * J: it must grow no more beyond the radius.
        let delta = DeltaForcing::new(Options { continuity: 0.0, ..Options::default() }, &quiet());
        let made = made(70, 1.0);
        let moved = |off: f32| {
            let verdict = verdict(&made, off, 71);
            let mut gradient: Vec<f32> = difference(&made.windows.real, &verdict.real).collect();
            gradient
                .chunks_exact_mut(LEN)
                .enumerate()
                .filter(|(i, _)| i % 5 < 2)
                .for_each(|(_, frame)| frame.fill(0.0));
            delta.apply(&made, &verdict, None, &mut gradient, &mut Rng::new(0));
            norm(gradient.into_iter())
        };
        let (inside, beyond, far) = (moved(0.1), moved(4.0), moved(40.0));
        assert!(inside < 0.5 * beyond && far < 1.2 * beyond, "{inside} {beyond} {far}");
    }

    #[test]
    fn trust_falls_as_steeply_as_it_is_told_from_the_quantile_it_is_told() {
        let (made, quiet) = (made(70, 1.0), quiet());
        let verdict = verdict(&made, 1.0, 71);
        let of = |fall: f32, quantile: f32| {
            let delta = DeltaForcing::new(Options { fall, quantile, ..Options::default() }, &quiet);
            (delta.weights(&made, &verdict, &mut Rng::new(0)), delta.radius[5])
        };
        let (weights, radius) = of(4.0, 0.5);
        assert!(radius < of(4.0, 0.9).1, "the median is no smaller than the ninth tenth");
        for (row, delta) in deltas(&made, &verdict) {
            let expected = (-4.0 * (delta / radius - 1.0).max(0.0)).exp();
            assert!((weights[row] - expected).abs() < 1e-6, "{row}: {} {expected}", weights[row]);
        }
        // The radius of what is measured now takes the place of the old one.
        let moved = DeltaForcing::new(Options::default(), &quiet).following(&made, &verdict);
        let mut all: Vec<f32> = deltas(&made, &verdict).into_iter().map(|pair| pair.1).collect();
        all.sort_by(f32::total_cmp);
        assert_eq!(moved.radius, [all[(all.len() as f32 * 0.9) as usize]; BUCKETS]);
    }

    #[test]
    fn a_pull_towards_the_teacher_is_no_part_of_continuity_unless_asked_for() {
        // Frames that go straight away from the teacher, evenly: nothing else to complain of.
        let mut made = made(70, 1.0);
        let frames = made.windows.frames;
        for (row, frame) in made.windows.real.chunks_exact_mut(LEN).enumerate() {
            frame.fill((row % frames) as f32);
        }
        let verdict = Verdict { real: vec![-9.0; made.windows.real.len()], ..verdict(&made, 0.0, 71) };
        let pull = |approach: bool| {
            let options = Options { weighting: Weighting::None, approach, ..Options::default() };
            let mut gradient = vec![0.0; made.windows.real.len()];
            DeltaForcing::new(options, &quiet()).apply(&made, &verdict, Some(2), &mut gradient, &mut Rng::new(0));
            gradient.iter().map(|g| g.abs()).sum::<f32>()
        };
        assert!(pull(false) < 1e-6 && pull(true) > 0.1, "{} {}", pull(false), pull(true));
    }

    #[test]
    fn weights_dealt_at_random_have_the_same_mean() {
        let (made, quiet) = (made(70, 1.0), quiet());
        let verdict = verdict(&made, 2.0, 71);
        let weights = |weighting| {
            let options = Options { weighting, ..Options::default() };
            DeltaForcing::new(options, &quiet).weights(&made, &verdict, &mut Rng::new(3))
        };
        let (trust, random) = (weights(Weighting::Trust), weights(Weighting::Random));
        assert!((trust.iter().sum::<f32>() - random.iter().sum::<f32>()).abs() < 1e-4 && trust != random);
        assert!(weights(Weighting::None).iter().all(|&w| w == 1.0));
        assert!(weights(Weighting::Hard).iter().all(|&w| w == 1.0 || w == 0.0));

        // The wrong way round: the same weights, and more where there was less.
        let inverted = weights(Weighting::Inverted);
        let sorted = |mut values: Vec<f32>| {
            values.sort_by(f32::total_cmp);
            values
        };
        assert_eq!(sorted(inverted.clone()), sorted(trust.clone()));
        let generated = (0..trust.len()).filter(|i| i % 5 >= 2);
        let pairs = generated.clone().flat_map(|i| generated.clone().map(move |j| (i, j)));
        for (i, j) in pairs.filter(|&(i, j)| trust[i] < trust[j]) {
            assert!(inverted[i] >= inverted[j], "frames {i} and {j}");
        }
    }

    #[test]
    fn continuity_has_the_gradient_of_finite_differences() {
        let mut rng = Rng::new(1);
        let mut seen = [0; 3];
        for _ in 0..60 {
            let all = rng.normals(5 * LEN);
            let part = |i: usize| &all[i * LEN..(i + 1) * LEN];
            for (kind, earlier, origin, mean) in
                [(0, None, None, 1.0), (1, Some(part(2)), None, 9.0), (2, None, Some(part(3)), 9.0)]
            {
                let loss =
                    |now: &[f32]| Path { now, before: part(1), earlier, origin, taught: part(4), mean }.continuity();
                let (value, slope) = loss(part(0));
                let along = rng.normals(LEN);
                let moved = |by: f32| {
                    let now: Vec<f32> = part(0).iter().zip(&along).map(|(x, a)| x + by * a).collect();
                    loss(&now).0
                };
                let (found, expected) = ((moved(1e-2) - moved(-1e-2)) / 2e-2, dot(&slope, &along));
                assert!(
                    (found - expected).abs() < 0.02 * expected.abs() + 5e-3,
                    "part {kind}: {expected}, found {found}"
                );
                seen[kind] += usize::from(value > 0.1);
            }
        }
        assert!(seen.iter().all(|&n| n > 10), "{seen:?}");
    }
}
