//! Retention: what may be removed, and what is held.

use moraine_core::error::Error;
use moraine_core::options::RetentionPolicy;
use napi_derive::napi;

use crate::env;
use crate::guard::{self, guarded};

/// `retention` of contract.ts.
#[napi(object, object_to_js = false)]
pub struct RetentionOptions {
    pub max_age_ms: Option<f64>,
    pub max_bytes: Option<f64>,
    pub delete_hour: Option<f64>,
    pub disk_ratio: Option<f64>,
}

impl RetentionOptions {
    pub fn policy(&self) -> Result<RetentionPolicy, Error> {
        let offset = |name, value: Option<f64>| value.map(|value| guard::offset(name, value)).transpose();
        let delete_hour = match offset("retention.deleteHour", self.delete_hour)? {
            None => None,
            Some(hour @ 0..=23) => Some(hour as u8),
            Some(hour) => return Err(Error::argument("retention.deleteHour", format!("deleteHour is {hour}, must be from 0 to 23"))),
        };
        let disk_ratio = self.disk_ratio;
        if let Some(ratio) = disk_ratio.filter(|&ratio| ratio.is_nan() || ratio <= 0.0 || ratio > 1.0) {
            return Err(Error::argument("retention.diskRatio", format!("diskRatio is {ratio}, must be above 0 and at most 1")));
        }
        Ok(RetentionPolicy {
            max_age_ms: offset("retention.maxAgeMs", self.max_age_ms)?,
            max_bytes: offset("retention.maxBytes", self.max_bytes)?,
            delete_hour,
            disk_ratio,
        })
    }
}

/// Asks for files of the log to be removed; `EVENT_DONE` follows with the number of the errand.
#[napi]
pub fn expire(handle: u32, errand: u32, before: Option<f64>, max_bytes: Option<f64>) -> napi::Result<()> {
    guarded(|| {
        let before = before.map(|before| guard::time("before", before)).transpose()?;
        let max_bytes = max_bytes.map(|most| guard::offset("maxBytes", most)).transpose()?;
        env::with(handle, |store| Ok(store.shared.expire(errand, before, max_bytes)?))
    })
}

/// Asks for a topic to be deleted; `EVENT_DONE` follows with the number of the errand.
#[napi]
pub fn delete_topic(handle: u32, errand: u32, topic: String) -> napi::Result<()> {
    guarded(|| env::with(handle, |store| Ok(store.shared.delete_topic(errand, topic)?)))
}

/// Holds the log from a physical offset on; returns the number of the hold.
#[napi]
pub fn retain(handle: u32, from: f64) -> napi::Result<u32> {
    guarded(|| {
        let from = guard::offset("fromPhysicalOffset", from)?;
        env::with(handle, |store| Ok(store.shared.retain(from)?))
    })
}

/// Gives a hold up.
#[napi]
pub fn release(handle: u32, hold: u32) -> napi::Result<()> {
    guarded(|| env::with(handle, |store| Ok(store.shared.release(hold)?)))
}
