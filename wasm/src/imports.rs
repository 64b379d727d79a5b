//! What JavaScript does for us: `node:fs`, the clock, progress. The only `unsafe` of the module.
//!
//! Every import that can fail answers a negative number: Linux's errno, negated; [`failure`] has the words then. `root` is
//! the directory that a path is relative to: 0 the store's, 1 the one that a salvage fills. A `handle` is an open file.
//!
//! The wrappers take slices and hand out their places in linear memory: JavaScript reads or writes so many bytes there
//! during the call, and keeps nothing.

/// What [`stat`] tells: kind (0 nothing there, 1 file, 2 directory, 3 link, 4 FIFO, 5 socket, 6 device), length, time of the last
/// modification and of the last change in ns, inode, blocks.
pub type Stat = [u64; 6];

#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "moraine")]
unsafe extern "C" {
    #[link_name = "list"]
    safe fn host_list(root: u32, path: usize, bytes: usize) -> i32;
    #[link_name = "take"]
    safe fn host_take(at: usize, bytes: usize);
    #[link_name = "stat"]
    safe fn host_stat(root: u32, path: usize, bytes: usize, follow: u32, into: usize) -> i32;
    #[link_name = "make_dir"]
    safe fn host_make_dir(root: u32, path: usize, bytes: usize) -> i32;
    #[link_name = "open"]
    safe fn host_open(root: u32, path: usize, bytes: usize) -> i32;
    #[link_name = "create"]
    safe fn host_create(root: u32, path: usize, bytes: usize, size: f64, keep: u32) -> i32;
    #[link_name = "file"]
    safe fn host_file(root: u32, path: usize, bytes: usize) -> i32;
    #[link_name = "close"]
    safe fn host_close(handle: u32);
    #[link_name = "size"]
    safe fn host_size(handle: u32) -> f64;
    #[link_name = "read"]
    safe fn host_read(handle: u32, position: f64, at: usize, bytes: usize) -> i32;
    #[link_name = "write"]
    safe fn host_write(handle: u32, position: f64, at: usize, bytes: usize) -> i32;
    #[link_name = "clear"]
    safe fn host_clear(handle: u32, from: f64, to: f64) -> i32;
    #[link_name = "zero"]
    safe fn host_zero(handle: u32, from: f64, to: f64) -> i32;
    #[link_name = "sync"]
    safe fn host_sync(handle: u32) -> i32;
    #[link_name = "sync_dir"]
    safe fn host_sync_dir(root: u32, path: usize, bytes: usize) -> i32;
    #[link_name = "sync_all"]
    safe fn host_sync_all(root: u32) -> i32;
    #[link_name = "remove"]
    safe fn host_remove(root: u32, path: usize, bytes: usize) -> i32;
    #[link_name = "remove_dir"]
    safe fn host_remove_dir(root: u32, path: usize, bytes: usize) -> i32;
    #[link_name = "rename"]
    safe fn host_rename(root: u32, from: usize, from_bytes: usize, to: usize, to_bytes: usize) -> i32;
    #[link_name = "space"]
    safe fn host_space(root: u32, path: usize, bytes: usize, into: usize) -> i32;
    #[link_name = "failure"]
    safe fn host_failure(at: usize, bytes: usize) -> usize;
    #[link_name = "now"]
    safe fn host_now() -> f64;
    #[link_name = "zone_offset"]
    safe fn host_zone_offset(at: f64) -> f64;
    #[link_name = "progress"]
    safe fn host_progress(phase: usize, bytes: usize, done: f64, total: f64) -> u32;
    #[link_name = "panicked"]
    safe fn host_panicked(text: usize, bytes: usize);
}

