//! Element types, and their values as floats.

use std::fmt;

/// The type of a tensor's elements, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 8-bit float: 4 bits of exponent, 3 of mantissa, no infinities.
    F8E4M3,
    /// 8-bit float: 5 bits of exponent, 2 of mantissa.
    F8E5M2,
    /// 16-bit float.
    F16,
    /// The upper half of a 32-bit float.
    BF16,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 8-bit integer.
    I8,
    /// 16-bit integer.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// A byte that is 0 or 1.
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    pub fn n_bytes(self) -> usize {
        match self {
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// Whether elements are floats.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F8E4M3 | Self::F8E5M2 | Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// Whether no element is NaN or infinite. Folds without an early end, so that it compiles to vector code.
    ///
    /// - `bytes`: whole elements
    pub fn is_finite(self, bytes: &[u8]) -> bool {
        match self {
            Self::F8E4M3 => bytes.iter().all(|byte| byte & 0x7F != 0x7F),
            Self::F8E5M2 => bytes.iter().all(|byte| byte & 0x7C != 0x7C),
            Self::F16 => all16(bytes, 0x7C00),
            Self::BF16 => all16(bytes, 0x7F80),
            Self::F32 => {
                const EXPONENT: u32 = 0x7F80_0000;
                let fours = bytes.as_chunks().0.iter();
                fours.fold(true, |finite, four| finite & (u32::from_le_bytes(*four) & EXPONENT != EXPONENT))
            }
            Self::F64 => {
                const EXPONENT: u64 = 0x7FF0_0000_0000_0000;
                let eights = bytes.as_chunks().0.iter();
                eights
                    .fold(true, |finite, eight| finite & (u64::from_le_bytes(*eight) & EXPONENT != EXPONENT))
            }
            _ => true,
        }
    }

    /// One element as a float.
    ///
    /// - `bytes`: exactly one element
    pub fn value(self, bytes: &[u8]) -> f64 {
        let bits = bytes.iter().rev().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        match self {
            Self::F8E4M3 if bits & 0x7F == 0x7F => f64::NAN,
            Self::F8E4M3 => small_float(bits, 4, 3),
            Self::F8E5M2 if bits & 0x7C == 0x7C => not_finite(bits & 0x80 != 0, bits & 0x03),
            Self::F8E5M2 => small_float(bits, 5, 2),
            Self::F16 if bits & 0x7C00 == 0x7C00 => not_finite(bits & 0x8000 != 0, bits & 0x03FF),
            Self::F16 => small_float(bits, 5, 10),
            Self::BF16 => f64::from(f32::from_bits((bits as u32) << 16)),
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::F64 => f64::from_bits(bits),
            Self::I8 => f64::from(bits as i8),
            Self::I16 => f64::from(bits as i16),
            Self::I32 => f64::from(bits as i32),
            Self::I64 => bits as i64 as f64,
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => bits as f64,
            Self::Bool => f64::from(u8::from(bits != 0)),
        }
    }

    /// All elements as 32-bit floats.
    ///
    /// - `bytes`: whole elements
    pub fn floats(self, bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(self.n_bytes()).map(|one| self.value(one) as f32).collect()
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F8E4M3 => "f8_e4m3",
            Self::F8E5M2 => "f8_e5m2",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Bool => "bool",
        })
    }
}

/// Whether no 16-bit float has all bits of its exponent set, as NaN and the infinities have.
fn all16(bytes: &[u8], exponent: u16) -> bool {
    let twos = bytes.as_chunks().0.iter();
    twos.fold(true, |finite, two| finite & (u16::from_le_bytes(*two) & exponent != exponent))
}

/// A sign, `exponent` bits of exponent and `mantissa` bits of mantissa, with the usual bias and subnormal numbers.
fn small_float(bits: u64, exponent: i32, mantissa: i32) -> f64 {
    let fraction = (bits & ((1 << mantissa) - 1)) as f64;
    let power = ((bits >> mantissa) & ((1 << exponent) - 1)) as i32;
    let bias = (1 << (exponent - 1)) - 1;
    let one = f64::from(1u32 << mantissa);
    let size = match power {
        0 => fraction / one * 2f64.powi(1 - bias),
        _ => (1.0 + fraction / one) * 2f64.powi(power - bias),
    };
    if bits >> (exponent + mantissa) & 1 == 1 { -size } else { size }
}

fn not_finite(negative: bool, mantissa: u64) -> f64 {
    match (mantissa, negative) {
        (0, false) => f64::INFINITY,
        (0, true) => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_eight_and_sixteen_bits() {
        for (dtype, bits, value) in [
            (Dtype::F8E4M3, 0x38, 1.0),
            (Dtype::F8E4M3, 0x7E, 448.0),
            (Dtype::F8E4M3, 0x01, 0.001_953_125),
            (Dtype::F8E4M3, 0xB8, -1.0),
            (Dtype::F8E5M2, 0x3C, 1.0),
            (Dtype::F8E5M2, 0x7B, 57_344.0),
            (Dtype::F8E5M2, 0x01, 1.525_878_906_25e-5),
            (Dtype::F8E5M2, 0xFC, f64::NEG_INFINITY),
        ] {
            assert_eq!(dtype.value(&[bits]).to_bits(), f64::to_bits(value), "{dtype} {bits:#x}");
        }
        for (dtype, bits, value) in [
            (Dtype::F16, 0x3C00u16, 1.0),
            (Dtype::F16, 0x7BFF, 65_504.0),
            (Dtype::F16, 0x8001, -5.960_464_477_539_063e-8),
            (Dtype::BF16, 0x3F80, 1.0),
            (Dtype::I16, 0xFFFF, -1.0),
            (Dtype::U16, 0xFFFF, 65_535.0),
        ] {
            let got = dtype.value(&bits.to_le_bytes());
            assert_eq!(got.to_bits(), f64::to_bits(value), "{dtype} {bits:#x}");
        }
    }

    #[test]
    fn the_quick_check_agrees_with_the_values() {
        for bits in 0..=u16::MAX {
            let [low, high] = bits.to_le_bytes();
            for dtype in [Dtype::F8E4M3, Dtype::F8E5M2] {
                assert_eq!(dtype.is_finite(&[low]), dtype.value(&[low]).is_finite(), "{dtype} {low:#x}");
            }
            for dtype in [Dtype::F16, Dtype::BF16] {
                let bytes = [low, high];
                assert_eq!(dtype.is_finite(&bytes), dtype.value(&bytes).is_finite(), "{dtype} {bits:#x}");
            }
        }
    }
}
