//! The calls that carry messages, written by hand against Node-API: numbers and typed arrays in, a number out;
//! of a lookup the records.
//!
//! A `#[napi]` function costs several times as much a call: it takes a reference, or checks the value twice. The price
//! is that this file holds all `unsafe` of the addon. Its rules:
//!
//! 1. Memory is borrowed for one call. No JavaScript runs and no Node-API function is called between the moment a
//!    [`Block`] becomes a slice and the end of that slice: nothing can detach, resize or collect the array meanwhile.
//! 2. A `Block` is never shared memory: another thread could change it under a Rust reference.
//! 3. Blocks of one call do not overlap where one of them is written.

use std::cell::Cell;
use std::ffi::CString;
use std::mem::align_of;
use std::ptr::{NonNull, null_mut};
use std::slice;

use moraine_core::engine::lookup::keys_in;
use moraine_core::error::{Code, Error};
use moraine_core::limits::MAX_GET_MESSAGES;
use moraine_host::shared::{Columns, GetHead, GetRequest, Shared};
use napi::bindgen_prelude::{JsObjectValue, Object};
use napi::sys;
use napi_derive::napi;

use crate::env;
use crate::failure::Failure;
use crate::guard::{self, caught};

/// Numbers in front of the per-message ones in the results of `put`.
#[napi]
pub const PUT_RESULT_HEADER: u32 = 3;
/// Numbers per message in the results of `put`.
#[napi]
pub const PUT_RESULT_STRIDE: u32 = 3;
/// Numbers in front of the queue offsets in the columns of `get`.
#[napi]
pub const GET_HEAD: u32 = 8;
/// Numbers that `positions` writes.
#[napi]
pub const POSITIONS: u32 = 4;

/// Memory for records that is kept for the next lookup.
const KEPT_BYTES: usize = 1 << 20;

