//! The engine behind its lock: put, get, group commit, close.

mod batch;
mod directory;
mod store;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread;
use std::time::{Duration, Instant};

use directory::Directory;
use moraine_core::engine::ScanItem;
use moraine_core::engine::lookup::asked;
use moraine_core::error::Code;
use moraine_core::options::{FlushMode, Options};
use moraine_host::clock::HostClock;
use moraine_host::shared::{GetHead, GetRequest, OpenSettings, Shared, State, Wanted};
use store::{close, get, open, put, settings, try_open};

fn bodies(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("body {i}").into_bytes()).collect()
}

fn with(path: &std::path::Path, change: impl FnOnce(&mut Options)) -> OpenSettings {
    let mut settings = settings(path);
    change(&mut settings.options);
    settings
}

#[test]
fn a_store_can_be_used_from_every_thread() {
    fn shareable<T: Send + Sync + 'static>() {}
    shareable::<Shared>();
}

#[test]
fn what_was_put_is_got_looked_up_and_scanned() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    let end = put(&store, "orders", &bodies(10)).unwrap();
    assert_eq!((store.positions().end, store.positions().visible, store.positions().durable), (end, end, 0));

    let (head, records) = get(&store, "orders", 4, 3).unwrap();
    assert_eq!((head.messages, head.next, head.min, head.max, head.needed), (3, 7, 0, 10, 0));
    assert!(records.windows(6).any(|window| window == b"body 4") && records.windows(6).any(|window| window == b"body 6"));

    let mut into = Vec::new();
    let mut counts = [9.0; 4];
    let keys = [&b"k-7"[..], b"k-99", b"", b"k-1"];
    assert_eq!(store.lookup(&asked(b"orders", keys), 0, i64::MAX, 10, &mut counts, &mut into).unwrap(), 2);
    assert_eq!(counts, [1.0, 0.0, 0.0, 1.0]);
    let place = |body: &[u8]| into.windows(6).position(|window| window == body);
    assert!(place(b"body 7").is_some() && place(b"body 7") < place(b"body 1"));
    assert_eq!(store.lookup(&asked(b"orders", [&b"k-99"[..]]), 0, i64::MAX, 10, &mut counts, &mut into).unwrap(), 0);
    assert!(into.is_empty());

    assert!(store.at(0, &mut into).unwrap().is_some());
    assert_eq!(store.at(1, &mut into).ok().flatten(), None);

    let mut items = Vec::new();
    let mut from = 0;
    let mut seen = 0;
    loop {
        from = store.scan(from, u64::MAX, 4, usize::MAX, &mut into, &mut items).unwrap();
        if items.is_empty() {
            break;
        }
        assert!(items.iter().all(|item| matches!(item, ScanItem::Message { .. })));
        seen += items.len();
    }
    assert_eq!((seen, from), (10, end));
    close(&store, &listener).unwrap();
}

#[test]
fn entries_of_a_file_that_is_read_again_and_again_are_those_that_it_has() {
    const MESSAGES: usize = 900;
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    put(&store, "orders", &bodies(MESSAGES)).unwrap();
    close(&store, &listener).unwrap();
    let (store, listener) = open(settings(directory.path()));
    let is_body = |offset: usize| {
        let (head, record) = get(&store, "orders", offset as u64, 1).unwrap();
        let body = format!("body {offset}");
        head.messages == 1 && record.windows(body.len()).any(|window| window == body.as_bytes())
    };
    let read_all = || assert!((0..MESSAGES).all(|n| is_body(n * 7 % MESSAGES)));
    let file = directory.path().canonicalize().unwrap().join("consumequeue/orders/0/00000000000000000000");
    let is_mapped = || fs::read_to_string("/proc/self/maps").unwrap().contains(&*file.to_string_lossy());
    read_all();
    assert_eq!(is_mapped(), keeps_blocks(directory.path()), "mapped where that is safe");
    // More comes into the file that is mapped.
    put(&store, "orders", &bodies(50)).unwrap();
    store.request_flush();
    listener.wait_for("a flush", |told| !told.settled.is_empty());
    read_all();
    assert_eq!(get(&store, "orders", 940, 1).unwrap().0.messages, 1);
    // Somebody has cut it: an answer without messages, and no fault.
    let held = fs::read(&file).unwrap();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    assert_eq!(get(&store, "orders", 10, 1).unwrap().0.messages, 0);
    assert!(!is_mapped(), "a mapping that has faulted is of no use");
    fs::write(&file, held).unwrap();
    read_all();
    // Its topic goes, and comes again with other messages.
    store.delete_topic(7, "orders".into()).unwrap();
    listener.wait_for("the end of the topic", |told| !told.done.is_empty());
    assert!(!is_mapped() && get(&store, "orders", 10, 1).unwrap().0.messages == 0);
    put(&store, "orders", &bodies(20)).unwrap();
    let (head, record) = get(&store, "orders", 960, 1).unwrap();
    assert_eq!((head.messages, head.min, head.max), (1, 950, 970));
    assert!(record.windows(7).any(|window| window == b"body 10"));
    assert_eq!(get(&store, "orders", 10, 1).unwrap().0.messages, 0);
    close(&store, &listener).unwrap();
}

