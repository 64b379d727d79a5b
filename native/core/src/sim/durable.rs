//! Whether something survives whatever a power cut decides: what tests ask before they believe an acknowledgement.

use super::state::{ROOT, SimState};

impl SimState {
    /// Whether a path leads to what it leads to now, or to nothing as it does now.
    pub fn is_entry_durable(&self, path: &str) -> bool {
        let mut node = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(directory) = self.directory(node) else { return false };
            if !directory.is_durable(name) {
                return false;
            }
            match directory.get(name) {
                Some(child) => node = child,
                None => return true,
            }
        }
        true
    }

    /// Whether bytes of a file will be there as they are now; false for a file that is not there, or shorter.
    pub fn is_range_durable(&self, path: &str, from: u64, to: u64) -> bool {
        let file = self.find(path).and_then(|node| self.file(node));
        self.is_entry_durable(path) && file.is_some_and(|file| file.is_durable(from, to))
    }

    /// Whether all of a file will be there, with its length.
    pub fn is_file_durable(&self, path: &str) -> bool {
        let file = self.find(path).and_then(|node| self.file(node));
        file.is_some_and(|file| file.len == file.platter_len && self.is_range_durable(path, 0, file.len))
    }
}
