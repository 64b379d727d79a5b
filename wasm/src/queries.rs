//! Looking into the open store.

use std::fmt::Write;

use moraine_core::crossing::{write_findings, write_text};
use moraine_core::engine::lookup::Wanted;
use moraine_core::engine::{Appended, Boundary, GetRequest, ScanItem, Scanner, Search};
use moraine_core::limits::MAX_GET_MESSAGES;

use crate::answers::{room, say, tell, two_texts, with_columns, with_inbox, with_outbox};
use crate::store::{WATCHER, looking, with_store};

/// Numbers in front of the queue offsets in the columns of `get`.
const GET_HEAD: usize = 8;
/// Kinds of an item of `scan`.
const SCAN_MESSAGE: f64 = 0.0;
const SCAN_BLANK: f64 = 1.0;
const SCAN_DAMAGED: f64 = 2.0;
/// Bytes of records that one answer brings at most, beside one that is longer: memory has an end.
const MOST_BYTES: usize = 4 << 20;

/// Messages of a queue. Topic and filter lie one behind the other in the inbox; the columns get the head of contract.ts and the
/// queue offsets, the outbox the records. `out_bytes`: what the caller has room for.
#[unsafe(no_mangle)]
pub extern "C" fn get(
    topic_bytes: usize,
    filter_bytes: usize,
    queue_id: i32,
    offset: f64,
    max: f64,
    max_bytes: f64,
    out_bytes: usize,
) -> i32 {
    looking(|store| {
        let resolved = &mut store.resolved;
        let max = (max as usize).min(MAX_GET_MESSAGES);
        two_texts(topic_bytes, filter_bytes, |topic, filter| {
            let request = GetRequest { topic, queue_id, offset: offset as u64, max, max_bytes: max_bytes as usize, filter };
            store.engine.get_mut().reader().resolve(&request, resolved)
        })?;
        with_outbox(|out| {
            room(out, resolved.bytes().min(out_bytes).min(MOST_BYTES))?;
            with_columns(|columns| {
                columns.resize(GET_HEAD + resolved.messages().min(max), 0.0);
                let (head, offsets) = columns.split_at_mut(GET_HEAD);
                let behind = resolved.bytes_behind;
                let mut copied = resolved.copy(out, offsets)?;
                if copied.needed > out.len() && copied.needed <= out_bytes {
                    // One long record: an entry may say anything of its size, and it was looked at now.
                    room(out, copied.needed)?;
                    resolved.bytes_behind = behind;
                    copied = resolved.copy(out, offsets)?;
                }
                head.copy_from_slice(&[
                    f64::from(resolved.status as u8),
                    copied.next as f64,
                    resolved.min as f64,
                    resolved.max as f64,
                    copied.messages as f64,
                    copied.bytes as f64,
                    resolved.bytes_behind as f64,
                    copied.needed as f64,
                ]);
                out.truncate(copied.bytes);
                Ok(0)
            })
        })
    })
}

/// The record at a physical offset, in the outbox: 1; 0 where none starts.
#[unsafe(no_mangle)]
pub extern "C" fn at(physical: f64) -> i32 {
    looking(|store| {
        let log = store.engine.get_mut().reader().log();
        with_outbox(|out| {
            let found = log.record_at(physical as u64, out)?;
            out.truncate(found.unwrap_or(0));
            Ok(i32::from(found.is_some()))
        })
    })
}

/// Begins a lookup: topic and keys lie in the inbox. `lookup_more` brings what is found.
#[unsafe(no_mangle)]
pub extern "C" fn lookup(asked_bytes: usize, begin: f64, end: f64, max: f64) -> i32 {
    looking(|store| {
        with_inbox(asked_bytes, |asked| store.lookup.begin(asked, begin as i64, end as i64, max as usize))?;
        Ok(0)
    })
}

/// More of what a lookup has found, in the outbox; 0: that was all, and how many messages each key has is in the columns.
#[unsafe(no_mangle)]
pub extern "C" fn lookup_more() -> i32 {
    with_store(|store| {
        let engine = store.engine.get_mut();
        let look = |wanted: &Wanted<'_>, search: &mut Search| engine.reader().lookup_on(wanted.topic, wanted.key, search);
        let done = with_outbox(|out| store.lookup.go_on(look, out, MOST_BYTES));
        if !matches!(done, Ok(false)) {
            tell(store.lookup.counts());
            store.lookup.let_go();
        }
        Ok(i32::from(!done?))
    })
}

