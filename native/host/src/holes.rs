//! Where a file has data and where it has holes.

use std::fs::File;

use moraine_core::error::IoError;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::errno::io_error;

/// The next range at or after `at`, below `end`, that is no hole. On a file system that knows no holes all of it is data.
pub(crate) fn data_from(file: &File, path: &str, at: u64, end: u64) -> Result<Option<(u64, u64)>, IoError> {
    if at >= end {
        return Ok(None);
    }
    let from = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(from) => from.max(at),
        // Behind the last data.
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, end))),
        Err(error) => return Err(io_error(&error.into(), "lseek", path)),
    };
    if from >= end {
        return Ok(None);
    }
    let to = rustix::fs::seek(file, SeekFrom::Hole(from)).map_err(|error| io_error(&error.into(), "lseek", path))?;
    // A file that grows data while it is searched must not hold the search up.
    Ok(Some((from, to.clamp(from + 1, end))))
}
