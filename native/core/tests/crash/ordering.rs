//! Nothing says that something is safe before the sync that makes it so: asked of the disk in front of every call.

use moraine_core::engine::sidecar::queues_path;
use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::format::crc::crc32;
use moraine_core::format::index_file::{Header, IndexEntry};
use moraine_core::format::watermark::{Running, TableIdentity, Watermark};
use moraine_core::limits::BATCH_ENTRY_BYTES;
use moraine_core::options::Options;
use moraine_core::sim::SimState;

use super::model::{Model, Stored, queue};
use super::verify::Outcome;
use super::workload::OWN;

/// What files say of others at this moment is so whatever a power cut decides.
pub fn check(state: &SimState, model: &Model, options: &Options) -> Outcome {
    if model.messages.is_empty() {
        return Ok(());
    }
    let checkpoint = Checkpoint::decode(&state.contents("checkpoint").unwrap_or_default());
    let vouched = checkpoint.min_timestamp();
    for message in model.held().filter(|message| message.time <= vouched && stands_there(state, message, options)) {
        message_is_durable(state, model, message, options).map_err(|flaw| format!("checkpoint vouches for {vouched}: {flaw}"))?;
    }
    let newest = newest_watermark(state);
    if let Some(closed) = newest.and_then(|newest| newest.closed).filter(|closed| closed.end == model.end) {
        everything_is_durable(state, model, options).map_err(|flaw| format!("the watermark says closed: {flaw}"))?;
        table_is_durable(state, &closed.queues)?;
        if !state.is_file_durable("checkpoint") {
            return Err(String::from("the watermark says closed, checkpoint is not synced"));
        }
    }
    one_slot_is_durable(state)?;
    if let Some(running) = newest.and_then(|newest| newest.running) {
        running_is_so(state, model, options, &running)?;
    }
    if !state.paths().iter().any(|path| path == "abort") {
        everything_is_durable(state, model, options).map_err(|flaw| format!("there is no abort: {flaw}"))?;
    }
    Ok(())
}

/// What an open store says of itself is synced: log, files of queues and index, and the table of queues.
fn running_is_so(state: &SimState, model: &Model, options: &Options, running: &Running) -> Outcome {
    log_is_durable(state, model, options, running.durable).map_err(|flaw| format!("the watermark of an open store: {flaw}"))?;
    let Some(derived) = running.derived else { return Ok(()) };
    table_is_durable(state, &derived.queues)?;
    let derived_files = DerivedFiles::of(state, options);
    for message in model.held().filter(|message| message.end() <= derived.upto) {
        let outcome = message_is_durable(state, model, message, options)
            .and_then(|()| derived_files.hold(state, model, message, derived.index.is_some()));
        outcome.map_err(|flaw| format!("a queue checkpoint up to {} is said: {flaw}", derived.upto))?;
    }
    Ok(())
}

/// From the second one on a watermark is written beside one that is synced: a power cut leaves either.
fn one_slot_is_durable(state: &SimState) -> Outcome {
    let path = "moraine/watermark";
    let file = state.contents(path).unwrap_or_default();
    let slots = file.as_chunks::<{ Watermark::BYTES }>().0.iter().enumerate();
    let whole: Vec<(usize, Watermark)> = slots.filter_map(|(place, slot)| Some((place, Watermark::decode(slot)?))).collect();
    let synced = |place: usize| {
        let at = (place * Watermark::BYTES) as u64;
        state.is_range_durable(path, at, at + Watermark::BYTES as u64)
    };
    if whole.iter().any(|(_, slot)| slot.sequence > 1) && !whole.iter().any(|&(place, _)| synced(place)) {
        return Err(String::from("no slot of the watermark is synced"));
    }
    Ok(())
}

/// The table that a slot names stands there, synced. In a folder that is lost the watermark is lost, too.
fn table_is_durable(state: &SimState, queues: &TableIdentity) -> Outcome {
    let path = queues_path(queues.snapshot);
    let table = state.contents(path).unwrap_or_default();
    if (table.len() as u64, crc32(&table)) != (queues.bytes, queues.crc) {
        return Err(format!("{path} is not the table that the watermark names"));
    }
    if state.is_entry_durable("moraine") && !state.is_file_durable(path) {
        return Err(format!("{path}, which the watermark names, is not synced"));
    }
    Ok(())
}

/// Where in files of batch queues and of the index the entries of records stand: file, place, length, by record.
struct DerivedFiles(Vec<(u64, String, u64, u64)>);

