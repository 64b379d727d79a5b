//! A disk that does not answer, for tests: reads of some files wait until they are let go. Held by the test, nobody who
//! puts, flushes or reads something else may come to wait too.

use std::sync::{Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// In the place of a path: reads of the log from its mappings.
pub(crate) const LOG_MAPPINGS: &str = "mappings of the log";

#[derive(Default)]
pub(crate) struct Stall {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What the paths begin with.
    stalled: Option<&'static str>,
    /// The same of files that were opened just now.
    stalled_opened: Option<&'static str>,
    waiting: usize,
    /// Whom the disk answers all the same.
    spared: Option<ThreadId>,
}

impl Stall {
    pub(crate) fn begin(&self, prefix: &'static str) {
        self.state.lock().unwrap().stalled = Some(prefix);
    }

    /// From here on who opens a file waits before it is kept.
    pub(crate) fn begin_behind_open(&self, prefix: &'static str) {
        self.state.lock().unwrap().stalled_opened = Some(prefix);
    }

    /// From here on only others than this thread wait.
    pub(crate) fn spare_this_thread(&self) {
        self.state.lock().unwrap().spared = Some(thread::current().id());
    }

    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap();
        (state.stalled, state.stalled_opened) = (None, None);
        self.changed.notify_all();
    }

    /// Until somebody waits for the disk.
    pub(crate) fn until_somebody_waits(&self) {
        let waited = self.changed.wait_timeout_while(self.state.lock().unwrap(), PATIENCE, |state| state.waiting == 0).unwrap();
        assert!(!waited.1.timed_out(), "everything was in memory");
    }

    pub(crate) fn pass(&self, path: &str) {
        self.wait_while(path, |state| state.stalled);
    }

    /// A file was opened, and is not kept yet.
    pub(crate) fn opened(&self, path: &str) {
        self.wait_while(path, |state| state.stalled_opened);
    }

    fn wait_while(&self, path: &str, stalled: fn(&State) -> Option<&'static str>) {
        let mut state = self.state.lock().unwrap();
        if state.spared == Some(thread::current().id()) || !stalled(&state).is_some_and(|prefix| path.starts_with(prefix)) {
            return;
        }
        state.waiting += 1;
        self.changed.notify_all();
        self.changed.wait_while(state, |state| stalled(state).is_some()).unwrap().waiting -= 1;
    }
}

mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use moraine_core::batch::{BatchMessage, encode};
    use moraine_core::engine::lookup::asked;
    use moraine_core::engine::{Boundary, GetRequest};
    use moraine_core::error::Error;
    use moraine_core::format::record::{Address, Host};
    use moraine_core::options::Options;
    use moraine_core::storage::Storage;

    use super::LOG_MAPPINGS;
    use crate::clock::HostClock;
    use crate::errands::Done;
    use crate::files::{Access, HostStorage};
    use crate::shared::{Events, Fetched, GetHead, OpenSettings, Shared, Wanted};

    /// One file of the log holds all messages: what lies in the middle of it nobody looks at when the store is opened.
    const SEGMENT_BYTES: u64 = 8 << 20;
    const BODY_BYTES: usize = 4096;

    struct Told(mpsc::Sender<&'static str>);

    impl Events for Told {
        fn settled(&self, _durable: u64, _error: Option<&Error>) {
            let _ = self.0.send("settled");
        }
        fn done(&self, _errand: u32, _outcome: Result<Done, Error>) {}
        fn fetched(&self, _fetch: u32, outcome: Result<Fetched, Error>) {
            let _ = self.0.send(if outcome.is_ok_and(|fetched| fetched.head.messages > 0) { "fetched" } else { "not fetched" });
        }
        fn arrived(&self) {}
        fn closed(&self, _outcome: Result<(), Error>) {
            let _ = self.0.send("closed");
        }
    }

    fn open(path: &Path) -> (Arc<Shared>, mpsc::Receiver<&'static str>) {
        let options =
            Options { segment_bytes: SEGMENT_BYTES, queue_file_entries: 100, index_slots: 50, index_entries: 200, ..Options::default() };
        let settings = OpenSettings { path: path.to_owned(), options, flush_interval: Duration::from_secs(3600), clock: HostClock::System };
        let (told, hear) = mpsc::channel();
        (Shared::open(settings, Box::new(Told(told)), &mut |_| {}).unwrap(), hear)
    }

    fn put(store: &Shared, key: &str) {
        let host = Host { address: Address::V4([127, 0, 0, 1]), port: 10911 };
        let properties = format!("KEYS\x01{key}\x02");
        let message = BatchMessage {
            topic: b"orders",
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            reconsume_times: 0,
            born_timestamp: 0,
            prepared_transaction_offset: 0,
            born_host: host,
            store_host: host,
            body: &[7; BODY_BYTES],
            properties: properties.as_bytes(),
        };
        let mut batch = Vec::new();
        encode(&message, &mut batch);
        store.put(&batch, &mut [0.0; 6]).map_err(|(_, error)| error).unwrap();
    }

    /// A closed store of a thousand messages with the keys k0, k1, … of which nothing is in memory.
    fn cold_store() -> PathBuf {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("moraine-stall-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let (store, hear) = open(&path);
        (0..1000).for_each(|n| put(&store, &format!("k{n}")));
        store.close();
        while hear.recv().unwrap() != "closed" {}
        cool_down(&path);
        path
    }

    fn cool_down(directory: &Path) {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                cool_down(&entry.path());
            } else {
                let file = std::fs::File::open(entry.path()).unwrap();
                file.sync_all().unwrap();
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
            }
        }
    }

    /// A reader waits for files of a kind; meanwhile everything else goes on, and when the disk answers it gets its answer.
    fn others_go_on_while(stalled: &'static str, read: fn(&Shared) -> bool) {
        let path = cold_store();
        let (store, hear) = open(&path);
        cool_down(&path);
        let stall = &store.core.storage.stall;
        stall.begin(stalled);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read(&store));
            stall.until_somebody_waits();
            // Of the end of the queue, which is in memory.
            put(&store, "new");
            store.request_flush();
            assert_eq!(hear.recv().unwrap(), "settled");
            let (mut out, mut offsets, mut head) = ([0; 5000], [0.0; 1], GetHead::default());
            let newest = GetRequest { topic: b"orders", queue_id: 0, offset: 1000, max: 1, max_bytes: 5000, filter: b"" };
            assert!(store.positions().durable == store.positions().end);
            assert!(store.watch(b"orders", 1).is_ok());
            if !["consumequeue", LOG_MAPPINGS].contains(&stalled) {
                store.get(newest, &mut out, &mut offsets, &mut head).unwrap();
                assert_eq!(head.messages, 1);
            }
            assert!(!reader.is_finished(), "it waits for the disk");
            stall.end();
            assert!(reader.join().unwrap(), "{stalled}");
        });
        store.close();
        while hear.recv().unwrap() != "closed" {}
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn nobody_waits_for_a_get_that_waits_for_queue_entries() {
        others_go_on_while("consumequeue", |store| {
            let (mut out, mut offsets, mut head) = (vec![0; 200_000], [0.0; 32], GetHead::default());
            let request = GetRequest { topic: b"orders", queue_id: 0, offset: 10, max: 32, max_bytes: 200_000, filter: b"" };
            store.get(request, &mut out, &mut offsets, &mut head).unwrap();
            head.messages == 32 && offsets[31] == 41.0
        });
    }

    #[test]
    fn nobody_waits_for_a_search_by_time_that_waits_for_the_log() {
        others_go_on_while("commitlog", |store| store.read(|reader| reader.offset_by_time(b"orders", 0, 0, Boundary::Lower)).unwrap() == 0);
    }

    #[test]
    fn nobody_waits_for_a_search_by_time_beside_the_lock() {
        for stalled in ["consumequeue", LOG_MAPPINGS] {
            others_go_on_while(stalled, |store| store.offset_by_time(b"orders", 0, 0, Boundary::Lower).unwrap() == 0);
        }
    }

    #[test]
    fn a_search_by_time_is_made_again_when_the_end_of_the_log_was_moved_back_meanwhile() {
        let path = cold_store();
        let (store, hear) = open(&path);
        cool_down(&path);
        let (_, entries) = store.read(|reader| reader.entries(b"orders", 0, 700, 1)).unwrap();
        let stall = &store.core.storage.stall;
        stall.spare_this_thread();
        for stalled in ["consumequeue", LOG_MAPPINGS] {
            put(&store, "another");
            stall.begin(stalled);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| store.offset_by_time(b"orders", 0, i64::MAX, Boundary::Upper).unwrap());
                stall.until_somebody_waits();
                store.core.lock().unwrap().as_mut().unwrap().writer().unwrap().truncate(entries[0].physical).unwrap();
                stall.end();
                assert_eq!(reader.join().unwrap(), 699, "{stalled}");
            });
        }
        store.close();
        while hear.recv().unwrap() != "closed" {}
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn nobody_waits_for_a_store_time_that_waits_for_the_log() {
        others_go_on_while("commitlog", |store| store.read(|reader| reader.time_of(b"orders", 0, 500)).unwrap().is_some());
    }

    #[test]
    fn nobody_waits_for_a_look_up_that_waits_for_the_index() {
        others_go_on_while("index", |store| {
            store.lookup(&asked(b"orders", [&b"k7"[..]]), 0, i64::MAX, 10, &mut [0.0], &mut Vec::new()).unwrap() == 1
        });
    }

    #[test]
    fn nobody_waits_for_entries_that_wait_for_queue_files() {
        others_go_on_while("consumequeue", |store| store.read(|reader| reader.entries(b"orders", 0, 50, 200)).unwrap().1.len() == 200);
    }

    /// Somebody opens a file; before it is kept, `change` has its path lead elsewhere. What is written then must be found there.
    fn a_change_while_a_file_is_opened(change: fn(&HostStorage)) {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("moraine-opened-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let made = HostStorage::open(&path, Access::READ_WRITE).unwrap();
        ["file", "other"].iter().for_each(|name| made.create(name, 20).unwrap());
        let storage = HostStorage::open(&path, Access::READ_WRITE).unwrap();
        storage.stall.begin_behind_open("file");
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| storage.read_at("file", 0, &mut [9; 20]).unwrap());
            storage.stall.until_somebody_waits();
            change(&storage);
            storage.stall.end();
            assert_eq!(reader.join().unwrap(), 20);
        });
        storage.write_at("file", 0, &[7; 20]).unwrap();
        assert_eq!(std::fs::read(path.join("file")).unwrap(), [7; 20]);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_file_that_is_removed_while_somebody_opens_it_is_not_written_to_later() {
        a_change_while_a_file_is_opened(|storage| {
            storage.remove("file").unwrap();
            // Made again without being kept.
            std::fs::write(storage.root().join("file"), [0; 20]).unwrap();
        });
    }

    #[test]
    fn a_file_that_is_replaced_while_somebody_opens_it_is_not_written_to_later() {
        a_change_while_a_file_is_opened(|storage| storage.rename("other", "file").unwrap());
    }

    #[test]
    fn a_file_that_another_process_replaces_while_somebody_opens_it_is_not_written_to_later() {
        a_change_while_a_file_is_opened(|storage| {
            std::fs::rename(storage.root().join("other"), storage.root().join("file")).unwrap();
            storage.stamp("file").unwrap();
        });
    }

    #[test]
    fn a_fetch_waits_in_a_thread_of_the_store() {
        let path = cold_store();
        let (store, hear) = open(&path);
        cool_down(&path);
        let stall = &store.core.storage.stall;
        stall.begin("consumequeue");
        let (topic, filter) = (b"orders".to_vec(), Vec::new());
        store.fetch(1, Wanted::Messages { topic, queue_id: 0, offset: 10, max: 32, max_bytes: 200_000, filter }).unwrap();
        stall.until_somebody_waits();
        put(&store, "new");
        store.request_flush();
        assert_eq!(hear.recv().unwrap(), "settled");
        stall.end();
        assert_eq!(hear.recv().unwrap(), "fetched");
        store.close();
        while hear.recv().unwrap() != "closed" {}
        std::fs::remove_dir_all(path).unwrap();
    }
}
