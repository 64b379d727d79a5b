//! Files that say they hold a terabyte, and hold nothing.

mod batch;
mod directory;

use std::fs::{self, File};
use std::sync::Arc;

use batch::batch;
use directory::Directory;
use moraine_core::engine::Engine;
use moraine_core::engine::put::{RESULT_HEADER, RESULT_STRIDE};
use moraine_core::options::Options;
use moraine_host::clock::HostClock;
use moraine_host::files::{Access, HostStorage};
use moraine_host::upkeep;

const TERABYTE: u64 = 1 << 40;
/// A store of this size needs a few.
const MAX_STEPS: u32 = 10_000;

fn options() -> Options {
    Options { segment_bytes: 1 << 20, queue_file_entries: 1000, index_slots: 100, index_entries: 1000, ..Options::default() }
}

fn open(directory: &Directory) -> (Arc<HostStorage>, Engine<HostStorage, HostClock>) {
    let storage = Arc::new(HostStorage::open(directory.path(), Access::READ_WRITE).unwrap());
    let engine = Engine::open(storage.clone(), HostClock::System, options(), &mut |_| {}).unwrap();
    (storage, engine)
}

/// A store that was killed after its queues were written.
fn killed() -> Directory {
    let directory = Directory::new();
    let (storage, mut store) = open(&directory);
    let bodies: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 50]).collect();
    let mut results = vec![0.0; RESULT_HEADER + RESULT_STRIDE * bodies.len()];
    store.writer().unwrap().put(&batch("T", &bodies), &mut results).unwrap();
    while let Some(plan) = store.writer().unwrap().plan_behind() {
        plan.run(storage.as_ref()).unwrap();
        store.writer().unwrap().wrote_behind(plan);
    }
    directory
}

/// Verifying comes to its end, and names the file.
fn verified(directory: &Directory, file: &str) {
    for deep in [true, false] {
        let mut steps = 0;
        let verified = upkeep::verify(directory.path(), &options(), deep, None, &mut |_| {
            steps += 1;
            steps < MAX_STEPS
        });
        let verified = verified.unwrap();
        assert!(verified.complete, "{file}, deep: {deep}");
        assert!(!deep || verified.faults.iter().any(|fault| fault.finding.file == file), "{file}: {:?}", verified.faults);
    }
}

#[test]
fn a_queue_file_of_a_terabyte_of_zeros_is_not_walked_through() {
    for file in [
        "consumequeue/T/0/00000000000000000000",
        "consumequeue/T/0/00000000000000020000",
        "batchconsumequeue/B/0/00000000000000000000",
        "consumequeue_ext/T/0/00000000000000000000",
    ] {
        let directory = killed();
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap().set_len(TERABYTE).unwrap();
        verified(&directory, file);
        let storage = Arc::new(HostStorage::open(directory.path(), Access::READ_WRITE).unwrap());
        let refused = Engine::open(storage, HostClock::System, options(), &mut |_| {}).err().unwrap();
        assert!(refused.message.contains(file.split('/').next().unwrap()), "{refused:?}");
        assert_eq!(fs::metadata(&path).unwrap().len(), TERABYTE);
    }
}