impl DerivedFiles {
    fn of(state: &SimState, options: &Options) -> Self {
        let in_batches = (0, BATCH_ENTRY_BYTES as usize, 0);
        let in_index = (Header::BYTES + 4 * options.index_slots as usize, IndexEntry::BYTES, 4);
        let mut entries = Vec::new();
        for path in state.paths() {
            let (start, size, physical) = match path.split('/').next() {
                Some("batchconsumequeue") => in_batches,
                Some("index") => in_index,
                _ => continue,
            };
            let bytes = state.contents(&path).unwrap_or_default();
            for (number, entry) in bytes.get(start..).unwrap_or_default().chunks_exact(size).enumerate() {
                let of = entry[physical..physical + 8].iter().fold(0, |of, &byte| of << 8 | u64::from(byte));
                if entry.iter().any(|&byte| byte != 0) {
                    entries.push((of, path.clone(), (start + number * size) as u64, size as u64));
                }
            }
        }
        Self(entries)
    }

    fn hold(&self, state: &SimState, model: &Model, message: &Stored, index_is_said: bool) -> Outcome {
        let synced = |dir: &str| {
            let of_it = self.0.iter().filter(|(of, path, _, _)| *of == message.physical && path.starts_with(dir));
            of_it.filter(|(_, path, at, size)| state.is_range_durable(path, *at, at + size)).count()
        };
        if !model.is_shown(message.draft.queue, message) {
            return Ok(());
        }
        if OWN[message.draft.queue].0 == "B" && message.draft.takes_place() && synced("batchconsumequeue/") == 0 {
            return Err(format!("the batch queue's entry of the record at {} is not synced", message.physical));
        }
        if index_is_said && message.draft.transaction != 3 && synced("index/") < message.draft.keys.len() {
            return Err(format!("index entries of the record at {} are not synced", message.physical));
        }
        Ok(())
    }
}

/// The log is synced up to `end`.
pub fn log_is_durable(state: &SimState, model: &Model, options: &Options, end: u64) -> Outcome {
    let lost = model.held().filter(|message| message.end() <= end).find(|message| !record_is_durable(state, message, options));
    lost.map_or(Ok(()), |message| Err(format!("{end} is called durable, but the record at {} is not synced", message.physical)))
}

fn everything_is_durable(state: &SimState, model: &Model, options: &Options) -> Outcome {
    model.held().try_for_each(|message| message_is_durable(state, model, message, options))
}

pub fn newest_watermark(state: &SimState) -> Option<Watermark> {
    let file = state.contents("moraine/watermark")?;
    let slots = file.as_chunks::<{ Watermark::BYTES }>().0;
    slots.iter().filter_map(Watermark::decode).max_by_key(|slot| slot.sequence)
}

/// Whether a message that is being put has got as far as its file.
fn stands_there(state: &SimState, message: &Stored, options: &Options) -> bool {
    let (path, at) = file_of(message, options);
    state.contents(&path).and_then(|bytes| bytes.get(at as usize..).map(|bytes| bytes.starts_with(&message.bytes))).unwrap_or(false)
}

fn file_of(message: &Stored, options: &Options) -> (String, u64) {
    let at = message.physical % options.segment_bytes;
    (format!("commitlog/{:020}", message.physical - at), at)
}

fn record_is_durable(state: &SimState, message: &Stored, options: &Options) -> bool {
    let (path, at) = file_of(message, options);
    state.is_range_durable(&path, at, at + message.bytes.len() as u64)
}

/// Its record, and its entries in the files of its plain queues.
fn message_is_durable(state: &SimState, model: &Model, message: &Stored, options: &Options) -> Outcome {
    if !record_is_durable(state, message, options) {
        return Err(format!("the record at {} is not synced", message.physical));
    }
    let plain = message.places.iter().filter(|(_, _, taken)| *taken == 1 && OWN[message.draft.queue].0 != "B");
    for &(number, offset, _) in plain.filter(|place| model.is_shown(place.0, message)) {
        let (topic, id) = queue(number);
        let entries = u64::from(options.queue_file_entries);
        let (base, at) = ((offset - offset % entries) * 20, offset % entries * 20);
        let path = format!("consumequeue/{topic}/{id}/{base:020}");
        let bytes = state.contents(&path).unwrap_or_default();
        if !state.is_range_durable(&path, at, at + 20) || bytes[at as usize..][..8] != message.physical.to_be_bytes() {
            return Err(format!("entry {offset} of {topic} {id} is not synced"));
        }
    }
    Ok(())
}
