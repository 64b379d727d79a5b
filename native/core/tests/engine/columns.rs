//! Messages by columns: stored as a batch of the same ones, and whatever is wrong with the columns is an error.

use crate::support::batches::{INNER, wire, with_topics};
use crate::support::*;
use moraine_core::batch::{self, BatchMessage};
use moraine_core::columns::Columns;
use moraine_core::engine::put::{RESULT_HEADER, RESULT_STRIDE};
use moraine_core::error::{Code, Error};
use moraine_core::format::record::{Address, Host};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

const HOST_V4: Host = Host { address: Address::V4([127, 0, 0, 1]), port: 10911 };
const HOST_V6: Host = Host { address: Address::V6([0x20, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]), port: 65_535 };

/// Messages taken apart into columns.
#[derive(Clone, Default)]
struct Parts {
    tables: Vec<u8>,
    bytes: Vec<u8>,
    bodies: Vec<u32>,
    properties: Vec<u32>,
    queue_ids: Vec<i32>,
    topics: Vec<u32>,
    born_hosts: Vec<u32>,
    flags: Vec<i32>,
    sys_flags: Vec<i32>,
    reconsume_times: Vec<i32>,
    prepared_transaction_offsets: Vec<f64>,
    born_timestamps: Vec<f64>,
}

impl Parts {
    /// Each message has a topic and a born host of its own in the tables; the store host is that of the first.
    fn of(messages: &[BatchMessage<'_>]) -> Self {
        let mut parts = Self::default();
        let topics: Vec<_> = messages.iter().map(|message| message.topic).collect();
        let hosts: Vec<_> = messages.iter().map(|message| message.born_host).collect();
        parts.tables = tables(&topics, &hosts, messages[0].store_host);
        for (place, message) in (0..).zip(messages) {
            let (bytes, bodies) = (&mut parts.bytes, &mut parts.bodies);
            for (part, ranges) in [(message.body, bodies), (message.properties, &mut parts.properties)] {
                ranges.push(bytes.len() as u32);
                bytes.extend_from_slice(part);
                ranges.push(bytes.len() as u32);
                bytes.push(b'?');
            }
            parts.queue_ids.push(message.queue_id);
            parts.topics.push(place);
            parts.born_hosts.push(place);
            parts.flags.push(message.flag);
            parts.sys_flags.push(message.sys_flag);
            parts.reconsume_times.push(message.reconsume_times);
            parts.prepared_transaction_offsets.push(message.prepared_transaction_offset as f64);
            parts.born_timestamps.push(message.born_timestamp as f64);
        }
        parts
    }

    fn columns(&self) -> Columns<'_> {
        Columns {
            tables: &self.tables,
            bytes: &self.bytes,
            bodies: &self.bodies,
            properties: &self.properties,
            queue_ids: &self.queue_ids,
            topics: &self.topics,
            born_hosts: &self.born_hosts,
            flags: &self.flags,
            sys_flags: &self.sys_flags,
            reconsume_times: &self.reconsume_times,
            prepared_transaction_offsets: &self.prepared_transaction_offsets,
            born_timestamps: &self.born_timestamps,
            born_timestamp: 0.0,
        }
    }
}

fn tables(topics: &[&[u8]], born_hosts: &[Host], store_host: Host) -> Vec<u8> {
    let mut tables = Vec::new();
    tables.extend_from_slice(&(topics.len() as u32).to_le_bytes());
    tables.extend_from_slice(&(born_hosts.len() as u32).to_le_bytes());
    for host in [&store_host].into_iter().chain(born_hosts) {
        let mut address = [0; 16];
        let bytes = host.address.bytes();
        address[..bytes.len()].copy_from_slice(bytes);
        tables.extend_from_slice(&address);
        tables.extend_from_slice(&host.port.to_le_bytes());
        tables.extend_from_slice(&u32::from(host.address.is_v6()).to_le_bytes());
    }
    for topic in topics {
        tables.extend_from_slice(&(topic.len() as u32).to_le_bytes());
        tables.extend_from_slice(topic);
    }
    tables
}

fn put_columns(store: &mut Store, columns: &Columns<'_>) -> Result<Vec<f64>, (usize, Error)> {
    let mut results = vec![-1.0; RESULT_HEADER + RESULT_STRIDE * columns.len()];
    let count = store.writer().map_err(|e| (0, e))?.put_columns(columns, &mut results)?;
    assert_eq!(count, columns.len());
    Ok(results)
}