/// Walks the log: next position and items in the columns, the records in the outbox. Returns how many of the last bytes of the
/// outbox are the reasons of the damaged ranges, as a JSON list.
#[unsafe(no_mangle)]
pub extern "C" fn scan(from: f64, to: f64, max_items: f64, max_bytes: f64) -> i32 {
    looking(|store| {
        let log = store.engine.get_mut().reader().log();
        let mut scanner = Scanner::new(log, from as u64, to as u64);
        let most = (max_bytes as usize).min(MOST_BYTES);
        let max_items = (max_items as usize).max(1);
        let mut reasons = String::from("[");
        with_outbox(|out| {
            with_columns(|columns| {
                columns.push(0.0);
                let mut items = 0;
                while items < max_items {
                    let Some(item) = scanner.next_item()? else { break };
                    let (kind, at, size) = match item {
                        ScanItem::Message { at, size } => (SCAN_MESSAGE, at, u64::from(size)),
                        ScanItem::Blank { at, size } => (SCAN_BLANK, at, size),
                        ScanItem::Damaged { at, size, reason } => {
                            if reasons.len() > 1 {
                                reasons.push(',');
                            }
                            write_text(&mut reasons, &reason);
                            (SCAN_DAMAGED, at, size)
                        }
                    };
                    columns.extend([kind, at as f64, size as f64]);
                    if kind == SCAN_MESSAGE {
                        out.extend_from_slice(scanner.message());
                    }
                    items += 1;
                    if out.len() >= most {
                        break;
                    }
                }
                columns[0] = scanner.position() as f64;
                reasons.push(']');
                out.extend_from_slice(reasons.as_bytes());
                Ok(reasons.len() as i32)
            })
        })
    })
}

/// Messages as columns, one behind the other (physical offsets, queue ids, queue offsets, sizes, store timestamps, tags
/// codes, places in the topics), in front of them the next position; the topics as a JSON list in the outbox. Returns how many.
#[unsafe(no_mangle)]
pub extern "C" fn appended(from: f64, to: f64, max: f64) -> i32 {
    looking(|store| {
        let engine = store.engine.get_mut();
        let (log, levels) = (engine.reader().log(), engine.reader().options().delay_levels.clone());
        let mut found = Appended::default();
        let next = found.read(&log, &levels, from as u64, to as u64, (max as usize).min(MAX_GET_MESSAGES))?;
        with_columns(|columns| {
            columns.push(next as f64);
            columns.extend(&found.physical_offsets);
            columns.extend(found.queue_ids.iter().map(|&id| f64::from(id)));
            columns.extend(&found.queue_offsets);
            columns.extend(&found.sizes);
            columns.extend(&found.store_timestamps);
            columns.extend(&found.tags_codes);
            columns.extend(found.topic_indexes.iter().map(|&index| f64::from(index)));
        });
        say(&text_list(found.topics.iter()));
        Ok(found.physical_offsets.len() as i32)
    })
}

