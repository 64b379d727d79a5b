//! What others do to a store between two steps of an expiry or a deletion, each of which takes the lock anew.

use std::cell::{Cell, RefCell};

use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::Engine;
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::{Access, expire};
use moraine_core::engine::retention::Wish;
use moraine_core::error::Error;
use moraine_core::memory::{MemoryClock, MemoryStorage};

/// A store that something happens to before the n-th time that its lock is taken.
struct Interrupted<F: Fn(&mut Store)> {
    store: RefCell<Store>,
    left: Cell<u32>,
    happens: F,
}

impl<F: Fn(&mut Store)> Access<MemoryStorage, MemoryClock> for Interrupted<F> {
    fn engine<R>(&self, act: impl FnOnce(&mut Engine<MemoryStorage, MemoryClock>) -> Result<R, Error>) -> Result<R, Error> {
        let mut store = self.store.borrow_mut();
        if self.left.get() == 1 {
            (self.happens)(&mut store);
        }
        self.left.set(self.left.get().saturating_sub(1));
        act(&mut store)
    }
}

fn put_to(store: &mut Store, topic: &str, body: &str) -> Put {
    put(store, &[BatchMessage { topic: topic.as_bytes(), ..message(body.as_bytes(), b"") }]).unwrap()[0]
}

fn filled(storage: &MemoryStorage) -> Store {
    let mut store = open(storage, small()).unwrap();
    while store.reader().positions().end <= 3 * 4096 {
        put_to(&mut store, "T", "x");
        put_to(&mut store, "D", "x");
    }
    store
}

#[test]
fn a_hold_keeps_everything_or_comes_too_late() {
    let (mut kept, mut late) = (0, 0);
    for n in 1.. {
        let storage = MemoryStorage::default();
        let minimum = Cell::new(None);
        let happens = |store: &mut Store| {
            minimum.set(Some(store.reader().positions().min));
            store.writer().unwrap().retain(0);
        };
        let access = Interrupted { store: RefCell::new(filled(&storage)), left: Cell::new(n), happens };
        let expired = expire(&access, &storage, Wish::Asked { before: None, max_bytes: Some(0) }).unwrap();
        let Some(held_from) = minimum.get() else { break };
        let min = access.store.borrow().reader().positions().min;
        assert_eq!(min, held_from, "call {n}: what was there when it was held is there");
        assert_eq!(expired.files > 0, held_from > 0, "call {n}");
        if held_from == 0 {
            kept += 1
        } else {
            late += 1
        }
        let crashed = storage.snapshot();
        close(access.store.into_inner());
        for storage in [storage, crashed] {
            let store = open(&storage, small()).unwrap();
            assert_eq!(store.reader().positions().min, min, "call {n}");
            let range = store.reader().offsets(b"T", 0);
            assert_eq!(get(&store, "T", 0, range.min, 1000).unwrap().2.len() as u64, range.max - range.min, "call {n}");
        }
    }
    assert!(kept > 3 && late > 0, "{kept} kept, {late} too late");
}

#[test]
fn what_is_put_while_files_go_is_there() {
    for n in 1.. {
        let storage = MemoryStorage::default();
        let given = Cell::new(None);
        let happens = |store: &mut Store| given.set(Some((put_to(store, "T", "new").1, put_to(store, "fresh", "new").1)));
        let access = Interrupted { store: RefCell::new(filled(&storage)), left: Cell::new(n), happens };
        expire(&access, &storage, Wish::Asked { before: None, max_bytes: Some(0) }).unwrap();
        let Some((offset, fresh)) = given.get() else { break };
        let store = access.store.into_inner();
        let crashed = storage.snapshot();
        close(store);
        for storage in [storage, crashed] {
            let store = open(&storage, small()).unwrap();
            assert_eq!(get(&store, "T", 0, offset, 10).unwrap().2, ["new"], "call {n}");
            assert_eq!(get(&store, "fresh", 0, fresh, 10).unwrap().2, ["new"], "call {n}");
        }
    }
}

#[test]
fn what_is_put_to_a_topic_that_is_being_deleted_belongs_to_the_next_one() {
    for n in 1.. {
        let storage = MemoryStorage::default();
        let given = Cell::new(None);
        let happens = |store: &mut Store| {
            given.set(Some((
                put_to(store, "D", "new").1,
                put(store, &[BatchMessage { topic: b"D", queue_id: 7, ..message(b"other", b"") }]).unwrap()[0].1,
            )))
        };
        let access = Interrupted { store: RefCell::new(filled(&storage)), left: Cell::new(n), happens };
        let next = access.store.borrow().reader().offsets(b"D", 0).next;
        assert!(delete_topic(&access, &storage, b"D").unwrap());
        let Some((offset, other)) = given.get() else { break };
        assert_eq!((offset, other), (next, 0), "call {n}");
        let store = access.store.into_inner();
        let crashed = storage.snapshot();
        let check = |store: &Store| {
            let hidden = n == 1; // before anything was looked at
            let shown = |queue_id, offset| get(store, "D", queue_id, offset, 10).unwrap().2;
            let expected = |body: &str| if hidden { vec![] } else { vec![body.to_owned()] };
            assert_eq!(shown(0, offset), expected("new"), "call {n}");
            assert_eq!(shown(7, other), expected("other"), "call {n}");
            let range = store.reader().offsets(b"D", 0);
            assert_eq!((range.min, range.next), (next + u64::from(hidden), next + 1), "call {n}");
        };
        check(&store);
        close(store);
        for storage in [storage, crashed] {
            for gone in [&[][..], &["consumequeue", "moraine", "checkpoint"]] {
                let storage = storage.snapshot();
                gone.iter().for_each(|gone| storage.remove_tree(gone));
                check(&open(&storage, small()).unwrap());
            }
        }
    }
}