fn put_batch(store: &mut Store, messages: &[BatchMessage<'_>]) -> Vec<f64> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| batch::encode(message, &mut bytes));
    let mut results = vec![-1.0; RESULT_HEADER + RESULT_STRIDE * messages.len()];
    store.writer().unwrap().put(&bytes, &mut results).unwrap();
    results
}

/// Messages of all kinds, of which one has the body `inner`, a wire batch of three.
fn kinds(store_host: Host, inner: &[u8]) -> Vec<BatchMessage<'_>> {
    let plain = BatchMessage { store_host, sys_flag: if store_host.address.is_v6() { 0x20 } else { 0 }, ..message(b"body", b"K\x01v\x02") };
    vec![
        plain,
        BatchMessage { topic: b"U", queue_id: i32::MAX, body: b"", properties: b"", flag: -7, ..plain },
        BatchMessage { sys_flag: plain.sys_flag | 4, reconsume_times: i32::MIN, ..plain },
        BatchMessage { sys_flag: plain.sys_flag | 8, prepared_transaction_offset: (1 << 53) - 1, ..plain },
        BatchMessage { sys_flag: plain.sys_flag | 12, prepared_transaction_offset: -1, born_timestamp: -1, ..plain },
        BatchMessage { sys_flag: plain.sys_flag | 0x10, born_host: HOST_V6, ..plain },
        BatchMessage { properties: b"INNER_MULTI_DISPATCH\x01%LMQ%a,%LMQ%b\x02KEYS\x01k\x02", ..plain },
        BatchMessage { properties: b"INNER_MULTI_DISPATCH\x01%LMQ%a\x02open\x01end", ..plain },
        BatchMessage { properties: b"__CRC32#\x010123456789\x02A\x01b\x02", ..plain },
        BatchMessage { topic: b"SCHEDULE_TOPIC_XXXX", queue_id: 2, properties: b"DELAY\x013\x02", ..plain },
        BatchMessage { topic: b"B", body: inner, sys_flag: plain.sys_flag | INNER, properties: b"INNER_NUM\x013\x02", ..plain },
    ]
}

fn argument_of(error: &Error) -> String {
    let text = format!("{:?}", error.details);
    text.split("(\"argument\", Text(\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

#[test]
fn columns_are_stored_as_a_batch_of_the_same_messages() {
    for record_crc in [true, false] {
        for store_host in [HOST_V4, HOST_V6] {
            let inner = wire(3);
            let messages: Vec<_> = (0..20).flat_map(|_| kinds(store_host, &inner)).collect();
            let options = Options { record_crc, ..small() };
            let (one, other) = (with_topics(), with_topics());
            let mut by_batch = open_at(&one, options.clone(), &MemoryClock::at(NOW)).unwrap();
            let mut by_columns = open_at(&other, options, &MemoryClock::at(NOW)).unwrap();
            for part in messages.chunks(37) {
                let parts = Parts::of(part);
                assert_eq!(put_columns(&mut by_columns, &parts.columns()).unwrap(), put_batch(&mut by_batch, part));
            }
            close(by_batch);
            close(by_columns);
            assert_eq!(one.paths(), other.paths());
            assert!(one.paths().iter().filter(|path| path.starts_with("commitlog/")).count() > 5, "the log has rolled");
            for path in one.paths() {
                assert!(one.contents(&path) == other.contents(&path), "{path}");
            }
        }
    }
}

#[test]
fn a_column_that_is_not_there_has_its_default() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let tables = tables(&[b"T", b"U"], &[HOST_V6, HOST_V4], HOST_V4);
    let columns =
        Columns { tables: &tables, bytes: b"ab", bodies: &[0, 1, 1, 2], queue_ids: &[0, 0], born_timestamp: 1234.0, ..Columns::default() };
    let mut read = Vec::new();
    columns.read(&mut read).unwrap();
    for (found, body) in read.iter().zip([b"a", b"b"]) {
        assert_eq!((found.topic, found.queue_id, found.body, found.properties), (&b"T"[..], 0, &body[..], &b""[..]));
        assert_eq!((found.flag, found.sys_flag, found.reconsume_times, found.born_timestamp), (0, 0x10, 0, 1234));
        assert_eq!((found.prepared_transaction_offset, found.born_host, found.store_host), (0, HOST_V6, HOST_V4));
    }
    put_columns(&mut store, &columns).unwrap();
    assert_eq!(all(&store), ["a", "b"]);
}

#[test]
fn no_messages_store_nothing() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let tables = tables(&[b"T"], &[HOST_V4], HOST_V4);
    let columns = Columns { tables: &tables, ..Columns::default() };
    assert!(columns.is_empty());
    put_columns(&mut store, &columns).unwrap();
    assert_eq!(store.reader().positions().end, 0);
    assert!(store.reader().topics().is_empty());
}