/// Whether files of that file system are mapped.
fn keeps_blocks(path: &std::path::Path) -> bool {
    const KINDS: [i64; 3] = [0xEF53, 0x5846_5342, 0x0102_1994];
    rustix::fs::statfs(path).is_ok_and(|system| KINDS.contains(&system.f_type))
}

#[test]
fn a_look_that_failed_changes_nothing_for_those_that_come_after_it() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    put(&store, "orders", &bodies(3500)).unwrap();
    close(&store, &listener).unwrap();
    drop(store);
    let (store, listener) = open(settings(directory.path()));
    let file = directory.path().join("consumequeue/orders/0/00000000000000020000");
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    fs::create_dir(&file).unwrap();
    for max in [1, 100] {
        assert_eq!(get(&store, "orders", 1500, max).unwrap_err().code, Code::Io);
    }
    fs::remove_dir(&file).unwrap();
    fs::rename(&away, &file).unwrap();
    for number in 0..3 {
        let (mut out, mut offsets, mut head) = ([0; 5000], [0.0; 5], GetHead::default());
        let request = GetRequest { topic: b"orders", queue_id: 0, offset: 1500, max: 5, max_bytes: 5000, filter: b"" };
        if store.get_in_memory(request, &mut out, &mut offsets, &mut head).unwrap() {
            assert_eq!((head.status, head.messages, head.max), (0, 5, 3500));
        }
        let (topic, filter) = (b"orders".to_vec(), Vec::new());
        store.fetch(number, Wanted::Messages { topic, queue_id: 0, offset: 1500, max: 5, max_bytes: 5000, filter }).unwrap();
        let told = listener.wait_for("an answer", |told| told.fetched.len() > number as usize);
        let (head, _) = told.fetched[number as usize].1.as_ref().unwrap();
        assert_eq!((head.status, head.messages, head.max), (0, 5, 3500));
    }
    assert_eq!(get(&store, "orders", 1500, 5).unwrap().0.messages, 5);
    close(&store, &listener).unwrap();
}

#[test]
fn a_buffer_too_small_says_what_is_needed() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    put(&store, "orders", &[vec![1; 1000]]).unwrap();
    let mut head = moraine_host::shared::GetHead::default();
    let request = moraine_host::shared::GetRequest { topic: b"orders", queue_id: 0, offset: 0, max: 1, max_bytes: 1, filter: &[] };
    store.get(request, &mut [0; 100], &mut [0.0], &mut head).unwrap();
    assert!(head.messages == 0 && head.needed > 1000, "{head:?}");
    close(&store, &listener).unwrap();
}

#[test]
fn a_closed_store_opens_again_with_everything_in_it() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    let end = put(&store, "orders", &bodies(100)).unwrap();
    close(&store, &listener).unwrap();
    assert_eq!(listener.told().settled.last(), Some(&(end, None)), "those who wait for a flush are told before the close");
    assert!(!directory.path().join("abort").exists());
    assert!(!directory.path().join("moraine/owner").exists());
    assert_eq!(fs::read(directory.path().join("lock")).unwrap(), b"mrn1", "RocketMQ was not there");

    let (store, listener) = open(settings(directory.path()));
    assert_eq!(store.positions().end, end);
    assert_eq!(get(&store, "orders", 99, 10).unwrap().0.messages, 1);
    assert!(store.read(|reader| reader.health()).unwrap().clean);
    close(&store, &listener).unwrap();
}

