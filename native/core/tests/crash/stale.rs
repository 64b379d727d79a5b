//! Behind the end of a queue its files hold nothing: RocketMQ takes whatever stands there for entries, up to the first zero.

use moraine_core::sim::SimDisk;
use moraine_core::storage::Storage;

use super::model::{Model, QUEUES, queue};
use super::verify::Outcome;
use super::workload::BATCH;

const ENTRY_BYTES: u64 = 20;
const SIZE: std::ops::Range<usize> = 8..12;

/// Asked of a store that was just opened: its queues end where those of the model do.
pub fn nothing_stands_behind_the_queues(disk: &SimDisk, model: &Model) -> Outcome {
    for number in (0..QUEUES).filter(|&number| number != BATCH) {
        let (topic, id) = queue(number);
        let dir = format!("consumequeue/{topic}/{id}");
        let files = disk.list(&dir).map_err(|failed| format!("{dir}: {failed:?}"))?.unwrap_or_default();
        for file in files {
            let base: u64 = file.name.parse().map_err(|_| format!("{dir}/{} is no queue file", file.name))?;
            let bytes = disk.state().contents(&format!("{dir}/{}", file.name)).unwrap_or_default();
            let behind = (model.next[number] * ENTRY_BYTES).saturating_sub(base).min(bytes.len() as u64);
            // One without a size is none: a process that dies while it clears an entry may leave the rest of it.
            let mut units = bytes[behind as usize..].chunks_exact(ENTRY_BYTES as usize);
            if let Some(at) = units.position(|unit| unit[SIZE].iter().any(|&byte| byte != 0)) {
                let offset = (base + behind) / ENTRY_BYTES + at as u64;
                return Err(format!("{topic} {id} ends at {}, its files hold an entry at {offset}", model.next[number]));
            }
        }
    }
    Ok(())
}
