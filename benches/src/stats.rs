//! Medians, and how sure they are.

/// The median of `figures`; of an even number, the upper one of the two in the middle.
///
/// # Panics
///
/// If there are none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let figures = sorted(figures);
    figures[figures.len() / 2]
}

/// `figures` in their order.
pub fn sorted(figures: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures
}

/// The median absolute deviation of `figures`, as a share of their median; 0 if all are the same.
///
/// # Panics
///
/// If there are none.
pub fn deviation(figures: &[f64]) -> f64 {
    let middle = median(figures.iter().copied());
    let deviation = median(figures.iter().map(|figure| (figure - middle).abs()));
    if deviation == 0.0 { 0.0 } else { deviation / middle }
}

/// Where the median of what `figures` are a sample of lies, with a confidence of 99%: the
/// percentile bootstrap (Efron 1979) over 10,000 resamples, the same each time.
///
/// # Panics
///
/// If there are none.
pub fn bounds(figures: &[f64]) -> (f64, f64) {
    const RESAMPLES: usize = 10_000;
    let mut random = fastrand::Rng::with_seed(1);
    let resample = || median((0..figures.len()).map(|_| figures[random.usize(..figures.len())]));
    let medians = sorted(std::iter::repeat_with(resample).take(RESAMPLES));
    (medians[RESAMPLES / 200], medians[RESAMPLES - 1 - RESAMPLES / 200])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_moves_neither_median_nor_deviation() {
        let figures = [10.0, 11.0, 9.0, 10.0, 1000.0];
        assert!((median(figures) - 10.0).abs() < 1e-9);
        assert!((deviation(&figures) - 0.1).abs() < 1e-9);
        assert!(deviation(&[0.0; 3]).abs() < 1e-9, "no number can't be written as JSON");
    }

    #[test]
    fn bounds_enclose_the_median_and_narrow_with_more_figures() {
        let figures = |count: usize| {
            let mut random = fastrand::Rng::with_seed(7);
            std::iter::repeat_with(|| 1.0 + 0.1 * random.f64()).take(count).collect::<Vec<_>>()
        };
        let width = |count| {
            let (low, high) = bounds(&figures(count));
            assert!((low..=high).contains(&median(figures(count))), "{low} to {high}");
            high - low
        };
        assert!(width(100) < width(9));
    }
}
