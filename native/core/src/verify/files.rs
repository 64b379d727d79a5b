//! Checkpoint, sidecar and the tables in `config/`.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::report::Remedy;
use super::{Halt, Verifier};
use crate::engine::plans::CHECKPOINT_PATH;
use crate::engine::sidecar::{LOCK_MARKER, LOCK_PATH, WATERMARK_PATH, queues_path};
use crate::error::Error;
use crate::format::crc::crc32;
use crate::format::json::JsonReader;
use crate::format::queue_table::TableReader;
use crate::format::watermark::{Closed, Watermark};
use crate::limits::{CHECKPOINT_BYTES, MAX_QUEUE_TABLE_BYTES};
use crate::log::segments::path;
use crate::storage::{EntryKind, Storage};

const CONFIG: &str = "config";
/// Longest table that is read.
const MAX_TABLE_BYTES: u64 = 256 << 20;
/// Where fields of `checkpoint` stand.
const CHECKPOINT_FIELDS: [(&str, u64); 3] = [("log", 0), ("queues", 8), ("index", 16)];
const CONFIRM_AT: u64 = 32;

impl<S: Storage> Verifier<'_, S> {
    pub(super) fn verify_files(&mut self) -> Result<(), Halt> {
        self.verify_config()?;
        if self.options.live.is_none() {
            self.verify_checkpoint();
            self.verify_sidecar()?;
        }
        self.tell("files", 1, 1)
    }

    /// `checkpoint` says of nothing that it is there which is not.
    fn verify_checkpoint(&mut self) {
        let len = self.checkpoint_bytes.len();
        if len == 0 {
            return; // made by the next open
        }
        if len < CHECKPOINT_BYTES {
            self.report.push("checkpoint", CHECKPOINT_PATH, 0, 0, Remedy::Open, || {
                format!("has {len} bytes, {CHECKPOINT_BYTES} are right; recovery takes what is missing for 0")
            });
        }
        let checkpoint = self.checkpoint;
        let Some(last) = self.last_store_timestamp else { return };
        for ((what, at), time) in CHECKPOINT_FIELDS.into_iter().zip([checkpoint.physic, checkpoint.logics, checkpoint.index]) {
            if time > last {
                self.report.push("checkpoint", CHECKPOINT_PATH, at, 8, Remedy::Open, || {
                    format!("says that the {what} was synced up to the time {time}; the last message is of {last}")
                });
            }
        }
        if u64::try_from(checkpoint.confirm_offset).map_or(true, |offset| offset > self.end) {
            let (said, end) = (checkpoint.confirm_offset, self.end);
            self.report.push("checkpoint", CHECKPOINT_PATH, CONFIRM_AT, 8, Remedy::Open, || {
                format!("says that messages up to {said} are confirmed; the log ends at {end}")
            });
        }
    }

    fn verify_sidecar(&mut self) -> Result<(), Halt> {
        let mut bytes = vec![0; 2 * Watermark::BYTES];
        let Ok(read) = self.storage.read_at(WATERMARK_PATH, 0, &mut bytes) else { return Ok(()) };
        bytes.truncate(read);
        for (slot, n) in bytes.as_chunks::<{ Watermark::BYTES }>().0.iter().zip(0..) {
            if slot.iter().any(|&byte| byte != 0) && Watermark::decode(slot).is_none() {
                self.report.push("sidecar", WATERMARK_PATH, n * Watermark::BYTES as u64, Watermark::BYTES as u64, Remedy::Delete, || {
                    String::from("this slot is damaged: its checksum is not that of its bytes")
                });
            }
        }
        let is_ours = self.is_ours();
        match Watermark::newest(&bytes).and_then(|newest| newest.closed) {
            Some(closed) if self.clean && is_ours => self.verify_closed(&closed),
            _ => Ok(()), // void: RocketMQ has been here, or the store was not closed
        }
    }

    /// Whether RocketMQ has not been here since we were.
    pub(super) fn is_ours(&self) -> bool {
        let mut marker = [0; LOCK_MARKER.len()];
        self.storage.read_at(LOCK_PATH, 0, &mut marker).is_ok_and(|read| read == marker.len()) && marker == LOCK_MARKER
    }

    /// What our clean close has said, in a store that nobody has used since.
    fn verify_closed(&mut self, closed: &Closed) -> Result<(), Halt> {
        let checkpoint = closed.checkpoint.encode();
        if let Some(at) = checkpoint.iter().zip(&self.checkpoint_bytes).position(|(ours, there)| ours != there) {
            self.report.push("checkpoint", CHECKPOINT_PATH, at as u64, 0, Remedy::Open, || {
                String::from("is not what the last close wrote, and RocketMQ was not here since")
            });
        }
        let min = self.segments.min();
        if closed.min < min {
            self.report.push("log-missing", &path(closed.min), closed.min, min - closed.min, Remedy::Open, || {
                format!("the log began at {} when the store was closed, it begins at {min}: its first files are gone", closed.min)
            });
        }
        if closed.end != self.end && !self.segments.is_empty() {
            let end = self.end;
            self.report.push("sidecar", WATERMARK_PATH, 0, 0, Remedy::Open, || {
                format!("says that the log ended at {}, it ends at {end}", closed.end)
            });
        }
        let table_path = queues_path(closed.queues.snapshot);
        let mut table = vec![0; closed.queues.bytes.min(MAX_QUEUE_TABLE_BYTES) as usize];
        let read = self.storage.read_at(table_path, 0, &mut table).unwrap_or(0);
        if read != table.len() || crc32(&table) != closed.queues.crc {
            self.report.push("sidecar", table_path, 0, 0, Remedy::Delete, || {
                String::from("is not the queue table that the last close has written")
            });
            return Ok(());
        }
        let mut reader = TableReader::new(&table);
        let Some(header) = reader.header() else { return Ok(()) };
        for _ in 0..header.plain.topics {
            let Some(topic) = reader.topic() else { break };
            for _ in 0..topic.queues {
                let Some(row) = reader.queue() else { break };
                let seen = self.walked.simple.get(topic.name, row.id).map_or(0, |seen| seen.next);
                if seen > row.next {
                    self.report.push("sidecar", table_path, 0, 0, Remedy::Delete, || {
                        format!("says that queue {} of {} goes on at {}; its messages have come to {seen}", row.id, topic.name, row.next)
                    });
                }
            }
        }
        Ok(())
    }

    /// Tables that somebody will have to read.
    fn verify_config(&mut self) -> Result<(), Halt> {
        let entries = match self.storage.list(CONFIG) {
            Ok(entries) => entries.unwrap_or_default(),
            Err(error) => {
                self.report.unreadable(CONFIG, &error.into(), Remedy::ByHand);
                return Ok(());
            }
        };
        let mut names: Vec<(String, EntryKind, u64)> = entries
            .into_iter()
            .filter(|entry| entry.name.ends_with(".json") && entry.kind != EntryKind::Directory)
            .map(|entry| (entry.name, entry.kind, entry.len))
            .collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, kind, len) in names {
            let path = format!("{CONFIG}/{name}");
            if kind == EntryKind::Other || len > MAX_TABLE_BYTES {
                let what = if kind == EntryKind::Other { "is no file" } else { "is too long for a table" };
                self.report.push("table", &path, 0, len, Remedy::Config, || String::from(what));
                continue;
            }
            let mut text = vec![0; len as usize];
            match self.storage.read_at(&path, 0, &mut text) {
                Ok(read) => text.truncate(read),
                Err(error) => {
                    self.report.unreadable(&path, &Error::from(error), Remedy::Config);
                    continue;
                }
            }
            let mut reader = JsonReader::new(&text);
            if reader.skip().is_err() || !reader.is_at_end() {
                self.report.push("table", &path, 0, len, Remedy::Config, || {
                    String::from("is not JSON; RocketMQ and moraine take the .bak beside it instead")
                });
            }
        }
        Ok(())
    }
}
