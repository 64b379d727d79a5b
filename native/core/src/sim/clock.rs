//! A clock that stands until it is moved, and may jump.

use alloc::rc::Rc;
use core::cell::Cell;

use crate::storage::Clock;

/// Time in a simulation; a clone is the same clock.
#[derive(Clone, Debug)]
pub struct SimClock {
    now: Rc<Cell<i64>>,
    zone_offset_ms: i64,
}

impl SimClock {
    pub fn at(now_ms: i64) -> Self {
        Self { now: Rc::new(Cell::new(now_ms)), zone_offset_ms: 0 }
    }

    pub fn with_zone_offset(self, zone_offset_ms: i64) -> Self {
        Self { zone_offset_ms, ..self }
    }

    /// Goes on, or back.
    pub fn jump(&self, by_ms: i64) {
        self.now.set(self.now.get().saturating_add(by_ms));
    }

    pub fn set(&self, now_ms: i64) {
        self.now.set(now_ms);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        self.now.get()
    }

    fn zone_offset_ms(&self, _at_ms: i64) -> i64 {
        self.zone_offset_ms
    }
}
