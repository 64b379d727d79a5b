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

/// An integer within `range`.
fn integer(name: &'static str, value: f64, range: RangeInclusive<i64>) -> Result<i64, Error> {
    // Every i64 used as a bound here is below 2^53 in amount, so the comparison is exact; NaN fails it.
    if value.trunc() == value && (*range.start() as f64..=*range.end() as f64).contains(&value) {
        return Ok(value as i64);
    }
    Err(Error::argument(name, format!("{name} is {value}, must be an integer from {} to {}", range.start(), range.end())))
}

const SAFE: i64 = MAX_SAFE_INTEGER as i64;

/// A position, an offset or a number of bytes: 0 to 2^53 - 1.
pub fn offset(name: &'static str, value: f64) -> Result<u64, Error> {
    integer(name, value, 0..=SAFE).map(|value| value as u64)
}

/// How many of something: 0 to 2^53 - 1, as far as this machine can address it.
pub fn count(name: &'static str, value: f64) -> Result<usize, Error> {
    Ok(usize::try_from(offset(name, value)?).unwrap_or(usize::MAX))
}

/// Milliseconds since the epoch.
pub fn time(name: &'static str, value: f64) -> Result<i64, Error> {
    integer(name, value, -SAFE..=SAFE)
}

/// A number that the engine keeps in 32 bits without sign.
pub fn u32(name: &'static str, value: f64) -> Result<u32, Error> {
    integer(name, value, 0..=i64::from(u32::MAX)).map(|value| value as u32)
}

/// A queue id as RocketMQ has them.
pub fn queue_id(value: f64) -> Result<i32, Error> {
    integer("queueId", value, 0..=i64::from(i32::MAX)).map(|value| value as i32)
}
