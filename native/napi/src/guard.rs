//! What a caller may hand in, and what must not get out.
//!
//! The TypeScript side has checked its arguments already. These checks are for whoever calls the addon directly:
//! nothing that JavaScript can pass may crash the process.

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};

use moraine_core::error::Error;
use moraine_core::limits::MAX_SAFE_INTEGER;

use crate::failure::Failure;

/// Runs `call` and turns a panic into a failure, so that none crosses the boundary.
///
/// What `call` left half done stays behind a poisoned lock or in memory that is dropped: nothing here reads it again.
pub fn caught<R>(call: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(Failure::panicked(&*payload)))
}

/// [`caught`] for `#[napi]` functions.
pub fn guarded<R>(call: impl FnOnce() -> Result<R, Failure>) -> napi::Result<R> {
    caught(call).map_err(napi::Error::from)
}

/// An integer within `range`, whose ends are below 2^53 in amount.
#[inline]
fn integer(name: &'static str, value: f64, range: RangeInclusive<i64>) -> Result<i64, Error> {
    // The cast saturates and makes 0 of NaN: what is no integer does not come back as itself.
    let whole = value as i64;
    if whole as f64 == value && range.contains(&whole) { Ok(whole) } else { Err(no_integer(name, value, range)) }
}

#[cold]
fn no_integer(name: &'static str, value: f64, range: RangeInclusive<i64>) -> Error {
    Error::argument(name, format!("{name} is {value}, must be an integer from {} to {}", range.start(), range.end()))
}

const SAFE: i64 = MAX_SAFE_INTEGER as i64;

/// A position, an offset or a number of bytes: 0 to 2^53 - 1.
#[inline]
pub fn offset(name: &'static str, value: f64) -> Result<u64, Error> {
    integer(name, value, 0..=SAFE).map(|value| value as u64)
}

/// How many of something: 0 to 2^53 - 1, as far as this machine can address it.
#[inline]
pub fn count(name: &'static str, value: f64) -> Result<usize, Error> {
    Ok(usize::try_from(offset(name, value)?).unwrap_or(usize::MAX))
}

/// Milliseconds since the epoch.
pub fn time(name: &'static str, value: f64) -> Result<i64, Error> {
    integer(name, value, -SAFE..=SAFE)
}

/// A number that the engine keeps in 32 bits without sign.
#[inline]
pub fn u32(name: &'static str, value: f64) -> Result<u32, Error> {
    integer(name, value, 0..=i64::from(u32::MAX)).map(|value| value as u32)
}

/// A queue id as RocketMQ has them.
#[inline]
pub fn queue_id(value: f64) -> Result<i32, Error> {
    integer("queueId", value, 0..=i64::from(i32::MAX)).map(|value| value as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_failure_with_its_text() {
        for panic in [|| panic!("broken {}", 7), || std::panic::panic_any("broken 7")] {
            let failure = caught::<()>(panic).err().map(Failure::into_json);
            let json = r#"{"code":"STORE_IO","message":"internal error, please report it: broken 7","details":{"internal":true}}"#;
            assert_eq!(failure.as_deref(), Some(json));
        }
        assert!(caught::<()>(|| std::panic::panic_any(7)).is_err());
    }

    #[test]
    fn an_offset_is_an_integer_below_two_to_the_53rd() {
        for (given, taken) in [(0.0, 0), (-0.0, 0), (7.0, 7), (9_007_199_254_740_991.0, (1 << 53) - 1)] {
            assert_eq!(offset("offset", given), Ok(taken));
        }
        for wrong in [-1.0, 0.5, 9_007_199_254_740_992.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = offset("offset", wrong).unwrap_err();
            assert_eq!(error.message, format!("offset is {wrong}, must be an integer from 0 to 9007199254740991"));
        }
    }

    #[test]
    fn a_queue_id_is_not_negative() {
        assert_eq!(queue_id(2_147_483_647.0), Ok(i32::MAX));
        assert!(queue_id(-1.0).is_err() && queue_id(2_147_483_648.0).is_err());
    }
}
