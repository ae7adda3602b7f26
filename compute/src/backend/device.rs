//! Where tensors live: the CPU, or a GPU whose libraries are opened only when one is asked for.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};
use tch::{Cuda, Device};

/// The device called `name`: `auto`, `cpu` or `cuda:N`.
///
/// The binary is linked to libtorch's CPU part alone, so it runs where there is no CUDA. For a GPU the CUDA part is
/// opened here, before the first tensor is made; libtorch then finds it registered.
pub fn parse_device(name: &str) -> Result<Device> {
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

#[expect(unsafe_code, reason = "opening a shared library runs its initialisers; this one is libtorch's own")]
fn open_cuda() -> Result<()> {
    let file = "libtorch_cuda.so";
    // Where the loader looks, which LD_LIBRARY_PATH says first; else beside the libtorch that this program was built with.
    let mut paths = vec![PathBuf::from(file)];
    paths.extend(option_env!("LIBTORCH").map(|folder| PathBuf::from(folder).join("lib").join(file)));
    // SAFETY: libtorch's CUDA library is made to be loaded this way; Python's torch does the same.
    let open = |path: &PathBuf| unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    let library = open(&paths[0]).or_else(|error| paths.get(1).map_or(Err(error), open))?;
    // Its kernels stay registered for the life of the program, so it must never be closed.
    std::mem::forget(library);
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
#[expect(
    unsafe_code,
    reason = "calls two functions of the CUDA runtime, which is opened only when asked for"
)]
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
    fn a_batch_is_a_power_of_two_of_tokens_within_a_quarter_of_free_memory() {
        assert_eq!(tokens_that_fit(80 << 30, 1 << 20), 16_384);
        assert_eq!(tokens_that_fit(80 << 30, 3 << 20), 4096);
        assert_eq!(tokens_that_fit(81 << 30, 3 << 20), 4096);
        assert_eq!(tokens_that_fit(1 << 30, 3 << 20), 2048, "halved where it does not fit");
    }
}