#[test]
fn tables_that_end_too_soon_are_refused_at_every_byte() {
    let messages = kinds(HOST_V6, b"");
    let parts = Parts::of(&messages);
    for length in 0..parts.tables.len() {
        let cut = Columns { tables: &parts.tables[..length], ..parts.columns() };
        let error = cut.read(&mut Vec::new()).unwrap_err();
        assert_eq!((error.code, argument_of(&error).as_str()), (Code::InvalidArgument, "tables"), "{length} bytes");
    }
    let longer = [&parts.tables[..], &[255; 40]].concat();
    assert!(Columns { tables: &longer, ..parts.columns() }.read(&mut Vec::new()).is_ok(), "what lies behind is nobody's");
}

#[test]
fn tables_with_any_byte_changed_are_read_or_refused() {
    let messages = kinds(HOST_V4, b"");
    let parts = Parts::of(&messages);
    let (mut read, mut refused) = (0, 0);
    for at in 0..parts.tables.len() {
        for value in [0, 1, 127, 128, 255] {
            let mut tables = parts.tables.clone();
            tables[at] = value;
            let mut found = Vec::new();
            match (Columns { tables: &tables, ..parts.columns() }).read(&mut found) {
                Ok(()) => read += usize::from(found.len() == messages.len()),
                Err(error) => refused += usize::from(error.code == Code::InvalidArgument),
            }
        }
    }
    assert_eq!(read + refused, 5 * parts.tables.len());
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}

#[test]
fn counts_and_lengths_of_any_size_are_refused() {
    let parts = Parts::of(&kinds(HOST_V4, b""));
    let first_name = 8 + 24 * (1 + parts.queue_ids.len());
    for at in [0, 4, first_name] {
        for count in [u32::MAX, u32::MAX - 3, 1 << 31, 1 << 30, 1 << 20] {
            let mut tables = parts.tables.clone();
            tables[at..at + 4].copy_from_slice(&count.to_le_bytes());
            let error = Columns { tables: &tables, ..parts.columns() }.read(&mut Vec::new()).unwrap_err();
            assert_eq!(argument_of(&error), "tables", "{count} at {at}");
        }
    }
}

#[test]
fn a_column_of_another_length_is_named() {
    let parts = Parts::of(&kinds(HOST_V4, b""));
    let (ints, words, doubles) = ([0i32; 10], [0u32; 10], [0f64; 10]);
    let right = parts.columns();
    for (wrong, name) in [
        (Columns { bodies: &words, ..right }, "bodies"),
        (Columns { bodies: &[], ..right }, "bodies"),
        (Columns { properties: &words, ..right }, "properties"),
        (Columns { topics: &words, ..right }, "topicOf"),
        (Columns { born_hosts: &words, ..right }, "bornHostOf"),
        (Columns { flags: &ints, ..right }, "flags"),
        (Columns { sys_flags: &ints, ..right }, "sysFlags"),
        (Columns { reconsume_times: &ints, ..right }, "reconsumeTimes"),
        (Columns { prepared_transaction_offsets: &doubles, ..right }, "preparedTransactionOffsets"),
        (Columns { born_timestamps: &doubles, ..right }, "bornTimestamps"),
        (Columns { queue_ids: &[], ..right }, "bodies"),
    ] {
        let mut found = Vec::new();
        let error = wrong.read(&mut found).unwrap_err();
        assert_eq!((error.code, argument_of(&error).as_str()), (Code::InvalidArgument, name), "{error}");
        assert!(found.is_empty());
    }
}

