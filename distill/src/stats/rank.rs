//! How well one figure tells two kinds of things apart, whatever its scale.

/// The chance that a value of `positive` is larger than one of `negative`, equal ones counted half: the area under the curve of hits
/// against false alarms (Mann and Whitney's U over the number of pairs). NaN if either is empty.
pub fn auc(positive: &[f64], negative: &[f64]) -> f64 {
    let mut sorted = negative.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = |x: f64| {
        let (less, equal) = (sorted.partition_point(|&y| y < x), sorted.partition_point(|&y| y <= x));
        0.5 * (less + equal) as f64
    };
    positive.iter().map(|&x| below(x)).sum::<f64>() / (positive.len() * negative.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_mann_and_whitneys_share_of_pairs() {
        // scipy.stats.mannwhitneyu(y, x).statistic / 20.
        let (x, y) = ([1.2, 3.4, 0.5, 2.2], [2.5, 3.5, 4.0, 0.7, 3.4]);
        assert!((auc(&y, &x) - 0.775).abs() < 1e-12);
        assert!((auc(&x, &y) - 0.225).abs() < 1e-12);
        assert_eq!((auc(&[2.0], &[1.0]), auc(&[1.0], &[1.0]), auc(&[0.0], &[1.0])), (1.0, 0.5, 0.0));
        assert!(auc(&[], &[1.0]).is_nan());
    }
}
