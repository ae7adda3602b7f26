//! Number types of the forward pass and of the SAEs, and TF32, which is a setting of the process.

use serde::{Deserialize, Serialize};
use std::ffi::c_void;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use libloading::os::unix::{Library, Symbol};
use tch::{Device, Kind};

/// Number type of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// 32-bit floats whose matrix products round to TF32: faster on GPUs, four digits.
    Tf32,
    /// 16-bit brain floats: faster on GPUs, three digits.
    Bf16,
}

/// Number type in which SAEs encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum SaeDtype {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats in the encoder's matrix product, 32-bit floats after it.
    Bf16,
}

impl Dtype {
    /// Of tensors.
    pub fn kind(self) -> Kind {
        if self == Self::Bf16 { Kind::BFloat16 } else { Kind::Float }
    }

    /// The number type to compute in: f32 instead of bf16 on a CPU without instructions for it, which libtorch then
    /// imitates some hundred times slower, unless `forced`. And what to say of it.
    pub fn usable(self, device: Device, forced: bool) -> (Self, Option<String>) {
        if self != Self::Bf16 || device != Device::Cpu || has_bf16() {
            return (self, None);
        }
        let slow = "this CPU has no bf16 instructions, and would be some hundred times slower than in f32";
        if forced {
            return (self, Some(slow.to_owned()));
        }
        (Self::F32, Some(format!("{slow}: computed in f32; --force-dtype insists on bf16")))
    }
}

/// Whether the CPU multiplies bf16.
fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

impl SaeDtype {
    /// Of the encoder's matrix.
    pub fn kind(self) -> Kind {
        if self == Self::Bf16 { Kind::BFloat16 } else { Kind::Float }
    }
}

/// How a forward pass computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    /// Number type of weights and activations.
    pub kind: Kind,
    /// Whether matrix products round their inputs to TF32 (10 bits of mantissa) first.
    pub tf32: bool,
}

impl Precision {
    /// What `dtype` means on `device`; TF32 is a format of NVIDIA's matrix units.
    pub fn new(dtype: Dtype, device: Device) -> Result<Self> {
        let tf32 = dtype == Dtype::Tf32;
        ensure!(
            !tf32 || device != Device::Cpu,
            "--dtype tf32 is a number type of GPUs: use f32 on the CPU, or --device cuda:0"
        );
        Ok(Self { kind: dtype.kind(), tf32 })
    }

    /// As the manifest calls it.
    pub fn name(self) -> &'static str {
        match (self.kind, self.tf32) {
            (_, true) => "tf32",
            (Kind::BFloat16, _) => "bf16",
            _ => "f32",
        }
    }
}

/// While it lives, matrix products of f32 tensors on GPUs use TF32. One at a time: the setting is the process's.
#[derive(Debug)]
pub struct Tf32(());

impl Tf32 {
    /// Begins, where `wanted`.
    pub fn begin(wanted: bool) -> Result<Option<Self>> {
        if wanted {
            allow_tf32(true)?;
        }
        Ok(wanted.then_some(Self(())))
    }
}

impl Drop for Tf32 {
    fn drop(&mut self) {
        // It was found when this began, so it is found again.
        allow_tf32(false).unwrap_or_default();
    }
}

/// Sets libtorch's `at::globalContext().setAllowTF32CuBLAS(allow)`, which tch has no binding for.
#[expect(unsafe_code, reason = "calls two functions of libtorch by their C++ names")]
fn allow_tf32(allow: bool) -> Result<()> {
    type GlobalContext = unsafe extern "C" fn() -> *mut c_void;
    type SetAllow = unsafe extern "C" fn(*mut c_void, bool);
    let libtorch = Library::this();
    let missing = "this libtorch has no setting for TF32: use --dtype f32";
    // SAFETY: the types are those of libtorch 2.11's ATen/Context.h; a method takes its object as the first argument.
    unsafe {
        let context: Symbol<GlobalContext> = libtorch.get(b"_ZN2at13globalContextEv").context(missing)?;
        let set: Symbol<SetAllow> = libtorch.get(b"_ZN2at7Context18setAllowTF32CuBLASEb").context(missing)?;
        set(context(), allow);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tf32_is_refused_on_the_cpu_and_named_on_gpus() {
        let error = Precision::new(Dtype::Tf32, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("use f32 on the CPU"), "{error}");
        let name = |dtype| Precision::new(dtype, Device::Cuda(0)).unwrap().name();
        assert_eq!([Dtype::F32, Dtype::Tf32, Dtype::Bf16].map(name), ["f32", "tf32", "bf16"]);
    }

    #[test]
    fn bf16_is_f32_on_a_cpu_without_it_unless_forced() {
        let (gpu, cpu) = (Device::Cuda(0), Device::Cpu);
        assert_eq!(Dtype::Bf16.usable(gpu, false), (Dtype::Bf16, None));
        assert_eq!(Dtype::F32.usable(cpu, false), (Dtype::F32, None));
        let (forced, note) = Dtype::Bf16.usable(cpu, true);
        assert_eq!((forced, note.is_none()), (Dtype::Bf16, has_bf16()));
        let expected = if has_bf16() { Dtype::Bf16 } else { Dtype::F32 };
        assert_eq!(Dtype::Bf16.usable(cpu, false).0, expected);
    }

    #[test]
    fn this_libtorch_has_the_setting_for_tf32() {
        assert!(Tf32::begin(false).unwrap().is_none());
        drop(Tf32::begin(true).unwrap().unwrap());
    }
}
