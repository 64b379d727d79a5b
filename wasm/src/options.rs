//! Options as they cross: numbers in a fixed order. `wasm-options.ts` writes them.

use moraine_core::error::Error;
use moraine_core::options::{Compat, FlushMode, Options, RetentionPolicy};

/// Room for a clean close on a full disk: for the entries of a hundred thousand messages.
const RESERVE_BYTES: u64 = 4 << 20;
/// Numbers in front of the delay levels.
const HEAD: usize = 19;

/// The options that stand in the inbox as f64, little-endian. NaN: not given.
pub fn read(bytes: &[u8]) -> Result<Options, Error> {
    let numbers: Vec<f64> = bytes.chunks_exact(8).map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap_or_default())).collect();
    if numbers.len() < HEAD {
        return Err(Error::argument("options", format!("{} numbers, want {HEAD} and the delay levels", numbers.len())));
    }
    let given = |at: usize| Some(numbers[at]).filter(|number| !number.is_nan());
    let is = |at: usize| numbers[at] != 0.0;
    let defaults = Options::default();
    let policy = RetentionPolicy {
        max_age_ms: given(14).map(|value| value as u64),
        max_bytes: given(15).map(|value| value as u64),
        delete_hour: given(16).map(|value| value as u8),
        disk_ratio: given(17),
    };
    Ok(Options {
        flush: if is(0) { FlushMode::Sync } else { FlushMode::Async },
        segment_bytes: numbers[1] as u64,
        queue_file_entries: numbers[2] as u32,
        index_slots: numbers[3] as u32,
        index_entries: numbers[4] as u32,
        record_crc: is(5),
        index: is(6),
        index_tags: is(7),
        compat: if is(8) { Compat::V4_9 } else { Compat::V5 },
        max_message_bytes: numbers[9] as u32,
        read_only: is(10),
        create: is(11),
        delay_levels: numbers[HEAD..].iter().map(|&level| level as i64).collect(),
        retention: is(18).then_some(policy),
        reserve_bytes: RESERVE_BYTES,
        checkpoint_bytes: given(13).map_or(defaults.checkpoint_bytes, |bytes| bytes as u64),
        process_id: numbers[12] as u32,
    })
}
