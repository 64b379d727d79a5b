//! A log copied into a store on a real file system, taken back, and copied again.

mod batch;
mod directory;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use batch::batch;
use directory::Directory;
use moraine_core::engine::Engine;
use moraine_core::engine::put::{RESULT_HEADER, RESULT_STRIDE};
use moraine_core::options::Options;
use moraine_host::clock::HostClock;
use moraine_host::files::{Access, HostStorage};

/// RocketMQ sends this much at once (haTransferBatchSize).
const PIECE: usize = 32 * 1024;

type Store = Engine<HostStorage, HostClock>;

fn open(path: &Path) -> (Arc<HostStorage>, Store) {
    let storage = Arc::new(HostStorage::open(path, Access::READ_WRITE).unwrap());
    let options = Options { segment_bytes: 1 << 20, queue_file_entries: 1000, index_slots: 100, index_entries: 1000, ..Options::default() };
    let engine = Engine::open(storage.clone(), HostClock::System, options, &mut |_| {}).unwrap();
    (storage, engine)
}

fn write_behind(storage: &HostStorage, store: &mut Store) {
    while let Some(plan) = store.writer().unwrap().plan_behind() {
        plan.run(storage).unwrap();
        store.writer().unwrap().wrote_behind(plan);
    }
}

fn copy(from: &Store, to: &mut Store) {
    let mut piece = Vec::new();
    loop {
        let at = to.reader().raw_end();
        from.reader().read_log(at, PIECE, &mut piece).unwrap();
        if piece.is_empty() {
            return;
        }
        to.writer().unwrap().append_log(at, &piece).unwrap();
    }
}

/// Contents of RocketMQ's files; index files, whose names are times, by their order.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for dir in ["commitlog", "consumequeue/T/0", "index"] {
        let mut paths: Vec<_> = fs::read_dir(root.join(dir)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for (n, path) in paths.iter().enumerate() {
            let name = if dir == "index" { n.to_string() } else { path.file_name().unwrap().to_string_lossy().into_owned() };
            found.insert(format!("{dir}/{name}"), fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_copy_that_was_taken_back_and_made_again_has_the_same_files() {
    let (here, there) = (Directory::new(), Directory::new());
    let (leader_storage, mut leader) = open(here.path());
    let mut starts = Vec::new();
    for round in 0..10 {
        let bodies: Vec<Vec<u8>> = (0..300).map(|n| vec![b'x'; 500 + (round * 300 + n) % 1500]).collect();
        let mut results = vec![0.0; RESULT_HEADER + RESULT_STRIDE * bodies.len()];
        leader.writer().unwrap().put(&batch("T", &bodies), &mut results).unwrap();
        starts.extend(results[RESULT_HEADER..].chunks_exact(RESULT_STRIDE).map(|numbers| numbers[0] as u64));
    }
    let end = leader.reader().positions().end;
    assert!(end > 3 << 20, "several segments");

    let (storage, mut follower) = open(there.path());
    for (n, kept) in [2999, 1700, 1, 0, 2000].into_iter().enumerate() {
        copy(&leader, &mut follower);
        assert_eq!(follower.reader().positions().end, end);
        if n % 2 == 0 {
            write_behind(&storage, &mut follower);
        }
        follower.writer().unwrap().truncate(starts[kept]).unwrap();
        assert_eq!(follower.reader().offsets(b"T", 0).next, kept as u64);
        let last = fs::read_dir(there.path().join("commitlog")).unwrap().map(|entry| entry.unwrap().file_name()).max().unwrap();
        assert_eq!(last.to_string_lossy().parse::<u64>().unwrap(), starts[kept] >> 20 << 20, "later files are gone");
    }
    copy(&leader, &mut follower);
    follower.writer().unwrap().close().unwrap();
    leader.writer().unwrap().close().unwrap();
    let (copied, original) = (files(there.path()), files(here.path()));
    assert_eq!(copied.keys().collect::<Vec<_>>(), original.keys().collect::<Vec<_>>());
    assert!(copied == original, "contents differ");
    [storage, leader_storage].iter().for_each(|storage| storage.stop_background());
}