/// Elsewhere the module is compiled to be checked, never run.
#[cfg(not(target_arch = "wasm32"))]
mod nowhere {
    pub fn host_list(_: u32, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_take(_: usize, _: usize) {}
    pub fn host_stat(_: u32, _: usize, _: usize, _: u32, _: usize) -> i32 {
        -38
    }
    pub fn host_make_dir(_: u32, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_open(_: u32, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_create(_: u32, _: usize, _: usize, _: f64, _: u32) -> i32 {
        -38
    }
    pub fn host_file(_: u32, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_close(_: u32) {}
    pub fn host_size(_: u32) -> f64 {
        0.0
    }
    pub fn host_read(_: u32, _: f64, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_write(_: u32, _: f64, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_clear(_: u32, _: f64, _: f64) -> i32 {
        -38
    }
    pub fn host_zero(_: u32, _: f64, _: f64) -> i32 {
        -38
    }
    pub fn host_sync(_: u32) -> i32 {
        -38
    }
    pub fn host_sync_dir(_: u32, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_sync_all(_: u32) -> i32 {
        -38
    }
    pub fn host_remove(_: u32, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_remove_dir(_: u32, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_rename(_: u32, _: usize, _: usize, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_space(_: u32, _: usize, _: usize, _: usize) -> i32 {
        -38
    }
    pub fn host_failure(_: usize, _: usize) -> usize {
        0
    }
    pub fn host_now() -> f64 {
        0.0
    }
    pub fn host_zone_offset(_: f64) -> f64 {
        0.0
    }
    pub fn host_progress(_: usize, _: usize, _: f64, _: f64) -> u32 {
        0
    }
    pub fn host_panicked(_: usize, _: usize) {}
}
#[cfg(not(target_arch = "wasm32"))]
use nowhere::*;

fn place(bytes: &[u8]) -> usize {
    bytes.as_ptr() as usize
}

fn place_mut(bytes: &mut [u8]) -> usize {
    bytes.as_mut_ptr() as usize
}

/// Bytes of the listing of a directory, which [`take`] brings; 0: there is no such directory.
///
/// An entry: kind (1 file, 2 directory, 3 other), length in bytes (f64), bytes of its name (u32), its name. In front of all: one byte.
pub fn list(root: u32, path: &str) -> i32 {
    host_list(root, place(path.as_bytes()), path.len())
}

/// What the last [`list`] has found.
pub fn take(into: &mut [u8]) {
    host_take(place_mut(into), into.len());
}

/// How [`stat`] looks.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Look {
    Usual = 0,
    /// Through a link.
    Through = 1,
    /// At a file that others may have replaced: the next read opens it anew.
    Anew = 2,
}

pub fn stat(root: u32, path: &str, look: Look, into: &mut Stat) -> i32 {
    host_stat(root, place(path.as_bytes()), path.len(), look as u32, into.as_mut_ptr() as usize)
}

/// Makes a directory and those above it.
pub fn make_dir(root: u32, path: &str) -> i32 {
    host_make_dir(root, place(path.as_bytes()), path.len())
}

/// Opens a file that is there; its handle, which is the caller's to close.
pub fn open(root: u32, path: &str) -> i32 {
    host_open(root, place(path.as_bytes()), path.len())
}

/// Makes a file of so many zero bytes, at once where that can be. `keep`: the caller gets a handle, and it is a failure if
/// the file is there; otherwise it is lengthened then.
pub fn create(root: u32, path: &str, size: u64, keep: bool) -> i32 {
    host_create(root, place(path.as_bytes()), path.len(), size as f64, u32::from(keep))
}

/// The handle of a file that is there, which stays JavaScript's: valid until the next call that names a path.
pub fn file(root: u32, path: &str) -> i32 {
    host_file(root, place(path.as_bytes()), path.len())
}

pub fn close(handle: u32) {
    host_close(handle);
}

/// Length of an open file; negative: a failure.
pub fn size(handle: u32) -> f64 {
    host_size(handle)
}

/// Bytes read: fewer where the file ends.
pub fn read(handle: u32, position: u64, into: &mut [u8]) -> i32 {
    host_read(handle, position as f64, place_mut(into), into.len())
}

/// Writes all bytes.
pub fn write(handle: u32, position: u64, bytes: &[u8]) -> i32 {
    host_write(handle, position as f64, place(bytes), bytes.len())
}

/// Writes zeros over the blocks of `from..to` that hold something else: 1 if there was one. A hole stays one.
pub fn clear(handle: u32, from: u64, to: u64) -> i32 {
    host_clear(handle, from as f64, to as f64)
}

/// Writes zeros.
pub fn zero(handle: u32, from: u64, to: u64) -> i32 {
    host_zero(handle, from as f64, to as f64)
}

pub fn sync(handle: u32) -> i32 {
    host_sync(handle)
}

pub fn sync_dir(root: u32, path: &str) -> i32 {
    host_sync_dir(root, place(path.as_bytes()), path.len())
}

/// Syncs every file that was written by its path, and every directory that was changed, since they were synced.
pub fn sync_all(root: u32) -> i32 {
    host_sync_all(root)
}

pub fn remove(root: u32, path: &str) -> i32 {
    host_remove(root, place(path.as_bytes()), path.len())
}

pub fn remove_dir(root: u32, path: &str) -> i32 {
    host_remove_dir(root, place(path.as_bytes()), path.len())
}

pub fn rename(root: u32, from: &str, to: &str) -> i32 {
    host_rename(root, place(from.as_bytes()), from.len(), place(to.as_bytes()), to.len())
}

/// Used and free bytes of the file system; 0: not known, or no such directory.
pub fn space(root: u32, path: &str, into: &mut [u64; 2]) -> i32 {
    host_space(root, place(path.as_bytes()), path.len(), into.as_mut_ptr() as usize)
}

/// What failed last: the system call, NUL, the system's words. Returns how many bytes there are.
pub fn failure(into: &mut [u8]) -> usize {
    host_failure(place_mut(into), into.len())
}

pub fn now() -> f64 {
    host_now()
}

pub fn zone_offset(at: f64) -> f64 {
    host_zone_offset(at)
}

/// Whether to go on.
pub fn progress(phase: &str, done: u64, total: u64) -> bool {
    host_progress(place(phase.as_bytes()), phase.len(), done as f64, total as f64) != 0
}

pub fn panicked(text: &str) {
    host_panicked(place(text.as_bytes()), text.len());
}