#[test]
fn a_message_with_something_wrong_keeps_all_out_and_is_numbered() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let parts = Parts::of(&[message(b"m0", b""), message(b"m1", b"A\x01b\x02")]);
    let end = parts.bytes.len() as u32;
    let right = parts.columns();
    let long = [b'v'; 40_000];
    for (wrong, name) in [
        (Columns { bodies: &[0, 1, 1, end + 1], ..right }, "bodies"),
        (Columns { bodies: &[0, 1, end + 1, end + 1], ..right }, "bodies"),
        (Columns { bodies: &[0, 1, 2, 1], ..right }, "bodies"),
        (Columns { bodies: &[0, 1, 0, u32::MAX], ..right }, "bodies"),
        (Columns { bodies: &[0, 1, u32::MAX, 0], ..right }, "bodies"),
        (Columns { properties: &[0, 0, u32::MAX, u32::MAX], ..right }, "properties"),
        (Columns { topics: &[0, 2], ..right }, "columns"),
        (Columns { topics: &[1, u32::MAX], ..right }, "columns"),
        (Columns { born_hosts: &[0, 2], ..right }, "columns"),
        (Columns { queue_ids: &[0, -1], ..right }, "queueId"),
        (Columns { queue_ids: &[0, i32::MIN], ..right }, "queueId"),
        (Columns { sys_flags: &[0, 0x80], ..right }, "topic"),
        (Columns { bytes: &long, properties: &[0, 0, 0, 40_000], ..right }, "properties"),
        (Columns { bytes: &long, bodies: &[0, 1, 0, 5000], ..right }, "body"),
    ] {
        let (stored, error) = put_columns(&mut store, &wrong).unwrap_err();
        assert_eq!((stored, argument_of(&error).as_str()), (0, name), "{error}");
        assert!(format!("{:?}", error.details).contains("(\"message\", Number(1))"), "{:?}", error.details);
        assert_eq!(store.reader().positions().end, 0);
    }
    put_columns(&mut store, &right).unwrap();
    assert_eq!(all(&store), numbered(0..2));
}

#[test]
fn names_and_ports_of_the_tables_are_checked_as_those_of_a_batch() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let long = [b'a'; 128];
    for (topic, host, name) in [
        (&b""[..], HOST_V4, "topic"),
        (b"../T", HOST_V4, "topic"),
        (b"\xFF", HOST_V4, "topic"),
        (&long, HOST_V4, "topic"),
        (b"T", Host { port: -1, ..HOST_V4 }, "bornHost"),
        (b"T", Host { port: 65_536, ..HOST_V6 }, "bornHost"),
    ] {
        let parts = Parts::of(&[message(b"m0", b""), BatchMessage { topic, born_host: host, ..message(b"m1", b"") }]);
        let (stored, error) = put_columns(&mut store, &parts.columns()).unwrap_err();
        assert_eq!((stored, argument_of(&error).as_str()), (0, name), "{error}");
    }
    assert_eq!(store.reader().positions().end, 0);
}

#[test]
fn times_that_are_no_times_are_stored_as_some_number() {
    let parts = Parts::of(&[message(b"m0", b"")]);
    for (given, stored) in [(f64::NAN, 0), (f64::INFINITY, i64::MAX), (f64::NEG_INFINITY, i64::MIN), (-0.5, 0)] {
        let mut found = Vec::new();
        let columns = Columns { born_timestamps: &[given], prepared_transaction_offsets: &[given], ..parts.columns() };
        columns.read(&mut found).unwrap();
        assert_eq!((found[0].born_timestamp, found[0].prepared_transaction_offset), (stored, stored));
    }
}

#[test]
fn results_without_room_are_refused_before_anything_is_stored() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let parts = Parts::of(&kinds(HOST_V4, b"")[..3]);
    for length in 0..RESULT_HEADER + 3 * RESULT_STRIDE {
        let mut results = vec![-1.0; length];
        let (stored, error) = store.writer().unwrap().put_columns(&parts.columns(), &mut results).unwrap_err();
        assert_eq!((stored, argument_of(&error).as_str()), (0, "results"));
        assert!(results.iter().all(|&number| number == -1.0));
    }
    assert_eq!(store.reader().positions().end, 0);
    assert_eq!(put_columns(&mut store, &parts.columns()).unwrap().len(), RESULT_HEADER + 3 * RESULT_STRIDE);
}