#[test]
fn a_store_dropped_without_a_close_is_left_as_by_a_killed_process() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    let end = put(&store, "orders", &bodies(100)).unwrap();
    drop(store);
    assert!(listener.told().closed.is_none());
    assert!(directory.path().join("abort").exists());

    let (store, listener) = open(settings(directory.path()));
    assert_eq!(store.positions().end, end);
    assert!(!store.read(|reader| reader.health()).unwrap().clean);
    assert_eq!(get(&store, "orders", 0, 100).unwrap().0.messages, 100);
    close(&store, &listener).unwrap();
}

#[test]
fn a_flush_makes_everything_put_so_far_durable() {
    let directory = Directory::new();
    let (store, listener) = open(with(directory.path(), |options| options.flush = FlushMode::Sync));
    let end = put(&store, "orders", &bodies(10)).unwrap();
    assert_eq!((store.positions().durable, store.positions().visible), (0, 0));
    assert_eq!(get(&store, "orders", 0, 10).unwrap().0.messages, 0, "not visible before");
    store.request_flush();
    let told = listener.wait_for("the flush", |told| told.settled.iter().any(|(durable, _)| *durable == end));
    assert!(told.settled.iter().all(|(_, error)| error.is_none()));
    assert_eq!((store.positions().durable, store.positions().visible), (end, end));
    assert_eq!(get(&store, "orders", 0, 10).unwrap().0.messages, 10);

    let before = listener.told().settled.len();
    store.request_flush();
    let told = listener.wait_for("the second flush", |told| told.settled.len() > before);
    assert_eq!(told.settled.last(), Some(&(end, None)), "settled also when nothing was left to sync");
    close(&store, &listener).unwrap();
}

#[test]
fn a_synchronous_store_that_nobody_flushes_does_not_hold_ever_more_entries_in_memory() {
    let directory = Directory::new();
    let (store, listener) = open(with(directory.path(), |options| options.flush = FlushMode::Sync));
    let bodies = bodies(1000);
    for _ in 0..40 {
        put(&store, "orders", &bodies).unwrap(); // two entries a message: 80,000 in all
    }
    listener.wait_for("a flush that was not asked for", |told| told.settled.iter().any(|(durable, _)| *durable > 0));
    close(&store, &listener).unwrap();
}

#[test]
fn many_requests_share_a_sync() {
    let directory = Directory::new();
    let (store, listener) = open(with(directory.path(), |options| options.flush = FlushMode::Sync));
    let end = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let ends = (0..200).map(|_| {
                        let end = put(&store, "orders", &bodies(1)).unwrap();
                        store.request_flush();
                        end
                    });
                    ends.max().unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    });
    let told = listener.wait_for("the last group", |told| told.settled.iter().any(|(durable, _)| *durable == end));
    assert!(told.settled.len() < 1600, "{} settlements for 1600 requests", told.settled.len());
    assert!(told.settled.is_sorted_by_key(|(durable, _)| *durable), "the durable position never goes back");
    close(&store, &listener).unwrap();
}

#[test]
fn an_asynchronous_store_flushes_by_itself() {
    let directory = Directory::new();
    let (store, listener) = open(OpenSettings { flush_interval: Duration::from_millis(1), ..settings(directory.path()) });
    for _ in 0..3 {
        let end = put(&store, "orders", &bodies(10)).unwrap();
        listener.wait_for("the interval", |told| told.settled.iter().any(|(durable, _)| *durable == end));
    }
    close(&store, &listener).unwrap();
}

#[test]
fn entries_are_written_behind() {
    let directory = Directory::new();
    // Enough to be asked for before any interval: queue entries and index entries together.
    let (store, listener) = open(settings(directory.path()));
    for _ in 0..70 {
        put(&store, "orders", &bodies(1000)).unwrap();
    }
    let path = directory.path().join("consumequeue/orders/0/00000000000000000000");
    for _ in 0..3000 {
        if path.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 20_000);
    close(&store, &listener).unwrap();
}

