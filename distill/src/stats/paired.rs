//! The same seeds under two conditions: the mean difference with its interval, Student's paired test, the size of the effect, and
//! Holm's correction where several such tests are made at once.

use super::student;

/// Share of intervals that hold the truth.
pub const LEVEL: f64 = 0.95;

/// A mean with its interval by Student's t; of differences, also what they say against zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (unbiased); 0 of one value.
    pub deviation: f64,
    /// Lower end of the 95 % interval; of one value, whose spread is unknown, minus infinity.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Mean {
    /// Of `values`; of none all is NaN.
    pub fn new(values: &[f64]) -> Self {
        let n = values.len();
        let (mean, deviation) = moments(values);
        let half =
            if n < 2 { f64::INFINITY } else { student::critical(1.0 - LEVEL, n - 1) * deviation / (n as f64).sqrt() };
        Self { n, mean, deviation, low: mean - half, high: mean + half }
    }

    /// Of the differences `left - right`, seed by seed.
    pub fn of_differences(left: &[f64], right: &[f64]) -> Self {
        Self::new(&left.iter().zip(right).map(|(a, b)| a - b).collect::<Vec<_>>())
    }

    /// Half of the interval, 0 of one value: for bars of a picture.
    pub fn half(&self) -> f64 {
        if self.n < 2 { 0.0 } else { self.high - self.mean }
    }

    /// The mean in standard deviations: Cohen's d of paired values. Infinite where they do not vary.
    pub fn effect(&self) -> f64 {
        self.mean / self.deviation
    }

    /// How likely a mean as far from zero is by chance (paired t, two-sided). Nothing can be said of less than two values; values
    /// that do not vary are no chance, unless they are zero.
    pub fn p(&self) -> f64 {
        match self.n {
            0 | 1 => f64::NAN,
            _ if self.deviation == 0.0 => f64::from(u8::from(self.mean == 0.0)),
            n => student::two_sided(self.effect() * (n as f64).sqrt(), n - 1),
        }
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(3);
        write!(f, "{:.digits$}", self.mean)?;
        if self.n < 2 { Ok(()) } else { write!(f, " ({:.digits$} to {:.digits$})", self.low, self.high) }
    }
}

/// Mean and unbiased standard deviation.
pub fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, (square / (n - 1.0).max(1.0)).sqrt())
}

/// Holm's step-down correction: what each of these p is worth when the others were tested beside it. A test that says nothing
/// (NaN) stays so, and counts among the others.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut out, mut least) = (vec![f64::NAN; p.len()], 0.0f64);
    for (rank, i) in order.into_iter().enumerate() {
        if !p[i].is_nan() {
            least = least.max(((p.len() - rank) as f64 * p[i]).min(1.0));
            out[i] = least;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Student's own example: hours of sleep gained by ten patients under two drugs (Biometrika 1908). Values of scipy.stats.ttest_rel.
    #[test]
    fn students_patients_sleep_longer_by_the_second_drug() {
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let found = Mean::of_differences(&second, &first);
        assert!((found.mean - 1.58).abs() < 1e-12);
        assert!((found.low - 0.700_114_236_723_017_5).abs() < 1e-9, "{found:?}");
        assert!((found.high - 2.459_885_763_276_983).abs() < 1e-9, "{found:?}");
        assert!((found.p() - 0.002_832_890_197_384_273).abs() < 1e-12, "{}", found.p());
        assert!((found.effect() - 1.284_557_562_591_054_6).abs() < 1e-12);
        assert_eq!(format!("{found:.2}"), "1.58 (0.70 to 2.46)");
    }

    #[test]
    fn holm_multiplies_by_what_is_left_and_never_falls() {
        // By hand: 0.01 * 4, 0.02 * 3, 0.03 * 2 (and no less than the one before), 0.5 * 1.
        let found = holm(&[0.02, 0.5, 0.01, 0.03]);
        for (found, expected) in found.iter().zip([0.06, 0.5, 0.04, 0.06]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        let unknown = holm(&[f64::NAN, 0.01]);
        assert!(unknown[0].is_nan() && unknown[1] == 0.02);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn values_that_do_not_vary_are_no_chance_and_one_value_says_nothing() {
        let constant = Mean::new(&[2.0; 3]);
        assert_eq!((constant.p(), constant.low, constant.high), (0.0, 2.0, 2.0));
        assert_eq!(Mean::new(&[0.0; 3]).p(), 1.0);
        let one = Mean::new(&[2.0]);
        assert!(one.p().is_nan() && one.low == f64::NEG_INFINITY && one.high == f64::INFINITY);
        assert_eq!(format!("{one:.1}"), "2.0");
        assert!(Mean::new(&[]).mean.is_nan());
    }
}
