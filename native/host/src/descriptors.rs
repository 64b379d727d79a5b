//! Open files, a bounded number of them: 100,000 queues must not need 100,000 descriptors, nor mappings.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use crate::mapped::Mapping;

/// A file of which few bytes were read so often is mapped: mapping one, and giving that up again, costs several reads by calls.
const ASKED_BEFORE_MAPPED: u8 = 16;

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
    /// How often few bytes of it were asked for, until it was to be mapped; and what came of that.
    asked: u8,
    mapping: Option<Arc<Mapping>>,
}

/// How few bytes of a file are read.
pub(crate) enum View {
    Mapped(Arc<Mapping>),
    /// By a call, and it is to be mapped, which is asked for once.
    Wanted(Arc<File>),
    /// By a call.
    None,
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

    /// How few bytes of an open file are to be read now.
    pub(crate) fn view(&mut self, path: &str) -> View {
        let Some(&at) = self.by_path.get(path) else { return View::None };
        let place = &mut self.places[at];
        place.used = true;
        if let Some(mapping) = &place.mapping {
            return View::Mapped(mapping.clone());
        }
        place.asked = place.asked.saturating_add(1);
        if place.asked == ASKED_BEFORE_MAPPED { View::Wanted(place.file.clone()) } else { View::None }
    }

    /// Keeps the mapping of a file for as long as the file itself.
    pub(crate) fn put_view(&mut self, path: &str, file: &Arc<File>, mapping: Option<Arc<Mapping>>) {
        if let Some(&at) = self.by_path.get(path)
            && Arc::ptr_eq(&self.places[at].file, file)
        {
            self.places[at].mapping = mapping;
        }
    }

    /// Keeps `file`. Another file may be dropped; it is closed when its last user is done.
    pub(crate) fn put(&mut self, path: &str, file: Arc<File>) {
        self.remove(path);
        let path: Arc<str> = path.into();
        // Not used yet: a file that is needed once does not push out one that is needed again and again.
        let place = Place { path: path.clone(), file, used: false, asked: 0, mapping: None };
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
    fn a_file_that_is_asked_for_few_bytes_often_is_to_be_mapped_once() {
        let mut open = Descriptors::new(2);
        open.put("a", some_file());
        let wanted: Vec<usize> = (1..1000).filter(|_| matches!(open.view("a"), View::Wanted(_))).collect();
        assert_eq!(wanted, [usize::from(ASKED_BEFORE_MAPPED)]);
        open.put("a", some_file());
        assert!((1..1000).any(|_| matches!(open.view("a"), View::Wanted(_))), "it is another file");
        assert!(matches!(open.view("nobody"), View::None));
    }

    #[test]
    fn a_mapping_goes_with_its_file_and_comes_to_no_other() {
        let path = std::env::temp_dir().join(format!("moraine-descriptors-{}", std::process::id()));
        std::fs::write(&path, [7; 5000]).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let mapping = Arc::new(Mapping::new(&file, 5000, false).unwrap());
        let mut open = Descriptors::new(2);
        open.put("a", file.clone());
        open.put_view("a", &some_file(), Some(mapping.clone()));
        assert!(matches!(open.view("a"), View::None), "the file was replaced meanwhile");
        open.put_view("a", &file, Some(mapping.clone()));
        let mut out = [0; 10];
        assert!(matches!(open.view("a"), View::Mapped(view) if view.read_within(4990, &mut out)) && out == [7; 10]);
        assert!(!mapping.read_within(4991, &mut out) && !mapping.read_within(u64::MAX, &mut out));
        (0..10).for_each(|n| open.put(&format!("{n}"), some_file()));
        assert_eq!(Arc::strong_count(&mapping), 1, "no more mappings than files");
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
