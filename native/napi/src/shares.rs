//! Stores that environments of one process share: by the number of the handle that opened them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use moraine_core::error::{Code, Error};
use moraine_host::shared::Door;
use napi::bindgen_prelude::Function;
use napi_derive::napi;

use crate::env;
use crate::guard::guarded;
use crate::tasks::{self, EventArguments};

/// A store that was shared.
#[derive(Clone)]
struct Share {
    door: Door,
    /// What the other side has to know to use it: its own affair.
    settings: String,
}

/// Those of this process. One whose store has closed lets nobody in any more; it is swept out when another one is shared.
static SHARES: Mutex<BTreeMap<u32, Share>> = Mutex::new(BTreeMap::new());

fn shares() -> MutexGuard<'static, BTreeMap<u32, Share>> {
    SHARES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// STORE_CLOSED where it is none of this process, or closed.
fn shared(number: u32) -> Result<Share, Error> {
    let share = shares().get(&number).filter(|share| share.door.is_open()).cloned();
    share.ok_or_else(|| Error::new(Code::Closed, "the store of this token is closed; open it again, and share it anew"))
}

/// Where one comes into a shared store.
pub fn door(number: u32) -> Result<Door, Error> {
    Ok(shared(number)?.door)
}

/// Which loaded copy of the addon this is: no two of a process, nor of two processes, have the same name.
#[napi]
pub fn copy_name() -> String {
    static NAME: OnceLock<String> = OnceLock::new();
    static HERE: AtomicU32 = AtomicU32::new(0);
    let name = || {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // Where this copy was loaded: another one of the process lies elsewhere.
        format!("{}-{nanos:x}-{:x}", std::process::id(), std::ptr::from_ref(&HERE).addr() as u64 + u64::from(HERE.load(Ordering::Relaxed)))
    };
    NAME.get_or_init(name).clone()
}

/// Shares a store; returns the number that others attach to it under. `settings` is kept for them.
#[napi]
pub fn share(handle: u32, settings: String) -> napi::Result<u32> {
    guarded(|| {
        env::with(handle, |store| {
            let mut shares = shares();
            shares.retain(|_, share| share.door.is_open());
            shares.insert(store.number, Share { door: store.shared.door(), settings });
            Ok(store.number)
        })
    })
}

/// What was kept when a store was shared.
#[napi]
pub fn shared_settings(number: u32) -> napi::Result<String> {
    guarded(|| Ok(shared(number)?.settings))
}

/// Attaches this thread to a shared store. Returns its handle, which is void until `onEvent` says `EVENT_OPENED`.
#[napi]
pub fn attach(number: u32, on_event: Function<EventArguments, ()>) -> napi::Result<u32> {
    guarded(|| tasks::attach(number, on_event))
}
