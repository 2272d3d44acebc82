//! Figures made of samples. PURE.

/// The sample below which `share` of all samples lie (nearest rank); 0 of none.
pub(crate) fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "far fewer samples than 2^52"
    )]
    let rank = (last as f64 * share).round() as usize;
    sorted.get(rank.min(last)).copied().unwrap_or_default()
}

/// The middle sample.
pub(super) fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 3.0), (0.99, 5.0), (1.0, 5.0)] {
            assert!((quantile(&samples, share) - expected).abs() < 1e-9);
        }
        assert!(median(&[]).abs() < 1e-9);
    }
}
