//! A tensor's values as a slice.

use std::ops::Deref;

use tch::{Device, Kind, TchError, Tensor};

/// Values of a tensor on the host, row-major. On the CPU they are the tensor's own, not a copy: logits over a vocabulary
/// are copied at the rate at which they are computed.
#[derive(Debug)]
pub struct Floats(Tensor);

/// A tensor's values on the host.
pub fn to_host(tensor: &Tensor) -> Result<Floats, TchError> {
    tensor.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?.f_contiguous().map(Floats)
}

impl Deref for Floats {
    type Target = [f32];

    #[expect(unsafe_code, reason = "tch gives a tensor's memory as a pointer only")]
    fn deref(&self) -> &[f32] {
        match self.0.numel() {
            0 => &[],
            // SAFETY: the tensor is contiguous, on the CPU and of f32, and lives as long as the slice. What this crate
            // changes in place are tensors that it has just made, before it looks at their values.
            n => unsafe { std::slice::from_raw_parts(self.0.data_ptr().cast(), n) },
        }
    }
}

#[expect(unsafe_code, reason = "a promise that the compiler cannot check")]
// SAFETY: nothing but the slice is reached through a shared reference.
unsafe impl Sync for Floats {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_row_major_whatever_the_tensor() {
        let t = Tensor::arange(6, (Kind::Half, Device::Cpu)).view([2, 3]);
        assert_eq!(to_host(&t).unwrap()[..], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(to_host(&t.tr()).unwrap()[..], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert!(to_host(&t.narrow(0, 0, 0)).unwrap().is_empty());
        let f = t.to_kind(Kind::Float);
        assert_eq!(to_host(&f).unwrap().as_ptr(), f.data_ptr().cast(), "not a copy");
    }
}