/// Minimum, maximum and next offset of a queue, in the columns.
#[unsafe(no_mangle)]
pub extern "C" fn offsets(topic_bytes: usize, queue_id: i32) -> i32 {
    looking(|store| {
        let found = with_inbox(topic_bytes, |topic| store.engine.get_mut().reader().offsets(topic, queue_id));
        tell(&[found.min as f64, found.max as f64, found.next as f64]);
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn offset_by_time(topic_bytes: usize, queue_id: i32, timestamp: f64, upper: u32) -> i32 {
    looking(|store| {
        let boundary = if upper == 0 { Boundary::Lower } else { Boundary::Upper };
        let reader = store.engine.get_mut().reader();
        let offset = with_inbox(topic_bytes, |topic| reader.offset_by_time(topic, queue_id, timestamp as i64, boundary))?;
        tell(&[offset as f64]);
        Ok(0)
    })
}

/// Store time of the message at a queue offset, in the columns; nothing where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn time_of(topic_bytes: usize, queue_id: i32, offset: f64) -> i32 {
    looking(|store| {
        let reader = store.engine.get_mut().reader();
        let time = with_inbox(topic_bytes, |topic| reader.time_of(topic, queue_id, offset as u64))?;
        tell(time.map(|time| time as f64).as_slice());
        Ok(0)
    })
}

/// Entries of a queue: in the columns the queue offset of the first, then physical offset, size and tags code of each.
#[unsafe(no_mangle)]
pub extern "C" fn entries(topic_bytes: usize, queue_id: i32, from: f64, max: f64) -> i32 {
    looking(|store| {
        let reader = store.engine.get_mut().reader();
        let max = (max as usize).min(MAX_GET_MESSAGES);
        let (start, found) = with_inbox(topic_bytes, |topic| reader.entries(topic, queue_id, from as u64, max))?;
        with_columns(|columns| {
            columns.push(start as f64);
            columns.extend(found.iter().flat_map(|entry| [entry.physical as f64, f64::from(entry.size), entry.tags_code as f64]));
        });
        Ok(0)
    })
}

/// Watches a queue: its maximum in the columns. Returns the number of the watch.
#[unsafe(no_mangle)]
pub extern "C" fn watch(topic_bytes: usize, queue_id: i32) -> i32 {
    with_store(|store| {
        let engine = store.engine.get_mut();
        let (watch, max) = with_inbox(topic_bytes, |topic| engine.watch(WATCHER, topic, queue_id))?;
        tell(&[f64::from(watch), max as f64]);
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn unwatch(watch: u32) -> i32 {
    with_store(|store| store.engine.get_mut().unwatch(WATCHER, watch).map(|()| 0))
}

/// Ready watches: pairs of watch and maximum of its queue in the columns, so many numbers at most. Returns how many pairs.
#[unsafe(no_mangle)]
pub extern "C" fn take_arrivals(numbers: usize) -> i32 {
    with_store(|store| {
        with_columns(|columns| {
            columns.resize(numbers.min(MAX_GET_MESSAGES), 0.0);
            Ok(store.engine.get_mut().take_arrivals(WATCHER, columns) as i32)
        })
    })
}

/// How near the store is to making a put wait, in the columns.
#[unsafe(no_mangle)]
pub extern "C" fn pressure() -> i32 {
    with_store(|store| {
        let pressure = store.pressure();
        tell(&[pressure]);
        Ok(0)
    })
}

/// Names of the topics, as a JSON list in the outbox.
#[unsafe(no_mangle)]
pub extern "C" fn topics() -> i32 {
    looking(|store| {
        say(&text_list(store.engine.get_mut().reader().topics().iter()));
        Ok(0)
    })
}

/// Ids of the queues of a topic, in the columns.
#[unsafe(no_mangle)]
pub extern "C" fn queues(topic_bytes: usize) -> i32 {
    looking(|store| {
        let found = with_inbox(topic_bytes, |topic| store.engine.get_mut().reader().queues(topic));
        with_columns(|columns| columns.extend(found.iter().map(|&id| f64::from(id))));
        Ok(0)
    })
}

/// `EngineHealth` of contract.ts, in the outbox.
#[unsafe(no_mangle)]
pub extern "C" fn health() -> i32 {
    looking(|store| {
        let reader = store.engine.get_mut().reader();
        let (found, options) = (reader.health()?, reader.options());
        let mut json = format!("{{\"clean\":{},", found.clean);
        write_findings(&mut json, found.findings.iter().map(|finding| (finding, None)));
        json.push_str(",\"files\":[");
        for (number, file) in found.files.iter().enumerate() {
            json.push_str(if number > 0 { ",{\"path\":" } else { "{\"path\":" });
            write_text(&mut json, &file.path);
            // Writing to a String cannot fail.
            let _ = write!(json, ",\"bytes\":{},\"kind\":\"{}\"}}", file.bytes, file.kind);
        }
        json.push_str("],\"indexFiles\":[");
        for (number, index) in found.index_files.iter().enumerate() {
            json.push_str(if number > 0 { ",{\"file\":" } else { "{\"file\":" });
            write_text(&mut json, &index.file);
            // Entry 0 is never used (store-format §4).
            let used = index.header.count.saturating_sub(1);
            let (geometry, header) = (index.geometry, index.header);
            let _ = write!(json, ",\"slots\":{},\"entries\":{},\"used\":{used}", geometry.slots, geometry.entries);
            let _ = write!(json, ",\"beginTimestamp\":{},\"endTimestamp\":{}", header.begin_timestamp, header.end_timestamp);
            let _ = write!(json, ",\"beginPhysicalOffset\":{},\"endPhysicalOffset\":{}}}", header.begin_physical, header.end_physical);
        }
        let _ = write!(json, "],\"segmentBytes\":{},\"queueFileEntries\":{}}}", options.segment_bytes, options.queue_file_entries);
        say(&json);
        Ok(0)
    })
}

/// Counters by name, as JSON in the outbox.
#[unsafe(no_mangle)]
pub extern "C" fn stats() -> i32 {
    looking(|store| {
        let stats = store.engine.get_mut().reader().stats();
        let pairs: Vec<String> = stats.named().iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        say(&format!("{{{}}}", pairs.join(",")));
        Ok(0)
    })
}

fn text_list<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut json = String::from("[");
    for (number, text) in texts.enumerate() {
        if number > 0 {
            json.push(',');
        }
        write_text(&mut json, text);
    }
    json.push(']');
    json
}