/// A queue checkpoint holds back the entries that came since it was begun. Behind it they go to their files, too, though
/// nobody puts any more: with thousands of queues it takes longer than an interval, so that it is begun in one and ended in
/// another.
#[test]
fn entries_that_a_checkpoint_held_back_are_written_behind_it() {
    for _ in 0..2 {
        let directory = Directory::new();
        let (store, listener) = open(OpenSettings { flush_interval: Duration::from_millis(10), ..settings(directory.path()) });
        for queue in 0..4000 {
            put(&store, &format!("t{queue}"), &bodies(1)).unwrap();
        }
        let waiting = || store.read(|reader| Ok(reader.stats().waiting_entries)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while waiting() > 0 {
            assert!(Instant::now() < deadline, "{} entries wait, and nobody writes them", waiting());
            thread::sleep(Duration::from_millis(5));
        }
        close(&store, &listener).unwrap();
    }
}

#[test]
fn a_failed_sync_poisons_the_store() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    put(&store, "orders", &bodies(10)).unwrap();
    // The sync of the log's directory, due after its first segment was made, meets no directory.
    fs::rename(directory.path().join("commitlog"), directory.path().join("elsewhere")).unwrap();
    store.request_flush();
    let told = listener.wait_for("the failure", |told| !told.settled.is_empty());
    let (durable, error) = told.settled[0].clone();
    let error = error.unwrap();
    assert_eq!((durable, error.code), (0, Code::Poisoned));
    assert!(error.message.contains("commitlog"), "{error}");
    assert_eq!(store.state(), State::Poisoned);
    assert_eq!(put(&store, "orders", &bodies(1)).unwrap_err().code, Code::Poisoned);
    assert_eq!(get(&store, "orders", 0, 10).unwrap().0.messages, 0, "nothing above the durable position is shown any more");

    store.request_flush();
    let told = listener.wait_for("the second failure", |told| told.settled.len() > 1);
    assert_eq!(told.settled[1].1.as_ref().map(|error| error.code), Some(Code::Poisoned));
    assert_eq!(close(&store, &listener).unwrap_err().code, Code::Poisoned);
    assert_eq!(store.state(), State::Closed);

    fs::rename(directory.path().join("elsewhere"), directory.path().join("commitlog")).unwrap();
    let (store, listener) = open(settings(directory.path()));
    assert_eq!(get(&store, "orders", 0, 10).unwrap().0.messages, 10, "opening again recovers");
    close(&store, &listener).unwrap();
}

#[test]
fn a_failed_write_behind_poisons_the_store() {
    let directory = Directory::new();
    let (store, listener) = open(OpenSettings { flush_interval: Duration::from_millis(1), ..settings(directory.path()) });
    fs::write(directory.path().join("consumequeue"), b"in the way").unwrap();
    put(&store, "orders", &bodies(10)).unwrap();
    let told = listener.wait_for("the failure", |told| told.settled.iter().any(|(_, error)| error.is_some()));
    let error = told.settled.iter().find_map(|(_, error)| error.clone()).unwrap();
    assert_eq!(error.code, Code::Poisoned);
    assert_eq!(store.state(), State::Poisoned);
    assert_eq!(close(&store, &listener).unwrap_err().code, Code::Poisoned);
}

#[test]
fn a_closed_store_answers_that_it_is_closed() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    let end = put(&store, "orders", &bodies(1)).unwrap();
    close(&store, &listener).unwrap();
    store.close();
    store.request_flush();
    assert_eq!(store.state(), State::Closed);
    assert_eq!(put(&store, "orders", &bodies(1)).unwrap_err().code, Code::Closed);
    assert_eq!(get(&store, "orders", 0, 1).unwrap_err().code, Code::Closed);
    assert_eq!(store.at(0, &mut Vec::new()).unwrap_err().code, Code::Closed);
    assert_eq!(store.lookup(&asked(b"orders", []), 0, 1, 1, &mut [], &mut Vec::new()).unwrap_err().code, Code::Closed);
    assert_eq!(store.scan(0, 1, 1, 1, &mut Vec::new(), &mut Vec::new()).unwrap_err().code, Code::Closed);
    assert_eq!(store.read(|_| Ok(())).unwrap_err().code, Code::Closed);
    assert_eq!((store.positions().end, store.positions().durable), (end, end));
}

