//! Where tensors live: the CPU, or a GPU whose libraries are opened only when one is asked for.

use std::{ffi::c_void, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};
use tch::{Cuda, Device, Kind};

use crate::args::Dtype;

/// The device called `name`: `auto`, `cpu` or `cuda:N`.
///
/// The binary is linked to libtorch's CPU part alone, so it runs where there is no CUDA. For a GPU the CUDA part is
/// opened here, before the first tensor is made; libtorch then finds it registered.
pub fn device(name: &str) -> Result<Device> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => {
            return Ok(if open_cuda().is_ok() && Cuda::is_available() {
                Device::Cuda(0)
            } else {
                Device::Cpu
            });
        }
        "cuda" => 0,
        _ => match name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok()) {
            Some(index) => index,
            None => bail!("unknown device \"{name}\": expected auto, cpu, or cuda:N"),
        },
    };
    open_cuda().context(
        "could not open libtorch's CUDA libraries: install the full torch==2.11.0, or use --device cpu",
    )?;
    let n = if Cuda::is_available() { Cuda::device_count() } else { 0 };
    if index as i64 >= n {
        bail!("no device cuda:{index}: this machine has {n} that libtorch can use; use --device cpu");
    }
    Ok(Device::Cuda(index))
}

#[allow(unsafe_code, reason = "opening a shared library runs its initialisers; this one is libtorch's own")]
fn open_cuda() -> Result<()> {
    let file = "libtorch_cuda.so";
    // Where the loader looks, which LD_LIBRARY_PATH says first; else beside the libtorch that this program was built with.
    let mut places = vec![PathBuf::from(file)];
    places.extend(option_env!("LIBTORCH").map(|folder| PathBuf::from(folder).join("lib").join(file)));
    // SAFETY: libtorch's CUDA library is made to be loaded this way; Python's torch does the same.
    let open = |path: &PathBuf| unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    let library = open(&places[0]).or_else(|error| places.get(1).map_or(Err(error), open))?;
    // Its kernels stay registered for the life of the program, so it must never be closed.
    std::mem::forget(library);
    Ok(())
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
#[allow(unsafe_code, reason = "calls two functions of libtorch by their C++ names")]
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

/// Tokens in a batch on a GPU, by its free memory: a power of two, so that a little more or less changes nothing.
///
/// - `token_bytes`: what a token of a batch takes
pub fn batch_tokens(device: Device, token_bytes: usize) -> Option<usize> {
    Some(tokens_that_fit(free_bytes(device)?, token_bytes))
}

/// The largest power of two of tokens that a quarter of `free` bytes holds, from 2,048 to 16,384: a GPU gains nothing from
/// larger ones.
fn tokens_that_fit(free: usize, token_bytes: usize) -> usize {
    const LEAST: usize = 1 << 11;
    const MOST: usize = 1 << 14;
    let fit = free / 4 / token_bytes.max(1);
    1 << fit.clamp(LEAST, MOST).ilog2()
}

/// Free memory of a GPU, asked of the CUDA runtime that came with libtorch's CUDA libraries.
#[allow(unsafe_code, reason = "calls two functions of the CUDA runtime, which is opened only when asked for")]
pub fn free_bytes(device: Device) -> Option<usize> {
    type SetDevice = unsafe extern "C" fn(i32) -> i32;
    type MemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> i32;
    let Device::Cuda(index) = device else { return None };
    let runtime = Library::this();
    let (mut free, mut total) = (0, 0);
    // SAFETY: the types are those of cuda_runtime_api.h; both pointers are to numbers that live longer than the call.
    let failed = unsafe {
        let set_device: Symbol<SetDevice> = runtime.get(b"cudaSetDevice").ok()?;
        let mem_get_info: Symbol<MemGetInfo> = runtime.get(b"cudaMemGetInfo").ok()?;
        set_device(index as i32) != 0 || mem_get_info(&raw mut free, &raw mut total) != 0
    };
    (!failed).then_some(free)
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
    fn this_libtorch_has_the_setting_for_tf32() {
        assert!(Tf32::begin(false).unwrap().is_none());
        drop(Tf32::begin(true).unwrap().unwrap());
    }

    #[test]
    fn a_batch_is_a_power_of_two_of_tokens_within_a_quarter_of_free_memory() {
        assert_eq!(tokens_that_fit(80 << 30, 1 << 20), 16_384);
        assert_eq!(tokens_that_fit(80 << 30, 3 << 20), 4096);
        assert_eq!(tokens_that_fit(81 << 30, 3 << 20), 4096);
        assert_eq!(tokens_that_fit(1 << 30, 3 << 20), 2048, "halved where it does not fit");
    }
}
