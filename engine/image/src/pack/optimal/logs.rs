//! Logarithms that are the same on every machine, which no system's library promises: so are the
//! images.

use std::sync::LazyLock;

/// Steps between a power of two and the next.
const STEPS: usize = 256;

/// log2(1 + i / STEPS)
static TABLE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let log = |step| {
        let mut power = 1.0 + step as f64 / STEPS as f64;
        let (mut log, mut bit) = (0.0, 1.0);
        // Each squaring doubles the logarithm, whose bits so come out one by one.
        for _ in 0..32 {
            if power >= 2.0 {
                power /= 2.0;
                log += bit;
            }
            power *= power;
            bit /= 2.0;
        }
        log as f32
    };
    (0..=STEPS).map(log).collect()
});

/// The logarithm of `count` to the base 2, of which there is one: off by 1 / 100,000 at most.
pub(super) fn log2(count: u32) -> f32 {
    let zeros = count.leading_zeros();
    // Behind the leading one.
    let fraction = (u64::from(count) << (zeros + 1)) as u32;
    let (step, rest) = ((fraction >> 24) as usize, fraction & 0xff_ffff);
    let (less, more) = (TABLE[step], TABLE[step + 1]);
    (31 - zeros) as f32 + less + (more - less) * (rest as f32 / (1 << 24) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_near_to_those_of_the_system() {
        for count in (1..5000).chain([99_999, 1 << 20, (1 << 24) + 1, u32::MAX]) {
            let exact = f64::from(count).log2();
            assert!((f64::from(log2(count)) - exact).abs() < 1e-5, "{count}");
        }
    }
}
