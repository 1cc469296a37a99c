//! Student's t distribution, for whole degrees of freedom: finite sums of trigonometric terms (Abramowitz and Stegun 26.7.3 and 26.7.4).

/// How likely |t| is at least as large as this by chance.
pub fn two_sided(t: f64, freedom: usize) -> f64 {
    if freedom == 0 || t.is_nan() {
        return f64::NAN;
    }
    let angle = t.abs().atan2((freedom as f64).sqrt());
    let (sin, square) = (angle.sin(), angle.cos().powi(2));
    let odd = freedom % 2 == 1;
    // The powers of the cosine are odd for odd degrees of freedom, even for even ones.
    let (mut term, mut sum) = (if odd { angle.cos() } else { 1.0 }, 0.0);
    let terms = freedom / 2;
    for k in 0..terms {
        sum += term;
        let k = k as f64;
        term *= square * if odd { (2.0 * k + 2.0) / (2.0 * k + 3.0) } else { (2.0 * k + 1.0) / (2.0 * k + 2.0) };
    }
    let inside = if odd { (angle + sin * sum) * std::f64::consts::FRAC_2_PI } else { sin * sum };
    (1.0 - inside).clamp(0.0, 1.0)
}

/// The t that |t| exceeds by chance with probability `p`.
pub fn critical(p: f64, freedom: usize) -> f64 {
    if freedom == 0 {
        return f64::NAN;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided(high, freedom) > p {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if two_sided(middle, freedom) > p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy.stats.t 1.x: `2 * t.sf(t, freedom)` and `t.ppf(0.975, freedom)`.
    #[test]
    fn tails_and_quantiles_are_the_known_ones() {
        for (t, freedom, p) in [
            (1.0, 1, 0.500_000_000_000_000_1),
            (2.0, 2, 0.183_503_419_072_273_97),
            (2.5, 7, 0.040_992_218_585_752_89),
            (0.3, 11, 0.769_770_357_889_371_9),
            (8.0, 7, 9.114_921_170_875_357e-5),
            (-8.0, 7, 9.114_921_170_875_357e-5),
        ] {
            assert!((two_sided(t, freedom) - p).abs() < 1e-12, "{t}, {freedom}: {}", two_sided(t, freedom));
        }
        for (freedom, t) in [
            (1, 12.706_204_736_174_694),
            (2, 4.302_652_729_749_462),
            (5, 2.570_581_835_636_314),
            (7, 2.364_624_251_592_784),
            (11, 2.200_985_160_091_639),
            (30, 2.042_272_456_301_238),
        ] {
            assert!((critical(0.05, freedom) - t).abs() < 1e-9, "{freedom}: {}", critical(0.05, freedom));
        }
        assert!(two_sided(1.0, 0).is_nan() && critical(0.05, 0).is_nan());
    }
}
