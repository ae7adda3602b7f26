//! What the standard library does not offer of the system.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt, path::Path};

/// Exchanges what is at two paths in one step; `Unsupported` where the system or the file system cannot.
#[cfg(target_os = "linux")]
pub fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    let [a, b] = [a, b].map(|path| CString::new(path.as_os_str().as_bytes()));
    let (a, b) = (a?, b?);
    #[expect(unsafe_code, reason = "both paths are strings that outlive the call")]
    let done = unsafe {
        libc::renameat2(libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), libc::RENAME_EXCHANGE)
    };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
        _ => Err(error),
    }
}

/// Exchanges what is at two paths in one step; `Unsupported` where the system or the file system cannot.
#[cfg(not(target_os = "linux"))]
pub fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The user whose files this process makes.
pub fn user() -> u32 {
    #[expect(unsafe_code, reason = "the call has no arguments and cannot fail")]
    unsafe {
        libc::geteuid()
    }
}

/// Whether this process ignores `signal`, as one in the background of a shell or under `nohup` does.
pub fn ignores(signal: i32) -> bool {
    #[expect(unsafe_code, reason = "the call fills the structure that it is given")]
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}
