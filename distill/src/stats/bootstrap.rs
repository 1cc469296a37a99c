//! Statistics over starts, with 95 % intervals by the percentile bootstrap (Efron 1979): starts are drawn again with replacement.

use serde::Serialize;

use crate::rng::Rng;

/// Times that the starts are drawn again.
const DRAWS: usize = 2000;

/// A figure and what it could as well have been with other starts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Of all starts.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let [value, low, high] = [self.value, self.low, self.high].map(|x| format!("{x:.digits$}"));
        write!(f, "{value} ({low} to {high})")
    }
}

/// What `stat` says of `units` starts, which it is told by their indices. `None` where it has no finite answer: of no starts, or
/// of none that tell.
pub fn estimate(units: usize, stat: impl Fn(&[usize]) -> Option<f64>) -> Option<Estimate> {
    let finite = |picked: &[usize]| stat(picked).filter(|x| x.is_finite());
    let all: Vec<usize> = (0..units).collect();
    let value = finite(&all)?;
    let mut rng = Rng::new(95);
    let again = (0..DRAWS).map(|_| (0..units).map(|_| rng.below(units)).collect::<Vec<_>>());
    let mut drawn: Vec<f64> = again.filter_map(|picked| finite(&picked)).collect();
    drawn.sort_by(f64::total_cmp);
    let [low, high] = [0.025, 0.975].map(|q| quantile(&drawn, q).unwrap_or(value));
    Some(Estimate { value, low, high })
}

/// [`estimate`] of a statistic of the values of all starts together; a start may have several, or none.
pub fn over(starts: &[Vec<f64>], stat: impl Fn(&mut [f64]) -> Option<f64>) -> Option<Estimate> {
    estimate(starts.len(), |picked| {
        stat(&mut picked.iter().flat_map(|&i| starts[i].iter().copied()).collect::<Vec<_>>())
    })
}

/// The mean; `None` of nothing.
pub fn mean(values: &mut [f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The median; `None` of nothing.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The lower quartile; `None` of nothing.
pub fn lower_quartile(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.25)
}

/// The value below which a share `q` of `sorted` lies, neighbours mixed in proportion; `None` of nothing.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_a_mean_are_those_of_the_normal_law() {
        let starts: Vec<Vec<f64>> = (0..100).map(|i| vec![f64::from(i)]).collect();
        let found = over(&starts, mean).unwrap();
        // The standard error of 0..100 is sqrt((100^2 - 1) / 12) / 10 = 2.887.
        let half = 1.96 * 2.887;
        assert_eq!(found.value, 49.5);
        assert!((found.low - (49.5 - half)).abs() < 0.4 && (found.high - (49.5 + half)).abs() < 0.4, "{found}");
    }

    #[test]
    fn starts_are_drawn_and_not_their_values() {
        // Ten starts whose values agree are ten observations, however many values each has.
        let starts: Vec<Vec<f64>> = (0..10).map(|i| vec![f64::from(i % 2); 100]).collect();
        let found = over(&starts, mean).unwrap();
        assert!((found.high - found.low - 2.0 * 1.96 * 0.5 / 10f64.sqrt()).abs() < 0.1, "{found}");
    }

    #[test]
    fn quantiles_and_medians_have_their_textbook_values() {
        let mut values = vec![4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&mut values), Some(2.5));
        assert_eq!(lower_quartile(&mut values), Some(1.75));
        assert_eq!(quantile(&[7.0], 0.975), Some(7.0));
    }

    #[test]
    fn nothing_gives_nothing_and_a_constant_has_no_width() {
        assert_eq!(over(&[], mean), None);
        assert_eq!(over(&[vec![], vec![]], median), None);
        assert_eq!(over(&[vec![f64::NAN]], mean), None);
        let constant = over(&[vec![3.0], vec![], vec![3.0]], mean).unwrap();
        assert_eq!((constant.value, constant.low, constant.high), (3.0, 3.0, 3.0));
    }
}
