//! Open files, a bounded number of them: 100,000 queues must not need 100,000 descriptors.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

/// Open files by path. When full, the one goes that was not asked for since the hand last passed (the clock algorithm).
///
/// A file that was written, dropped here and opened again still tells of a failed write-back when it is synced:
/// Linux keeps an error that nobody has been told of for the next descriptor.
pub(crate) struct Descriptors {
    places: Vec<Place>,
    by_path: HashMap<Arc<str>, usize>,
    limit: usize,
    hand: usize,
}

struct Place {
    path: Arc<str>,
    file: Arc<File>,
    used: bool,
}

impl Descriptors {
    pub(crate) fn new(limit: usize) -> Self {
        Self { places: Vec::new(), by_path: HashMap::new(), limit: limit.max(1), hand: 0 }
    }

    pub(crate) fn get(&mut self, path: &str) -> Option<Arc<File>> {
        let place = &mut self.places[*self.by_path.get(path)?];
        place.used = true;
        Some(place.file.clone())
    }

    /// Keeps `file`. Another file may be dropped; it is closed when its last user is done.
    pub(crate) fn put(&mut self, path: &str, file: Arc<File>) {
        self.remove(path);
        let path: Arc<str> = path.into();
        // Not used yet: a file that is needed once does not push out one that is needed again and again.
        let place = Place { path: path.clone(), file, used: false };
        if self.places.len() < self.limit {
            self.by_path.insert(path, self.places.len());
            self.places.push(place);
            return;
        }
        let at = self.least_used();
        self.by_path.remove(&self.places[at].path);
        self.by_path.insert(path, at);
        self.places[at] = place;
    }

    pub(crate) fn remove(&mut self, path: &str) {
        let Some(at) = self.by_path.remove(path) else { return };
        self.places.swap_remove(at);
        if let Some(moved) = self.places.get(at) {
            self.by_path.insert(moved.path.clone(), at);
        }
    }

    fn least_used(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.places.len();
            let place = &mut self.places[self.hand];
            if !place.used {
                return self.hand;
            }
            place.used = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_file() -> Arc<File> {
        Arc::new(File::open("/dev/null").unwrap())
    }

    #[test]
    fn never_more_files_than_the_limit() {
        let mut open = Descriptors::new(3);
        for i in 0..100 {
            open.put(&format!("f{i}"), some_file());
            assert!(open.get(&format!("f{i}")).is_some(), "the newest is there");
            assert!(open.places.len() <= 3 && open.places.len() == open.by_path.len());
        }
    }

    #[test]
    fn a_file_in_use_outlives_one_that_is_not() {
        let mut open = Descriptors::new(3);
        open.put("hot", some_file());
        for i in 0..100 {
            open.put(&format!("cold{i}"), some_file());
            assert!(open.get("hot").is_some(), "after {i} others");
        }
    }

    #[test]
    fn a_removed_file_is_forgotten_and_the_others_stay() {
        let mut open = Descriptors::new(3);
        for path in ["a", "b", "c"] {
            open.put(path, some_file());
        }
        open.remove("a");
        open.remove("nobody");
        assert!(open.get("a").is_none());
        assert!(open.get("b").is_some() && open.get("c").is_some());
        open.put("d", some_file());
        assert!(open.get("b").is_some() && open.get("c").is_some() && open.get("d").is_some());
    }

    #[test]
    fn a_path_put_twice_has_the_later_file() {
        let mut open = Descriptors::new(3);
        let later = some_file();
        open.put("a", some_file());
        open.put("a", later.clone());
        assert!(Arc::ptr_eq(&open.get("a").unwrap(), &later));
        assert_eq!(open.places.len(), 1);
    }
}
