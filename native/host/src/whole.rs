//! Files that appear with their full size. RocketMQ 4.9 refuses a store in which a file has another one, as the death of
//! a process between making a file and giving it its size would leave it.

use std::fs::File;
use std::path::Path;

use moraine_core::error::IoError;

/// Makes a file of `size` zero bytes in one step; `None` where the system cannot, or something of the name is there already.
#[cfg(target_os = "linux")]
pub(crate) fn create_whole(place: &Path, shown: &str, size: u64) -> Result<Option<File>, IoError> {
    use crate::errno::io_error;
    use rustix::fs::{AtFlags, CWD, Mode, OFlags};
    use std::os::fd::AsRawFd;

    let Some(folder) = place.parent() else { return Ok(None) };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let Ok(nameless) = rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666)) else { return Ok(None) };
    let file = File::from(nameless);
    file.set_len(size).map_err(|error| io_error(&error, "ftruncate", shown))?;
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Without /proc, or across mounts, the file goes with its descriptor.
    Ok(rustix::fs::linkat(CWD, itself, CWD, place, AtFlags::SYMLINK_FOLLOW).is_ok().then_some(file))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn create_whole(_place: &Path, _shown: &str, _size: u64) -> Result<Option<File>, IoError> {
    Ok(None)
}
