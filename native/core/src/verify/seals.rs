//! Seals: the digest of every finished segment against its bytes, which finds what no checksum covers.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use xxhash_rust::xxh64::Xxh64;

use super::report::Remedy;
use super::{Halt, Verifier};
use crate::engine::seals::{MAX_SEALS_BYTES, SEALS_PATH, read_rows};
use crate::format::seal::Seal;
use crate::log::segments::path;
use crate::storage::{Segment, Storage};

/// Bytes of a segment that are read at once.
const SLICE_BYTES: usize = 1 << 20;

impl<S: Storage> Verifier<'_, S> {
    /// Seals count as long as the store is ours: RocketMQ may cut a log and write it on.
    pub(super) fn verify_seals(&mut self) -> Result<(), Halt> {
        let Ok(Some(len)) = self.storage.len(SEALS_PATH) else { return Ok(()) };
        let Ok((seals, rows)) = read_rows(self.storage, len) else { return Ok(()) };
        if rows < len.min(MAX_SEALS_BYTES) && self.options.live.is_none() {
            self.report.push("sidecar", SEALS_PATH, rows, len.min(MAX_SEALS_BYTES) - rows, Remedy::Delete, || {
                String::from("is no row of a seal: those from here on do not count")
            });
        }
        if !self.is_ours() {
            return Ok(());
        }
        for seal in seals.into_values() {
            self.verify_seal(&seal)?;
        }
        Ok(())
    }

    fn verify_seal(&mut self, seal: &Seal) -> Result<(), Halt> {
        let Some(placed) = self.segments.find(seal.base).filter(|placed| placed.base == seal.base).cloned() else { return Ok(()) };
        if seal.size != placed.segment.size() || seal.base + seal.size > self.end {
            return Ok(()); // of a log that was cut since
        }
        let (mut digest, mut slice, mut at) = (Xxh64::new(0), vec![0; SLICE_BYTES], 0);
        while at < seal.size {
            let len = (seal.size - at).min(SLICE_BYTES as u64) as usize;
            if let Err(error) = placed.segment.read_at(at, &mut slice[..len]) {
                self.report.unreadable(&path(placed.base), &error.into(), Remedy::Salvage);
                return Ok(());
            }
            digest.update(&slice[..len]);
            at += len as u64;
            self.tell("log", seal.base + at, seal.base + seal.size)?;
        }
        if digest.digest() != seal.digest {
            let found = digest.digest();
            self.report.push("seal", &path(seal.base), seal.base, seal.size, Remedy::Salvage, || {
                format!("the digest of the finished file is {found:016x}, it was sealed with {:016x}", seal.digest)
            });
        }
        Ok(())
    }
}
