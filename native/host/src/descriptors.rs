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
    /// How often a path may have come to lead to another file.
    changes: u64,
}

/// A file that is open. Closing it, and giving up its mapping, takes calls: whoever gets one back lets it fall without the lock.
pub(crate) struct Place {
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
        Self { places: Vec::new(), by_path: HashMap::new(), limit: limit.max(1), hand: 0, changes: 0 }
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

    /// The mapping of an open file, where it has one.
    pub(crate) fn mapping(&mut self, path: &str) -> Option<Arc<Mapping>> {
        let place = &mut self.places[*self.by_path.get(path)?];
        place.used = true;
        place.mapping.clone()
    }

    /// Keeps the mapping of a file for as long as the file itself. Hands back one that is not kept.
    #[must_use]
    pub(crate) fn put_view(&mut self, path: &str, file: &Arc<File>, mapping: Arc<Mapping>) -> Option<Arc<Mapping>> {
        match self.by_path.get(path) {
            Some(&at) if Arc::ptr_eq(&self.places[at].file, file) => self.places[at].mapping.replace(mapping),
            _ => Some(mapping),
        }
    }

    /// Hands back the mapping of a file, which is of no use: it is read by calls from here on.
    #[must_use]
    pub(crate) fn take_view(&mut self, path: &str, mapping: &Arc<Mapping>) -> Option<Arc<Mapping>> {
        let place = &mut self.places[*self.by_path.get(path)?];
        place.mapping.take_if(|kept| Arc::ptr_eq(kept, mapping))
    }

    /// To be noted before a file is opened that [`Descriptors::put_opened`] is to keep.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Keeps a file that was opened, unless its path may lead to another one meanwhile, or one is kept for it.
    #[must_use]
    pub(crate) fn put_opened(&mut self, path: &str, file: &Arc<File>, changes: u64) -> Option<Place> {
        if self.changes != changes || self.by_path.contains_key(path) {
            return None;
        }
        self.insert(path, file.clone())
    }

    /// Keeps `file`, and none that was opened before. Another file may be handed back; it is closed when its last user is done.
    #[must_use]
    pub(crate) fn put(&mut self, path: &str, file: Arc<File>) -> Option<Place> {
        // Where there was one, there is room.
        let removed = self.remove(path);
        let pushed_out = self.insert(path, file);
        removed.or(pushed_out)
    }

    fn insert(&mut self, path: &str, file: Arc<File>) -> Option<Place> {
        let path: Arc<str> = path.into();
        // Not used yet: a file that is needed once does not push out one that is needed again and again.
        let place = Place { path: path.clone(), file, used: false, asked: 0, mapping: None };
        if self.places.len() < self.limit {
            self.by_path.insert(path, self.places.len());
            self.places.push(place);
            return None;
        }
        let at = self.least_used();
        self.by_path.remove(&self.places[at].path);
        self.by_path.insert(path, at);
        Some(std::mem::replace(&mut self.places[at], place))
    }