#[test]
fn a_store_is_open_once_and_says_who_has_it() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    let error = try_open(settings(directory.path())).err().unwrap();
    assert_eq!(error.code, Code::Locked);
    assert!(error.message.contains("this process"), "{error}");
    close(&store, &listener).unwrap();
    let (store, listener) = open(settings(directory.path()));
    close(&store, &listener).unwrap();
}

/// The files below a directory, and what is in them.
fn files(root: &std::path::Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => _ = files.insert(path.clone(), fs::read(path).unwrap()),
            }
        }
    }
    files
}

#[test]
fn who_is_refused_has_touched_nothing() {
    let directory = Directory::new();
    let (store, listener) = open(settings(directory.path()));
    put(&store, "orders", &bodies(10)).unwrap();
    close(&store, &listener).unwrap();
    let (store, listener) = open(settings(directory.path()));
    put(&store, "orders", &bodies(10)).unwrap();
    let before = files(directory.path());
    assert_eq!(try_open(settings(directory.path())).err().unwrap().code, Code::Locked);
    let touched: Vec<_> = files(directory.path()).into_iter().filter(|(path, bytes)| before.get(path) != Some(bytes)).collect();
    assert!(
        touched.is_empty() && files(directory.path()).len() == before.len(),
        "{:?}",
        touched.iter().map(|(path, _)| path).collect::<Vec<_>>()
    );
    put(&store, "orders", &bodies(10)).unwrap();
    close(&store, &listener).unwrap();
    let (store, listener) = open(settings(directory.path()));
    assert!(store.read(|reader| reader.health()).unwrap().clean);
    assert_eq!(get(&store, "orders", 0, 100).unwrap().0.messages, 30);
    close(&store, &listener).unwrap();
}

#[test]
fn a_read_only_store_sees_a_live_one_and_changes_nothing() {
    let directory = Directory::new();
    let (writer, listener) = open(settings(directory.path()));
    put(&writer, "orders", &bodies(10)).unwrap();
    let (reader, reader_listener) = open(with(directory.path(), |options| options.read_only = true));
    assert_eq!(get(&reader, "orders", 0, 100).unwrap().0.messages, 10);
    assert_eq!(put(&reader, "orders", &bodies(1)).unwrap_err().code, Code::ReadOnly);
    close(&reader, &reader_listener).unwrap();
    put(&writer, "orders", &bodies(1)).unwrap();
    close(&writer, &listener).unwrap();
}

#[test]
fn a_directory_that_is_no_store_is_refused_and_left_alone() {
    let directory = Directory::new();
    let missing = directory.path().join("missing");
    for settings in [with(&missing, |options| options.create = false), with(&missing, |options| options.read_only = true)] {
        let error = try_open(settings).err().unwrap();
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
    }
    assert!(!missing.exists());

    let error = try_open(with(directory.path(), |options| options.create = false)).err().unwrap();
    assert!(error.message.contains("empty"), "{error}");
    fs::write(directory.path().join("thesis.tex"), b"...").unwrap();
    let error = try_open(settings(directory.path())).err().unwrap();
    assert_eq!(error.code, Code::InvalidArgument);
    assert!(error.message.contains("thesis.tex"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

    let error = try_open(settings(&directory.path().join("thesis.tex"))).err().unwrap();
    assert_eq!(error.code, Code::Io, "{error}");
}

#[test]
fn a_store_that_cannot_be_opened_is_left_without_a_lock() {
    let directory = Directory::new();
    fs::create_dir_all(directory.path().join("compaction/compactionLog/topic")).unwrap();
    let error = try_open(settings(directory.path())).err().unwrap();
    assert_eq!(error.code, Code::UnsupportedFormat);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "what taking the lock had made is gone again");
}

#[test]
fn a_driven_clock_sets_the_store_time() {
    let directory = Directory::new();
    let time = Arc::new(AtomicI64::new(1_700_000_000_000));
    let (store, listener) = open(OpenSettings { clock: HostClock::Driven(time), ..settings(directory.path()) });
    put(&store, "orders", &bodies(1)).unwrap();
    let stored = store.read(|reader| reader.time_of(b"orders", 0, 0)).unwrap();
    assert_eq!(stored, Some(1_700_000_000_000));
    close(&store, &listener).unwrap();
}
