//! Time: JavaScript's, or one that a test drives.

use std::cell::Cell;

use moraine_core::storage::Clock;

use crate::imports;

thread_local! {
    /// Where the time stands, in a store that is told it.
    static DRIVEN: Cell<Option<i64>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, Debug)]
pub struct WasmClock;

impl Clock for WasmClock {
    fn now_ms(&self) -> i64 {
        DRIVEN.get().unwrap_or_else(|| imports::now() as i64)
    }

    fn zone_offset_ms(&self, at_ms: i64) -> i64 {
        imports::zone_offset(at_ms as f64) as i64
    }
}

/// Moves the time of a store that is told it.
#[unsafe(no_mangle)]
pub extern "C" fn set_clock(now: f64) {
    DRIVEN.set(Some(now as i64));
}
