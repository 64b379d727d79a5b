//! Counters and gauges of an open store.

/// Counted since the store was opened, or as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub messages_put: u64,
    /// Bytes of the records put.
    pub bytes_put: u64,
    /// Syncs of the log.
    pub flushes: u64,
    pub segments_rolled: u64,
    pub queues: u64,
    pub segments: u64,
    pub index_files: u64,
    /// Queue and index entries that are in memory only.
    pub waiting_entries: u64,
}

impl Stats {
    /// Name in the public API, and value.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("messagesPut", self.messages_put),
            ("bytesPut", self.bytes_put),
            ("flushes", self.flushes),
            ("segmentsRolled", self.segments_rolled),
            ("queues", self.queues),
            ("segments", self.segments),
            ("indexFiles", self.index_files),
            ("waitingEntries", self.waiting_entries),
        ]
    }
}
