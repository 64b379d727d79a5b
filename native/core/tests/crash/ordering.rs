//! Nothing says that something is safe before the sync that makes it so: asked of the disk in front of every call.

use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::format::crc::crc32;
use moraine_core::format::watermark::Watermark;
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
    for message in model.messages.iter().filter(|message| message.time <= vouched && stands_there(state, message, options)) {
        message_is_durable(state, message, options).map_err(|flaw| format!("checkpoint vouches for {vouched}: {flaw}"))?;
    }
    // It refers to one table of queues: while another one stands in its place, such as half of the next, it is void.
    let table = crc32(&state.contents("moraine/queues").unwrap_or_default());
    let closed = newest_watermark(state).and_then(|newest| newest.closed).filter(|closed| closed.queues.crc == table);
    if closed.is_some_and(|closed| closed.end == model.end) {
        everything_is_durable(state, model, options).map_err(|flaw| format!("the watermark says closed: {flaw}"))?;
        // In a folder that is lost the watermark is lost, too.
        if !state.is_file_durable("checkpoint") || (state.is_entry_durable("moraine") && !state.is_file_durable("moraine/queues")) {
            return Err(String::from("the watermark says closed, checkpoint or moraine/queues is not synced"));
        }
    }
    if !state.paths().iter().any(|path| path == "abort") {
        everything_is_durable(state, model, options).map_err(|flaw| format!("there is no abort: {flaw}"))?;
    }
    Ok(())
}

/// The log is synced up to `end`.
pub fn log_is_durable(state: &SimState, model: &Model, options: &Options, end: u64) -> Outcome {
    let lost = model.messages.iter().filter(|message| message.end() <= end).find(|message| !record_is_durable(state, message, options));
    lost.map_or(Ok(()), |message| Err(format!("{end} is called durable, but the record at {} is not synced", message.physical)))
}

fn everything_is_durable(state: &SimState, model: &Model, options: &Options) -> Outcome {
    model.messages.iter().try_for_each(|message| message_is_durable(state, message, options))
}

fn newest_watermark(state: &SimState) -> Option<Watermark> {
    let file = state.contents("moraine/watermark")?;
    let slots = file.as_chunks::<{ Watermark::BYTES }>().0;
    slots.iter().filter_map(Watermark::decode).max_by_key(|slot| slot.sequence)
}

/// Whether a message that is being put has got as far as its file.
fn stands_there(state: &SimState, message: &Stored, options: &Options) -> bool {
    let (path, at) = file_of(message, options);
    state.contents(&path).is_some_and(|bytes| bytes[at as usize..].starts_with(&message.bytes))
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
fn message_is_durable(state: &SimState, message: &Stored, options: &Options) -> Outcome {
    if !record_is_durable(state, message, options) {
        return Err(format!("the record at {} is not synced", message.physical));
    }
    let plain = message.places.iter().filter(|(_, _, taken)| *taken == 1 && OWN[message.draft.queue].0 != "B");
    for &(number, offset, _) in plain {
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