thread_local! {
    static RECORDS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub fn register(exports: &mut Object) -> napi::Result<()> {
    exports.create_named_method("put", put)?;
    exports.create_named_method("putGroup", put_group)?;
    exports.create_named_method("putColumns", put_columns)?;
    exports.create_named_method("get", get)?;
    exports.create_named_method("getInMemory", get_in_memory)?;
    exports.create_named_method("lookup", lookup)?;
    exports.create_named_method("positions", positions)?;
    exports.create_named_method("takeArrivals", take_arrivals)
}

/// `put(handle, batch, bytes, count, results)` → messages stored; with fewer than `count`, `takeError` has the reason.
unsafe extern "C" fn put(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    put_with(env, info, Shared::put)
}

/// `putGroup(handle, batch, bytes, count, results)`: as `put`, for messages that stay together.
unsafe extern "C" fn put_group(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    put_with(env, info, Shared::put_group)
}

/// A put of `Shared`: messages stored, or how many were before the error.
type Put = fn(&Shared, &[u8], &mut [f64]) -> Result<usize, (usize, Error)>;

fn put_with(env: sys::napi_env, info: sys::napi_callback_info, put: Put) -> sys::napi_value {
    answer(env, || {
        let call = Call::new(env, info);
        let [handle, batch, bytes, count, results] = call.arguments()?;
        let handle = call.number("handle", handle).and_then(|value| guard::u32("handle", value))?;
        let bytes = call.number("bytes", bytes).and_then(|value| guard::count("bytes", value))?;
        let count = call.number("count", count).and_then(|value| guard::count("count", value))?;
        let batch = call.block("batch", batch, UINT8)?.first::<u8>("batch", "bytes", bytes)?;
        let numbers = count.saturating_mul(PUT_RESULT_STRIDE as usize).saturating_add(PUT_RESULT_HEADER as usize);
        let results = call.block("results", results, FLOAT64)?.first::<f64>("results", "numbers", numbers)?;
        apart(&[&batch, &results])?;
        // SAFETY: rules 1 to 3 hold: nothing below calls Node-API, `block` refused shared memory, `apart` overlaps.
        let (batch, results) = unsafe { (batch.bytes(), results.numbers_mut()) };
        env::with(handle, |store| {
            let outcome = match put(&store.shared, batch, results) {
                Ok(stored) if stored < count => {
                    let short = format!("the batch of {bytes} bytes holds {stored} messages, count says {count}");
                    Err((stored, Error::argument("count", short)))
                }
                outcome => outcome,
            };
            Ok(Some(stored_of(store, outcome)))
        })
    })
}

/// Messages stored; an error is kept for `takeError`.
fn stored_of(store: &env::OpenStore, outcome: Result<usize, (usize, Error)>) -> f64 {
    let (stored, error) = outcome.map_or_else(|(stored, error)| (stored, Some(error)), |stored| (stored, None));
    if let Some(error) = error {
        store.put_failure.replace(Some(error.into()));
    }
    stored as f64
}

/// `putColumns(handle, tables, bytes, bodies, properties, queueIds, topicOf, bornHostOf, flags, sysFlags, reconsumeTimes,
/// preparedTransactionOffsets, bornTimestamps, bornTimestamp, results)`, as `moraine_core::columns` draws them; a column may
/// be `undefined` → as `put`.
unsafe extern "C" fn put_columns(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answer(env, || {
        let call = Call::new(env, info);
        let [handle, tables, bytes, bodies, properties, queue_ids, rest @ ..] = call.arguments::<15>()?;
        let [topics, born_hosts, flags, sys_flags, reconsume_times, prepared, born, born_timestamp, results] = rest;
        let handle = call.number("handle", handle).and_then(|value| guard::u32("handle", value))?;
        let born_timestamp = call.number("bornTimestamp", born_timestamp)?;
        let [tables, bytes] = [call.block("tables", tables, UINT8)?, call.block("bytes", bytes, UINT8)?];
        let bodies = call.column::<u32>("bodies", bodies, UINT32)?;
        let properties = call.column::<u32>("properties", properties, UINT32)?;
        let queue_ids = call.column::<i32>("queueIds", queue_ids, INT32)?;
        let topics = call.column::<u32>("topicOf", topics, UINT32)?;
        let born_hosts = call.column::<u32>("bornHostOf", born_hosts, UINT32)?;
        let flags = call.column::<i32>("flags", flags, INT32)?;
        let sys_flags = call.column::<i32>("sysFlags", sys_flags, INT32)?;
        let reconsume_times = call.column::<i32>("reconsumeTimes", reconsume_times, INT32)?;
        let prepared = call.column::<f64>("preparedTransactionOffsets", prepared, FLOAT64)?;
        let born = call.column::<f64>("bornTimestamps", born, FLOAT64)?;
        let numbers = queue_ids.length.saturating_mul(PUT_RESULT_STRIDE as usize).saturating_add(PUT_RESULT_HEADER as usize);
        let results = call.block("results", results, FLOAT64)?.first::<f64>("results", "numbers", numbers)?;
        // The others are read only, and may share their memory.
        for read in [&tables, &bytes, &bodies, &properties, &queue_ids, &topics, &born_hosts, &flags, &sys_flags, &reconsume_times] {
            apart(&[read, &results])?;
        }
        apart(&[&prepared, &results])?;
        apart(&[&born, &results])?;
        // SAFETY: rules 1 to 3 hold: nothing below calls Node-API, `block` refused shared memory, `apart` overlaps; `column` has
        // held kind and address of each against its numbers.
        let (columns, results) = unsafe {
            let columns = Columns {
                tables: tables.bytes(),
                bytes: bytes.bytes(),
                bodies: bodies.values(),
                properties: properties.values(),
                queue_ids: queue_ids.values(),
                topics: topics.values(),
                born_hosts: born_hosts.values(),
                flags: flags.values(),
                sys_flags: sys_flags.values(),
                reconsume_times: reconsume_times.values(),
                prepared_transaction_offsets: prepared.values(),
                born_timestamps: born.values(),
                born_timestamp,
            };
            (columns, results.numbers_mut())
        };
        env::with(handle, |store| Ok(Some(stored_of(store, store.shared.put_columns(&columns, results)))))
    })
}

/// `get(handle, topic, topicBytes, queueId, queueOffset, max, maxBytes, filter, out, columns)`.
unsafe extern "C" fn get(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    get_with(env, info, |shared, request, out, queue_offsets, head| shared.get(request, out, queue_offsets, head).map(|()| true))
}

/// As `get`, where everything it needs is in memory: then 1, otherwise 0, and nothing is to be looked at.
unsafe extern "C" fn get_in_memory(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    get_with(env, info, Shared::get_in_memory)
}

/// A get of `Shared`: whether it has answered.
type Get = fn(&Shared, GetRequest<'_>, &mut [u8], &mut [f64], &mut GetHead) -> Result<bool, Error>;

fn get_with(env: sys::napi_env, info: sys::napi_callback_info, get: Get) -> sys::napi_value {
    answer(env, || {
        let call = Call::new(env, info);
        let [handle, topic, topic_bytes, queue_id, offset, max, max_bytes, filter, out, columns] = call.arguments()?;
        let handle = call.number("handle", handle).and_then(|value| guard::u32("handle", value))?;
        let topic_bytes = call.number("topicBytes", topic_bytes).and_then(|value| guard::count("topicBytes", value))?;
        let queue_id = call.number("queueId", queue_id).and_then(guard::queue_id)?;
        let offset = call.number("queueOffset", offset).and_then(|value| guard::offset("queueOffset", value))?;
        let max = call.number("max", max).and_then(|value| guard::count("max", value))?.min(MAX_GET_MESSAGES);
        let max_bytes = call.number("maxBytes", max_bytes).and_then(|value| guard::count("maxBytes", value))?;
        let topic = call.block("topic", topic, UINT8)?.first::<u8>("topic", "bytes", topic_bytes)?;
        let filter = call.block("filter", filter, UINT8)?;
        let out = call.block("out", out, UINT8)?;
        let columns = call.block("columns", columns, FLOAT64)?.first::<f64>("columns", "numbers", GET_HEAD as usize + max)?;
        apart(&[&topic, &filter, &out, &columns])?;
        // SAFETY: rules 1 to 3 hold: nothing below calls Node-API, `block` refused shared memory, `apart` overlaps.
        let (topic, filter, out, columns) = unsafe { (topic.bytes(), filter.bytes(), out.bytes_mut(), columns.numbers_mut()) };
        let (numbers, queue_offsets) = columns.split_at_mut(GET_HEAD as usize);
        let mut head = GetHead::default();
        let answered = env::with(handle, |store| {
            let request = GetRequest { topic, queue_id, offset, max, max_bytes, filter };
            get(&store.shared, request, out, queue_offsets, &mut head).map_err(Failure::from)
        })?;
        numbers.copy_from_slice(&head_numbers(&head));
        Ok(Some(f64::from(u8::from(answered))))
    })
}

/// The head of an answer as it crosses.
pub fn head_numbers(head: &GetHead) -> [f64; GET_HEAD as usize] {
    [
        f64::from(head.status),
        head.next as f64,
        head.min as f64,
        head.max as f64,
        head.messages as f64,
        head.bytes as f64,
        head.bytes_behind as f64,
        head.needed as f64,
    ]
}

/// `lookup(handle, asked, bytes, counts, begin, end, max)` → the records, in memory of their own; `undefined` for none. See
/// `moraine_core::engine::lookup` for what is asked; `counts` gets how many messages each key has.
unsafe extern "C" fn lookup(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // Taken for the call, since what Node-API does to make the answer may call us again.
    let mut records = RECORDS.take();
    let value = respond(env, || {
        let call = Call::new(env, info);
        let [handle, asked, bytes, counts, begin, end, max] = call.arguments()?;
        let handle = call.number("handle", handle).and_then(|value| guard::u32("handle", value))?;
        let bytes = call.number("bytes", bytes).and_then(|value| guard::count("bytes", value))?;
        let begin = call.number("begin", begin).and_then(|value| guard::time("begin", value))?;
        let end = call.number("end", end).and_then(|value| guard::time("end", value))?;
        let max = call.number("max", max).and_then(|value| guard::count("max", value))?;
        let asked = call.block("asked", asked, UINT8)?.first::<u8>("asked", "bytes", bytes)?;
        let counts = call.block("counts", counts, FLOAT64)?;
        apart(&[&asked, &counts])?;
        // SAFETY: rules 1 to 3 hold: nothing calls Node-API while the slice is used, `block` refused shared memory, `apart` overlaps.
        let asked = unsafe { asked.bytes() };
        let counts = counts.first::<f64>("counts", "numbers", keys_in(asked))?;
        // SAFETY: as above.
        let counts = unsafe { counts.numbers_mut() };
        let found = env::with(handle, |store| Ok(store.shared.lookup(asked, begin, end, max, counts, &mut records)?))?;
        if found == 0 { Ok(null_mut()) } else { call.bytes(&records) }
    });
    if records.capacity() <= KEPT_BYTES {
        RECORDS.set(records);
    }
    value
}

/// `positions(handle, out)`: minimum, end, durable and visible offset of the log.
unsafe extern "C" fn positions(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answer(env, || {
        let call = Call::new(env, info);
        let [handle, out] = call.arguments()?;
        let handle = call.number("handle", handle).and_then(|value| guard::u32("handle", value))?;
        let out = call.block("out", out, FLOAT64)?.first::<f64>("out", "numbers", POSITIONS as usize)?;
        let found = env::with(handle, |store| Ok(store.shared.positions()))?;
        // SAFETY: rules 1 and 2 hold: nothing below calls Node-API, `block` refused shared memory; there is one block.
        let out = unsafe { out.numbers_mut() };
        out.copy_from_slice(&[found.min as f64, found.end as f64, found.durable as f64, found.visible as f64]);
        Ok(None)
    })
}

/// `takeArrivals(handle, out)` → pairs written: a watch, the maximum of its queue. As many as `out` has room for.
unsafe extern "C" fn take_arrivals(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answer(env, || {
        let call = Call::new(env, info);
        let [handle, out] = call.arguments()?;
        let handle = call.number("handle", handle).and_then(|value| guard::u32("handle", value))?;
        let out = call.block("out", out, FLOAT64)?;
        let numbers = out.length.max(2);
        let out = out.first::<f64>("out", "numbers", numbers)?;
        // SAFETY: rules 1 and 2 hold: nothing below calls Node-API, `block` refused shared memory; there is one block.
        let out = unsafe { out.numbers_mut() };
        env::with(handle, |store| Ok(Some(store.shared.take_arrivals(out)? as f64)))
    })
}

/// Runs the body of a callback: its number goes back, a failure is thrown, a panic becomes a failure.
fn answer(env: sys::napi_env, body: impl FnOnce() -> Result<Option<f64>, Failure>) -> sys::napi_value {
    respond(env, || {
        let mut value = null_mut();
        if let Some(number) = body()? {
            // SAFETY: `env` is the one of the running callback. On failure `value` stays null, which is `undefined`.
            unsafe { sys::napi_create_double(env, number, &mut value) };
        }
        Ok(value)
    })
}

/// As [`answer`], for a body that makes the value; null is `undefined`.
fn respond(env: sys::napi_env, body: impl FnOnce() -> Result<sys::napi_value, Failure>) -> sys::napi_value {
    match caught(body) {
        Ok(value) => value,
        Err(failure) => {
            let message = CString::new(failure.into_message()).unwrap_or_default();
            // SAFETY: `env` is the one of the running callback; the message ends with NUL and lives until the call has copied it.
            unsafe { sys::napi_throw_error(env, null_mut(), message.as_ptr()) };
            null_mut()
        }
    }
}

/// A kind of typed array: Node-API's number, what it is called, bytes of an element.
type Kind = (sys::napi_typedarray_type, &'static str, usize);

const UINT8: Kind = (sys::TypedarrayType::uint8_array, "a Uint8Array", 1);
const INT32: Kind = (sys::TypedarrayType::int32_array, "an Int32Array", 4);
const UINT32: Kind = (sys::TypedarrayType::uint32_array, "a Uint32Array", 4);
const FLOAT64: Kind = (sys::TypedarrayType::float64_array, "a Float64Array", 8);

/// A running callback.
struct Call {
    env: sys::napi_env,
    info: sys::napi_callback_info,
}

impl Call {
    fn new(env: sys::napi_env, info: sys::napi_callback_info) -> Self {
        Self { env, info }
    }

    /// The first N arguments; Node-API fills missing ones with `undefined`.
    fn arguments<const N: usize>(&self) -> Result<[sys::napi_value; N], Error> {
        let mut values = [null_mut(); N];
        let mut room = N;
        // SAFETY: `env` and `info` are those of the running callback; `room` is the length of `values`.
        let status = unsafe { sys::napi_get_cb_info(self.env, self.info, &mut room, values.as_mut_ptr(), null_mut(), null_mut()) };
        if status != sys::Status::napi_ok {
            return Err(Error::argument("arguments", format!("Node-API gave no arguments: status {status}")));
        }
        Ok(values)
    }

    #[inline]
    fn number(&self, name: &'static str, value: sys::napi_value) -> Result<f64, Error> {
        let mut number = 0.0;
        // SAFETY: `value` is an argument of the running callback.
        if unsafe { sys::napi_get_value_double(self.env, value, &mut number) } != sys::Status::napi_ok {
            return Err(Error::argument(name, format!("{name} must be a number")));
        }
        Ok(number)
    }

    /// A Uint8Array with a copy of bytes, in memory that JavaScript knows of and collects. Memory that is handed over instead
    /// is given back late, and weighs on nothing that would make the collector run.
    fn bytes(&self, bytes: &[u8]) -> Result<sys::napi_value, Failure> {
        let (mut data, mut buffer, mut value) = (null_mut(), null_mut(), null_mut());
        // SAFETY: `env` is that of the running callback; all pointers are to live values for Node-API to fill.
        let mut status = unsafe { sys::napi_create_arraybuffer(self.env, bytes.len(), &mut data, &mut buffer) };
        if status == sys::Status::napi_ok && !data.is_null() {
            // SAFETY: the buffer has as many bytes, was made just now, and no JavaScript has run since: nobody else refers to it.
            unsafe { bytes.as_ptr().copy_to_nonoverlapping(data.cast::<u8>(), bytes.len()) };
            // SAFETY: as at first; `buffer` is the handle that Node-API wrote just now.
            status = unsafe { sys::napi_create_typedarray(self.env, UINT8.0, bytes.len(), buffer, 0, &mut value) };
        }
        if status == sys::Status::napi_ok && !value.is_null() {
            return Ok(value);
        }
        let message = format!("Node-API gave no memory for {} bytes: status {status}; ask for less at once", bytes.len());
        Err(Error::new(Code::Busy, message).into())
    }

    /// The memory of a typed array of the given kind. A detached array has length 0.
    fn block(&self, name: &'static str, value: sys::napi_value, (kind, wanted, unit): Kind) -> Result<Block, Error> {
        let (mut found, mut length, mut data, mut buffer) = (-1, 0, null_mut(), null_mut());
        // SAFETY: `value` is an argument of the running callback; Node-API checks that it is a typed array.
        let status = unsafe { sys::napi_get_typedarray_info(self.env, value, &mut found, &mut length, &mut data, &mut buffer, null_mut()) };
        if status != sys::Status::napi_ok || found != kind {
            return Err(Error::argument(name, format!("{name} must be {wanted}")));
        }
        let mut is_unshared = false;
        // SAFETY: `buffer` is the handle that Node-API wrote just now.
        let status = unsafe { sys::napi_is_arraybuffer(self.env, buffer, &mut is_unshared) };
        if status != sys::Status::napi_ok || !is_unshared {
            return Err(Error::argument(name, format!("{name} must be {wanted} on memory that is not shared")));
        }
        let start = NonNull::new(data.cast::<u8>()).filter(|_| length > 0);
        Ok(Block { start, length: if start.is_some() { length } else { 0 }, unit })
    }

    /// All elements of a typed array, none of `undefined`. `T` is what an element of the kind is.
    fn column<T>(&self, name: &'static str, value: sys::napi_value, kind: Kind) -> Result<Block, Error> {
        debug_assert_eq!(size_of::<T>(), kind.2);
        let mut of = -1;
        // SAFETY: `value` is an argument of the running callback.
        let status = unsafe { sys::napi_typeof(self.env, value, &mut of) };
        if status == sys::Status::napi_ok && of == sys::ValueType::napi_undefined {
            return Ok(Block { start: None, length: 0, unit: kind.2 });
        }
        let block = self.block(name, value, kind)?;
        let length = block.length;
        block.first::<T>(name, "numbers", length)
    }
}

/// Memory of a typed array: valid for `length` elements of `unit` bytes until JavaScript runs again.
struct Block {
    /// `None`: there is no element.
    start: Option<NonNull<u8>>,
    length: usize,
    unit: usize,
}

impl Block {
    /// The first `wanted` elements.
    fn first<T>(self, name: &'static str, unit: &str, wanted: usize) -> Result<Self, Error> {
        if self.length < wanted {
            let message = format!("{name} has {} {unit}, the call needs {wanted}; a detached array has 0", self.length);
            return Err(Error::argument(name, message));
        }
        // JavaScript aligns its arrays, but a buffer that another addon made may start anywhere.
        if self.start.is_some_and(|start| start.addr().get() % align_of::<T>() != 0) {
            return Err(Error::argument(name, format!("{name} starts at an address that is not a multiple of {}", align_of::<T>())));
        }
        Ok(Self { length: wanted, ..self })
    }

    /// # Safety
    /// The three rules at the head of this file.
    unsafe fn bytes<'a>(&self) -> &'a [u8] {
        // SAFETY: the block holds `length` bytes; an empty one needs only a pointer that is not null.
        unsafe { slice::from_raw_parts(self.start.unwrap_or(NonNull::dangling()).as_ptr(), self.length) }
    }

    /// # Safety
    /// The three rules at the head of this file.
    unsafe fn bytes_mut<'a>(&self) -> &'a mut [u8] {
        // SAFETY: as in `bytes`; that nobody else refers to them is the caller's third rule.
        unsafe { slice::from_raw_parts_mut(self.start.unwrap_or(NonNull::dangling()).as_ptr(), self.length) }
    }

    /// # Safety
    /// The three rules at the head of this file, and the block was made by `column::<T>` for elements that are a `T`.
    unsafe fn values<'a, T>(&self) -> &'a [T] {
        let start = self.start.map_or(NonNull::dangling(), NonNull::cast::<T>);
        // SAFETY: the block holds `length` elements, aligned as `first` checked; every bit pattern is a number.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.length) }
    }

    /// # Safety
    /// The three rules at the head of this file, and the block was made for a Float64Array and passed `first::<f64>`.
    unsafe fn numbers_mut<'a>(&self) -> &'a mut [f64] {
        let start = self.start.map_or(NonNull::dangling(), NonNull::cast::<f64>);
        // SAFETY: the block holds `length` doubles, aligned as `first` checked; every bit pattern is a double.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), self.length) }
    }

    fn end(&self) -> usize {
        self.start.map_or(0, |start| start.addr().get() + self.length * self.unit)
    }
}

/// Refuses blocks that overlap: two typed arrays can lie on the same bytes.
#[inline]
fn apart(blocks: &[&Block]) -> Result<(), Error> {
    for (number, one) in blocks.iter().enumerate() {
        for other in &blocks[number + 1..] {
            let (Some(a), Some(b)) = (one.start, other.start) else { continue };
            if a.addr().get() < other.end() && b.addr().get() < one.end() {
                return Err(Error::argument("arguments", "two of the arrays lie on the same memory, each must have its own"));
            }
        }
    }
    Ok(())
}
