//! Time: the system's, or one that a test drives.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use moraine_core::storage::Clock;

/// Where a store takes its time from.
#[derive(Clone, Debug)]
pub enum HostClock {
    System,
    /// Milliseconds since the Unix epoch, set from outside. The zone is the system's.
    Driven(Arc<AtomicI64>),
}

impl Clock for HostClock {
    fn now_ms(&self) -> i64 {
        match self {
            Self::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
            },
            Self::Driven(ms) => ms.load(Ordering::Relaxed),
        }
    }

    fn zone_offset_ms(&self, at_ms: i64) -> i64 {
        local_zone_offset_ms(at_ms)
    }
}

/// Milliseconds that local time is ahead of UTC at `at_ms`; 0 for moments whose year the system cannot express.
fn local_zone_offset_ms(at_ms: i64) -> i64 {
    let seconds: libc::time_t = at_ms.div_euclid(1000);
    let mut local = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to live values of the right types, the second for the callee to fill;
    // localtime_r keeps no pointer and may be called from any thread. All-zero bytes are a valid `tm`
    // (its one pointer, tm_zone, may be null), so reading it is sound also when the call failed.
    // Broken by: `every_moment_has_an_offset`.
    let local = unsafe {
        if libc::localtime_r(&seconds, local.as_mut_ptr()).is_null() {
            return 0;
        }
        local.assume_init()
    };
    local.tm_gmtoff * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_the_time_of_day() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        let now = HostClock::System.now_ms();
        assert!(now >= before && now < before + 10_000, "{now} after {before}");
    }

    #[test]
    fn a_driven_clock_says_what_it_was_told() {
        let time = Arc::new(AtomicI64::new(5));
        let clock = HostClock::Driven(time.clone());
        assert_eq!(clock.now_ms(), 5);
        time.store(-7, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), -7);
    }

    #[test]
    fn zone_offsets_are_within_a_day_of_utc() {
        for at in [0, -1, 1_700_000_000_123, 4_102_444_800_000] {
            let offset = HostClock::System.zone_offset_ms(at);
            assert!(offset.abs() <= 26 * 3_600_000 && offset % 1000 == 0, "{offset} at {at}");
        }
    }

    #[test]
    fn every_moment_has_an_offset() {
        for at in [i64::MAX, i64::MIN] {
            assert!(HostClock::System.zone_offset_ms(at).abs() <= 26 * 3_600_000);
        }
    }
}
