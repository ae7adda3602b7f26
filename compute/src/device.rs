//! Where tensors live: the CPU, or a GPU whose libraries are opened only when one is asked for.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tch::{Cuda, Device};

/// The device called `name`: `auto`, `cpu` or `cuda:N`.
///
/// The binary is linked to libtorch's CPU part alone, so it runs where there is no CUDA. For a GPU the CUDA part is
/// opened here, before the first tensor is made; libtorch then finds it registered.
pub fn device(name: &str) -> Result<Device> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(if open_cuda().is_ok() && Cuda::is_available() { Device::Cuda(0) } else { Device::Cpu }),
        "cuda" => 0,
        _ => match name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok()) {
            Some(index) => index,
            None => bail!("unknown device \"{name}\": expected auto, cpu, or cuda:N"),
        },
    };
    open_cuda().context("could not open libtorch's CUDA libraries: install the full torch==2.11.0, or use --device cpu")?;
    let n = if Cuda::is_available() { Cuda::device_count() } else { 0 };
    if index as i64 >= n {
        bail!("no device cuda:{index}: this machine has {n} that libtorch can use; use --device cpu");
    }
    Ok(Device::Cuda(index))
}

#[allow(unsafe_code, reason = "opening a shared library runs its initialisers; this one is libtorch's own")]
fn open_cuda() -> Result<()> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    let file = "libtorch_cuda.so";
    // Beside the libtorch that this program was built with, else wherever the loader looks.
    let built_with = option_env!("LIBTORCH").map(|folder| PathBuf::from(folder).join("lib").join(file));
    let path = built_with.filter(|p| p.exists()).unwrap_or_else(|| PathBuf::from(file));
    // SAFETY: libtorch's CUDA library is made to be loaded this way; Python's torch does the same.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) }?;
    // Its kernels stay registered for the life of the program, so it must never be closed.
    std::mem::forget(library);
    Ok(())
}