    /// Forgets a file; one that is being opened at this moment is not kept either.
    #[must_use]
    pub(crate) fn remove(&mut self, path: &str) -> Option<Place> {
        self.changes += 1;
        let at = self.by_path.remove(path)?;
        let removed = self.places.swap_remove(at);
        if let Some(moved) = self.places.get(at) {
            self.by_path.insert(moved.path.clone(), at);
        }
        Some(removed)
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
            drop(open.put(&format!("f{i}"), some_file()));
            assert!(open.get(&format!("f{i}")).is_some(), "the newest is there");
            assert!(open.places.len() <= 3 && open.places.len() == open.by_path.len());
        }
    }

    #[test]
    fn a_file_in_use_outlives_one_that_is_not() {
        let mut open = Descriptors::new(3);
        drop(open.put("hot", some_file()));
        for i in 0..100 {
            drop(open.put(&format!("cold{i}"), some_file()));
            assert!(open.get("hot").is_some(), "after {i} others");
        }
    }

    #[test]
    fn a_removed_file_is_forgotten_and_the_others_stay() {
        let mut open = Descriptors::new(3);
        for path in ["a", "b", "c"] {
            drop(open.put(path, some_file()));
        }
        assert!(open.remove("a").is_some());
        assert!(open.remove("nobody").is_none());
        assert!(open.get("a").is_none());
        assert!(open.get("b").is_some() && open.get("c").is_some());
        drop(open.put("d", some_file()));
        assert!(open.get("b").is_some() && open.get("c").is_some() && open.get("d").is_some());
    }

    #[test]
    fn a_file_that_is_asked_for_few_bytes_often_is_to_be_mapped_once() {
        let mut open = Descriptors::new(2);
        drop(open.put("a", some_file()));
        let wanted: Vec<usize> = (1..1000).filter(|_| matches!(open.view("a"), View::Wanted(_))).collect();
        assert_eq!(wanted, [usize::from(ASKED_BEFORE_MAPPED)]);
        drop(open.put("a", some_file()));
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
        drop(open.put("a", file.clone()));
        assert!(open.put_view("a", &some_file(), mapping.clone()).is_some(), "the file was replaced meanwhile");
        assert!(matches!(open.view("a"), View::None));
        assert!(open.put_view("a", &file, mapping.clone()).is_none());
        let mut out = [0; 10];
        assert!(matches!(open.view("a"), View::Mapped(view) if view.read_within(4990, &mut out)) && out == [7; 10]);
        assert!(!mapping.read_within(4991, &mut out) && !mapping.read_within(u64::MAX, &mut out));
        (0..10).for_each(|n| drop(open.put(&format!("{n}"), some_file())));
        assert_eq!(Arc::strong_count(&mapping), 1, "no more mappings than files");
    }

    #[test]
    fn a_mapping_that_is_given_up_does_not_come_back() {
        let mut open = Descriptors::new(2);
        let file = Arc::new(File::open(std::env::current_exe().unwrap()).unwrap());
        let mapping = |file: &File| Arc::new(Mapping::new(file, 100, false).unwrap());
        let (kept, other) = (mapping(&file), mapping(&file));
        drop(open.put("a", file.clone()));
        assert!((1..1000).any(|_| matches!(open.view("a"), View::Wanted(_))));
        assert!(open.put_view("a", &file, kept.clone()).is_none());
        assert!(open.take_view("nobody", &kept).is_none() && open.take_view("a", &other).is_none());
        assert!(open.take_view("a", &kept).is_some());
        assert!((1..1000).all(|_| matches!(open.view("a"), View::None)));
    }

    #[test]
    fn a_file_is_not_kept_whose_path_may_lead_elsewhere_since_it_was_opened() {
        let mut open = Descriptors::new(2);
        let file = some_file();
        let changes = open.changes();
        assert!(open.remove("a").is_none());
        assert!(open.put_opened("a", &file, changes).is_none() && open.get("a").is_none(), "it was removed");
        let changes = open.changes();
        drop(open.put("a", some_file()));
        assert!(open.put_opened("a", &file, changes).is_none() && !Arc::ptr_eq(&open.get("a").unwrap(), &file), "another was made");
        let changes = open.changes();
        let kept = open.get("a").unwrap();
        assert!(open.put_opened("a", &file, changes).is_none() && Arc::ptr_eq(&open.get("a").unwrap(), &kept), "one is enough");
        assert!(open.put_opened("b", &file, changes).is_none() && Arc::ptr_eq(&open.get("b").unwrap(), &file));
        assert!(open.put_opened("c", &file, changes).is_some(), "it takes the place of another");
    }

    #[test]
    fn a_path_put_twice_has_the_later_file() {
        let mut open = Descriptors::new(3);
        let later = some_file();
        drop(open.put("a", some_file()));
        assert!(open.put("a", later.clone()).is_some());
        assert!(Arc::ptr_eq(&open.get("a").unwrap(), &later));
        assert_eq!(open.places.len(), 1);
    }
}
