//! Windows: pieces of files of the log that were read just now, so that neighbouring records cost one call.
//!
//! A file that is read from front to back gets larger windows, one that is read here and there small ones. What is
//! written falls out of them.

use std::cell::RefCell;

use moraine_core::error::IoError;

const WINDOWS: usize = 4;
const SMALL_BYTES: usize = 8 * 1024;
const LARGE_BYTES: usize = 256 * 1024;
/// From this size on a read goes past the windows.
const DIRECT_BYTES: usize = 128 * 1024;

#[derive(Default)]
struct Window {
    handle: u32,
    at: u64,
    bytes: Vec<u8>,
    /// Turn of the last use.
    used: u64,
}

#[derive(Default)]
struct Windows {
    list: [Window; WINDOWS],
    turn: u64,
}

thread_local! {
    static OPEN: RefCell<Windows> = RefCell::default();
}

impl Window {
    fn holds(&self, handle: u32, at: u64, bytes: usize) -> bool {
        self.handle == handle && at >= self.at && at + bytes as u64 <= self.at + self.bytes.len() as u64
    }

    fn overlaps(&self, handle: u32, from: u64, to: u64) -> bool {
        self.handle == handle && from < self.at + self.bytes.len() as u64 && to > self.at
    }

    /// A read at `at` goes on where this window ends.
    fn leads_to(&self, handle: u32, at: u64) -> bool {
        let end = self.at + self.bytes.len() as u64;
        self.handle == handle && !self.bytes.is_empty() && at >= self.at && at <= end + SMALL_BYTES as u64
    }
}

/// Copies `out.len()` bytes from `at` of an open file that has `size` bytes. `fetch` reads a piece of it.
pub fn read(
    handle: u32,
    size: u64,
    at: u64,
    out: &mut [u8],
    mut fetch: impl FnMut(u64, &mut [u8]) -> Result<(), IoError>,
) -> Result<(), IoError> {
    if out.len() >= DIRECT_BYTES {
        return fetch(at, out);
    }
    OPEN.with_borrow_mut(|windows| {
        windows.turn += 1;
        let turn = windows.turn;
        let place = match windows.list.iter().position(|window| window.holds(handle, at, out.len())) {
            Some(place) => place,
            None => {
                let follows = windows.list.iter().position(|window| window.leads_to(handle, at));
                let bytes = if follows.is_some() { LARGE_BYTES } else { SMALL_BYTES };
                let oldest = || windows.list.iter().enumerate().min_by_key(|(_, window)| window.used).map_or(0, |(place, _)| place);
                let place = follows.unwrap_or_else(oldest);
                let window = &mut windows.list[place];
                let bytes = (bytes.max(out.len()) as u64).min(size.saturating_sub(at)) as usize;
                window.bytes.clear();
                window.bytes.resize(bytes.max(out.len()), 0);
                let fetched = fetch(at, &mut window.bytes);
                (window.handle, window.at) = (handle, at);
                if fetched.is_err() {
                    window.bytes.clear();
                    return fetched;
                }
                place
            }
        };
        let window = &mut windows.list[place];
        window.used = turn;
        let from = (at - window.at) as usize;
        out.copy_from_slice(&window.bytes[from..from + out.len()]);
        Ok(())
    })
}

/// Bytes `from..to` of an open file have changed.
pub fn forget(handle: u32, from: u64, to: u64) {
    OPEN.with_borrow_mut(|windows| {
        windows.list.iter_mut().filter(|window| window.overlaps(handle, from, to)).for_each(|window| window.bytes.clear());
    });
}

/// Another program may have changed any file.
pub fn forget_all() {
    OPEN.with_borrow_mut(|windows| windows.list.iter_mut().for_each(|window| window.bytes.clear()));
}
