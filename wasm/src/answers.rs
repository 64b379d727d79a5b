//! Where bytes and numbers lie while they cross, and how failures do.

use std::cell::RefCell;

use moraine_core::crossing;
use moraine_core::error::{Code, Error};

/// Greatest box that is kept between calls.
const KEPT_BYTES: usize = 1 << 20;

thread_local! {
    static INBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static COLUMNS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// Room for what the next call is given; where it is, or 0 where memory does not have so much.
#[unsafe(no_mangle)]
pub extern "C" fn inbox(bytes: usize) -> usize {
    INBOX.with_borrow_mut(|inbox| {
        if inbox.capacity() > KEPT_BYTES.max(bytes) {
            *inbox = Vec::new();
        }
        if inbox.len() < bytes {
            if inbox.try_reserve_exact(bytes - inbox.len()).is_err() {
                return 0;
            }
            inbox.resize(bytes, 0);
        }
        inbox.as_ptr() as usize
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn outbox() -> usize {
    OUTBOX.with_borrow(|outbox| outbox.as_ptr() as usize)
}

#[unsafe(no_mangle)]
pub extern "C" fn outbox_bytes() -> usize {
    OUTBOX.with_borrow(Vec::len)
}

#[unsafe(no_mangle)]
pub extern "C" fn columns() -> usize {
    COLUMNS.with_borrow(|columns| columns.as_ptr() as usize)
}

#[unsafe(no_mangle)]
pub extern "C" fn columns_count() -> usize {
    COLUMNS.with_borrow(Vec::len)
}

/// Runs `body` with the first `bytes` of the inbox.
pub fn with_inbox<R>(bytes: usize, body: impl FnOnce(&[u8]) -> R) -> R {
    INBOX.with_borrow(|inbox| body(&inbox[..bytes.min(inbox.len())]))
}

/// Runs `body` with the outbox, emptied.
pub fn with_outbox<R>(body: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    OUTBOX.with_borrow_mut(|outbox| {
        outbox.clear();
        if outbox.capacity() > KEPT_BYTES {
            *outbox = Vec::new();
        }
        body(outbox)
    })
}

/// Runs `body` with the columns, emptied.
pub fn with_columns<R>(body: impl FnOnce(&mut Vec<f64>) -> R) -> R {
    COLUMNS.with_borrow_mut(|columns| {
        columns.clear();
        body(columns)
    })
}

/// A text for JavaScript.
pub fn say(text: &str) {
    with_outbox(|outbox| outbox.extend_from_slice(text.as_bytes()));
}

/// Numbers for JavaScript.
pub fn tell(numbers: &[f64]) {
    with_columns(|columns| columns.extend_from_slice(numbers));
}

/// The number of an export, or -1 with the failure in the outbox.
pub fn answer(body: impl FnOnce() -> Result<i32, Error>) -> i32 {
    body().unwrap_or_else(|error| {
        say(&crossing::failure(&error));
        -1
    })
}

/// Two texts that lie one behind the other in the inbox.
pub fn two_texts<R>(first: usize, second: usize, body: impl FnOnce(&[u8], &[u8]) -> R) -> R {
    with_inbox(first + second, |bytes| {
        let (one, two) = bytes.split_at(first.min(bytes.len()));
        body(one, two)
    })
}

/// Room for `bytes`, all zero; STORE_BUSY where memory has no more.
pub fn room(into: &mut Vec<u8>, bytes: usize) -> Result<(), Error> {
    into.clear();
    if into.try_reserve_exact(bytes).is_err() {
        return Err(out_of_memory(bytes));
    }
    into.resize(bytes, 0);
    Ok(())
}

pub fn out_of_memory(bytes: usize) -> Error {
    let message = format!("the WebAssembly engine has no memory left for {bytes} bytes; ask for less at once");
    Error::new(Code::Busy, message)
}
