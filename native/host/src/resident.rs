//! Reads that never wait for a disk: what the system has in memory, or nothing.

use std::fs::File;
use std::io::IoSliceMut;

use moraine_core::error::{IoError, IoKind};
use rustix::io::{Errno, ReadWriteFlags};

use crate::errno::io_error;

/// Reads up to `out.len()` bytes from `at`, fewer only where the file ends. What is not in memory is [`IoKind::Cold`].
///
/// A file system that cannot say what it has in memory is read as ever: it is one without a disk (tmpfs on older systems),
/// or one whose readers wait for each other all the same.
pub(crate) fn read_resident(file: &File, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
    let mut read = 0;
    let mut flags = ReadWriteFlags::NOWAIT;
    while read < out.len() {
        let mut rest = [IoSliceMut::new(&mut out[read..])];
        match rustix::io::preadv2(file, &mut rest, at.saturating_add(read as u64), flags) {
            Ok(0) => break,
            Ok(some) => read += some,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(cold(path, at, out.len())),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) if !flags.is_empty() => flags = ReadWriteFlags::empty(),
            Err(error) => return Err(io_error(&error.into(), "preadv2", path)),
        }
    }
    Ok(read)
}

/// The error that says which bytes have to be brought into memory first.
pub(crate) fn cold(path: &str, at: u64, bytes: usize) -> IoError {
    IoError::new(IoKind::Cold { at, bytes }, "preadv2", path, "the bytes are not in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_written_just_now_is_there_and_ends_with_the_file() {
        let path = std::env::temp_dir().join(format!("moraine-resident-{}", std::process::id()));
        File::create(&path).unwrap().write_all(&[7; 5000]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut out = [0; 8000];
        assert_eq!(read_resident(&file, "f", 1000, &mut out).unwrap(), 4000);
        assert!(out[..4000].iter().all(|&byte| byte == 7));
        assert_eq!(read_resident(&file, "f", 9000, &mut out).unwrap(), 0);
    }
}
