//! Windows: pieces of files of the log that were read just now, so that neighbouring records cost one call.
//!
//! A file that is read from front to back gets large windows; one that is read here and there (a queue among others, single
//! messages) is read as asked, but for short reads, which look at what follows. What is written falls out of the windows.

use std::cell::RefCell;

use moraine_core::error::IoError;

const WINDOWS: usize = 4;
/// For a short read that does not go on where another has ended.
const SMALL_BYTES: usize = 8 * 1024;
const LARGE_BYTES: usize = 256 * 1024;
/// Reads of fewer bytes are short.
const SHORT_BYTES: usize = 512;
/// From this size on a read goes past the windows.
const DIRECT_BYTES: usize = 128 * 1024;
/// Bytes that may be left out between two reads which go on.
const GAP_BYTES: u64 = 64;

#[derive(Default)]
struct Window {
    handle: u32,
    at: u64,
    /// Room for a window: what it holds are the first `len`.
    bytes: Vec<u8>,
    len: usize,
    /// Where the newest read in it has ended.
    read_to: u64,
    /// Turn of the last use.
    used: u64,
}

#[derive(Default)]
struct Windows {
    list: [Window; WINDOWS],
    turn: u64,
    /// Where the newest read past the windows has ended.
    direct: (u32, u64),
}

thread_local! {
    static OPEN: RefCell<Windows> = RefCell::default();
}

impl Window {
    fn holds(&self, handle: u32, at: u64, bytes: usize) -> bool {
        self.handle == handle && at >= self.at && at + bytes as u64 <= self.at + self.len as u64
    }

    fn overlaps(&self, handle: u32, from: u64, to: u64) -> bool {
        self.handle == handle && from < self.at + self.len as u64 && to > self.at
    }

    /// A read at `at` goes on where the newest one in this window has ended.
    fn leads_to(&self, handle: u32, at: u64) -> bool {
        self.len > 0 && self.handle == handle && goes_on(self.read_to, at)
    }
}

fn goes_on(end: u64, at: u64) -> bool {
    at >= end && at - end <= GAP_BYTES
}

/// Copies `out.len()` bytes from `at` of an open file that has `size` bytes. `fetch` reads a piece of it.
pub fn read(
    handle: u32,
    size: u64,
    at: u64,
    out: &mut [u8],
    mut fetch: impl FnMut(u64, &mut [u8]) -> Result<(), IoError>,
) -> Result<(), IoError> {
    OPEN.with_borrow_mut(|windows| {
        windows.turn += 1;
        let (turn, end) = (windows.turn, at + out.len() as u64);
        let place = match windows.list.iter().position(|window| window.holds(handle, at, out.len())) {
            Some(place) => place,
            None => {
                let follows = windows.list.iter().position(|window| window.leads_to(handle, at));
                let goes_on = follows.is_some() || (windows.direct.0 == handle && goes_on(windows.direct.1, at));
                if out.len() >= DIRECT_BYTES || (out.len() >= SHORT_BYTES && !goes_on) {
                    windows.direct = (handle, end);
                    return fetch(at, out);
                }
                let oldest = || windows.list.iter().enumerate().min_by_key(|(_, window)| window.used).map_or(0, |(place, _)| place);
                let place = follows.unwrap_or_else(oldest);
                let window = &mut windows.list[place];
                let wanted = if goes_on { LARGE_BYTES } else { SMALL_BYTES };
                let bytes = ((wanted.max(out.len()) as u64).min(size.saturating_sub(at)) as usize).max(out.len());
                if window.bytes.len() < bytes {
                    window.bytes.resize(bytes, 0);
                }
                (window.handle, window.at, window.len) = (handle, at, 0);
                fetch(at, &mut window.bytes[..bytes])?;
                window.len = bytes;
                place
            }
        };
        let window = &mut windows.list[place];
        (window.used, window.read_to) = (turn, end);
        let from = (at - window.at) as usize;
        out.copy_from_slice(&window.bytes[from..from + out.len()]);
        Ok(())
    })
}

/// Bytes `from..to` of an open file have changed.
pub fn forget(handle: u32, from: u64, to: u64) {
    OPEN.with_borrow_mut(|windows| {
        windows.list.iter_mut().filter(|window| window.overlaps(handle, from, to)).for_each(|window| window.len = 0);
    });
}

/// Another program may have changed any file.
pub fn forget_all() {
    OPEN.with_borrow_mut(|windows| windows.list.iter_mut().for_each(|window| window.len = 0));
}
