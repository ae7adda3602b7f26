//! The exponential, in a form that compilers turn into vector instructions.

/// `e^x` for `x` in [-87, 88], relative error below 3e-7; smaller `x` give a value below 2e-38.
///
/// `2^(n + f)` with `n` the nearest integer and `|f| <= 1/2`: the power of two goes into the exponent bits, the rest
/// is the Taylor polynomial of degree 6. No branch and no call, so loops over it vectorise.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// 1.5 · 2^23: adding it rounds a float of small size to an integer, held in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let t = (x * std::f32::consts::LOG2_E).max(-126.0);
    let shifted = t + ROUND;
    let n = shifted - ROUND;
    // f in two parts, since x · log2(e) loses digits where x is large.
    let f = (x.max(-87.336_54) - n * 0.693_359_4) + n * 2.121_944_4e-4; // = x - n ln 2
    let p = 1.0 / 720.0;
    let p = p * f + 1.0 / 120.0;
    let p = p * f + 1.0 / 24.0;
    let p = p * f + 1.0 / 6.0;
    let p = p * f + 0.5;
    let p = p * f + 1.0;
    let p = p * f + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    p * power
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_is_right_to_float_precision_over_its_range() {
        let mut worst = 0f64;
        for i in 0..2_000_000 {
            let x = -87.0 + 175.0 * (i as f32 / 2_000_000.0);
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        assert!(worst < 3e-7, "{worst}");
        assert!(exp(-200.0) < 2e-38 && exp(-200.0) >= 0.0 && (exp(0.0) - 1.0).abs() < 1e-7);
    }
}
