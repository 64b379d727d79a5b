//! From the system's errors to the seam's.

use std::io;

use moraine_core::error::{IoError, IoKind};

/// The failure of `syscall` on `path` (relative to the store directory where it lies in it).
pub(crate) fn io_error(error: &io::Error, syscall: &'static str, path: &str) -> IoError {
    let errno = error.raw_os_error().unwrap_or(0);
    let kind = match errno {
        libc::ENOENT => IoKind::NotFound,
        libc::EEXIST => IoKind::Exists,
        libc::EACCES | libc::EPERM | libc::EROFS => IoKind::Denied,
        libc::ENOSPC | libc::EDQUOT => IoKind::Full,
        // ELOOP: a link where O_NOFOLLOW wants a file; ENXIO: a socket or a device without a driver.
        libc::EISDIR | libc::ENOTDIR | libc::ELOOP | libc::ENXIO => IoKind::WrongType,
        _ => IoKind::Other,
    };
    let reason = match errno {
        libc::ELOOP => "is a symbolic link, want a file".into(),
        0 => error.to_string(),
        _ => {
            let text = error.to_string();
            // The number stands in its own field.
            text.split(" (os error").next().unwrap_or(&text).to_owned()
        }
    };
    IoError { kind, errno, syscall, path: path.to_owned(), reason }
}

/// Something that is not of the type it has to be.
pub(crate) fn wrong_type(syscall: &'static str, path: &str, reason: &str) -> IoError {
    IoError::new(IoKind::WrongType, syscall, path, reason)
}

/// A change asked of a storage that is open for reading.
pub(crate) fn read_only(syscall: &'static str, path: &str) -> IoError {
    IoError::new(IoKind::Denied, syscall, path, "the store is open for reading only")
}
