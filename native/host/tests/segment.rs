//! A file of the commit log: what is written is read, from the mapping or without it.

mod directory;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use directory::Directory;
use moraine_core::error::IoKind;
use moraine_core::storage::{Segment, Storage};
use moraine_host::Ahead;
use moraine_host::files::{Access, HostStorage};
use moraine_host::segment::HostSegment;

const MIB: u64 = 1 << 20;

fn storage(directory: &Directory) -> HostStorage {
    HostStorage::open(directory.path(), Access::READ_WRITE).unwrap()
}

fn write(segment: &HostSegment, at: u64, bytes: &[u8]) {
    segment.reserve(at + bytes.len() as u64).unwrap();
    segment.fill(at, bytes.len(), |out| out.copy_from_slice(bytes)).unwrap();
}

fn read(segment: &HostSegment, at: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0xEE; len];
    segment.read_at(at, &mut out).unwrap();
    out
}

#[test]
fn a_segment_is_created_once_at_full_size_and_reads_as_zero() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", 3 * MIB).unwrap();
    assert_eq!(segment.size(), 3 * MIB);
    assert_eq!(fs::metadata(directory.path().join("00")).unwrap().len(), 3 * MIB);
    assert_eq!(read(&segment, 0, 4096), vec![0; 4096]);
    assert_eq!(storage.create_segment("00", MIB).err().map(|e| e.kind), Some(IoKind::Exists));
}

#[test]
fn what_was_filled_is_read_by_the_segment_and_by_everybody_else() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", MIB).unwrap();
    write(&segment, 4090, b"over a page border");
    assert_eq!(read(&segment, 4090, 18), b"over a page border");
    assert_eq!(&fs::read(directory.path().join("00")).unwrap()[4090..4108], b"over a page border");
    segment.sync(4090, 4108).unwrap();
    drop(segment);
    let again = storage.open_segment("00").unwrap();
    assert_eq!(read(&again, 4090, 18), b"over a page border");
}

#[test]
fn every_way_ahead_of_the_writer_gives_the_same_file() {
    for ahead in [Ahead::Synced, Ahead::Written, Ahead::Allocated] {
        let directory = Directory::new();
        let storage = HostStorage::open(directory.path(), Access { ahead, ..Access::READ_WRITE }).unwrap();
        let segment = storage.create_segment("00", 2 * MIB).unwrap();
        for i in 0..2048 {
            write(&segment, i * 1024, &[i as u8; 1024]);
        }
        segment.sync(0, 2 * MIB).unwrap();
        let file = fs::read(directory.path().join("00")).unwrap();
        assert!(file.chunks(1024).enumerate().all(|(i, chunk)| chunk.iter().all(|&byte| byte == i as u8)), "{ahead:?}");
    }
}

#[test]
fn small_and_large_batches_stand_beside_each_other() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", 32 * MIB).unwrap();
    let mut at = 0;
    let sizes = [100, 20_000, 1_000, 100, 300_000, 16_383, 16_384, 5_000_000, 10, 70_000];
    let mut all = Vec::new();
    for (i, &size) in sizes.iter().cycle().take(50).enumerate() {
        let bytes = vec![i as u8 + 1; size];
        write(&segment, at, &bytes);
        at += size as u64;
        all.extend_from_slice(&bytes);
    }
    storage.stop_background();
    assert!(read(&segment, 0, all.len()) == all, "through the mapping");
    assert!(fs::read(directory.path().join("00")).unwrap()[..all.len()] == all, "in the file");
}

/// KiB of the files made in a directory that stand in the page table of this process.
fn mapped_kib(directory: &std::path::Path) -> u64 {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = smaps.lines();
    let mut kib = 0;
    while let Some(line) = lines.next() {
        if line.contains(&format!("{}/", directory.display())) {
            let rss = lines.find(|line| line.starts_with("Rss:")).unwrap();
            kib += rss.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
    }
    kib
}

#[test]
fn pages_that_were_taken_out_keep_what_was_stored() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", 32 * MIB).unwrap();
    // Or it would enter pages ahead at the same time.
    storage.stop_background();
    let path = fs::canonicalize(directory.path()).unwrap();
    let mut all = Vec::new();
    for round in 0..4u8 {
        for i in 0..2048u64 {
            let bytes = vec![round ^ i as u8 | 1; 1024];
            write(&segment, all.len() as u64, &bytes);
            all.extend_from_slice(&bytes);
        }
        let before = mapped_kib(&path);
        assert!(before >= 1024, "the writer stores into pages: {before} KiB are mapped");
        segment.sync(0, all.len() as u64).unwrap();
        let after = mapped_kib(&path);
        assert!(after < 512, "{after} KiB are mapped after the sync, {before} before");
    }
    assert!(read(&segment, 0, all.len()) == all, "through the mapping");
    assert!(fs::read(path.join("00")).unwrap()[..all.len()] == all, "in the file");
}

#[test]
fn pages_ahead_of_the_writer_are_entered() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", 64 * MIB).unwrap();
    let path = fs::canonicalize(directory.path()).unwrap();
    for at in 0..4096 {
        write(&segment, at * 1024, &[2; 1024]);
    }
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while mapped_kib(&path) <= 4096 + 64 {
        assert!(std::time::Instant::now() < until, "4096 KiB were written, {} are mapped", mapped_kib(&path));
        std::thread::yield_now();
    }
}

#[test]
fn ranges_outside_of_the_segment_are_errors() {
    let directory = Directory::new();
    let segment = storage(&directory).create_segment("00", 8192).unwrap();
    for (at, len) in [(8192, 1), (0, 8193), (u64::MAX, 2), (u64::MAX - 1, 1)] {
        assert!(segment.read_at(at, &mut vec![0; len]).is_err(), "read {len} at {at}");
        assert!(segment.fill(at, len, |_| ()).is_err(), "fill {len} at {at}");
    }
    assert!(segment.reserve(8193).is_err());
    assert!(segment.zero_from(8193).is_err());
    assert_eq!(read(&segment, 8192, 0), b"");
}

#[test]
fn a_truncated_segment_answers_with_errors() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", MIB).unwrap();
    write(&segment, 0, &[7; 4096]);
    write(&segment, 8192, &[8; 4096]);
    OpenOptions::new().write(true).open(directory.path().join("00")).unwrap().set_len(4096).unwrap();

    let failed = segment.read_at(8192, &mut [0; 4096]).unwrap_err();
    assert!(failed.reason.contains("4096"), "{}", failed.reason);
    assert_eq!(read(&segment, 0, 4096), vec![7; 4096], "what is left can still be read");
    for len in [10, 100_000] {
        let failed = segment.fill(0, len, |out| out.fill(1)).unwrap_err();
        assert!(failed.reason.contains("cut shorter"), "{len}: {}", failed.reason);
    }
    assert_eq!(fs::metadata(directory.path().join("00")).unwrap().len(), 4096, "and nobody has made it longer again");

    // A store of a mapping that never read: the first fault is the writer's.
    let other = storage.create_segment("01", MIB).unwrap();
    write(&other, 0, &[7; 4096]);
    OpenOptions::new().write(true).open(directory.path().join("01")).unwrap().set_len(0).unwrap();
    assert!(other.fill(8192, 10, |out| out.fill(1)).is_err());
    assert!(other.read_at(0, &mut [0; 1]).is_err());

    let large = storage.create_segment("02", MIB).unwrap();
    OpenOptions::new().write(true).open(directory.path().join("02")).unwrap().set_len(0).unwrap();
    assert!(large.fill(0, 100_000, |out| out.fill(1)).is_err());
}

#[test]
fn telling_of_what_will_be_copied_reads_nothing_and_fails_nowhere() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", MIB).unwrap();
    write(&segment, 4000, b"here");
    let ranges =
        [(0, 1), (4000, 200), (MIB - 1, 1), (MIB - 1, 4096), (MIB, 10), (MIB + 1, 10), (u64::MAX, u64::MAX), (0, u64::MAX), (5, 0)];
    ranges.iter().for_each(|&(at, len)| segment.will_copy(at, len));
    assert_eq!(read(&segment, 4000, 4), b"here");
    // Pages that are no more: a hint is no access, which would fault.
    let file = OpenOptions::new().write(true).open(directory.path().join("00")).unwrap();
    file.set_len(0).unwrap();
    ranges.iter().for_each(|&(at, len)| segment.will_copy(at, len));
    file.set_len(MIB).unwrap();
    assert_eq!(read(&segment, 4000, 4), [0; 4], "nothing has faulted: the mapping is read on");
}

#[test]
fn readers_and_the_writer_share_a_segment() {
    const RECORD: u64 = 1000;
    const RECORDS: u64 = 8000;
    let directory = Directory::new();
    let segment = storage(&directory).create_segment("00", RECORD * RECORDS).unwrap();
    let end = Arc::new(AtomicU64::new(0));
    let record = |i: u64| -> Vec<u8> { (0..RECORD).map(|j| (i.wrapping_mul(31) ^ j) as u8 | 1).collect() };
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (segment, end) = (&segment, &end);
            scope.spawn(move || {
                let mut random = reader + 1u64;
                while end.load(Ordering::Acquire) < RECORDS {
                    let visible = end.load(Ordering::Acquire).max(1);
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let i = (random >> 33) % visible;
                    if i < end.load(Ordering::Acquire) {
                        assert_eq!(read(segment, i * RECORD, RECORD as usize), record(i), "record {i}");
                    }
                }
            });
        }
        for i in 0..RECORDS {
            write(&segment, i * RECORD, &record(i));
            end.store(i + 1, Ordering::Release);
        }
    });
    for i in 0..RECORDS {
        assert_eq!(read(&segment, i * RECORD, RECORD as usize), record(i), "record {i}, after the background has written its zeros");
    }
}

#[test]
fn the_writer_has_storage_under_it_and_the_frontier_runs_ahead() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", 256 * MIB).unwrap();
    segment.reserve(100).unwrap();
    let blocks = || fs::metadata(directory.path().join("00")).unwrap().blocks() * 512;
    assert!(blocks() >= MIB, "one step at least: {}", blocks());
    storage.stop_background();
    assert!(blocks() <= 80 * MIB, "a bounded window: {}", blocks());
    // Without the background thread the writer goes on by itself.
    write(&segment, 200 * MIB, &[5; 4096]);
    assert_eq!(read(&segment, 200 * MIB, 4096), vec![5; 4096]);
}

#[test]
fn zeroing_keeps_what_lies_before_and_takes_what_lies_behind() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", 4 * MIB).unwrap();
    write(&segment, 0, &vec![9; 3 * MIB as usize]);
    drop(segment);
    let segment = storage.open_segment("00").unwrap();
    segment.zero_from(MIB + 10).unwrap();
    let file = fs::read(directory.path().join("00")).unwrap();
    assert_eq!(file.len() as u64, 4 * MIB);
    let border = MIB as usize + 10;
    assert!(file[..border].iter().all(|&byte| byte == 9) && file[border..].iter().all(|&byte| byte == 0));
    assert_eq!(read(&segment, MIB + 8, 4), [9, 9, 0, 0], "the mapping shows it too");
    write(&segment, MIB + 10, &[4; 100]);
    storage.stop_background();
    assert_eq!(read(&segment, MIB + 8, 104), [&[9, 9], &[4; 100][..], &[0, 0]].concat());
}

#[test]
fn a_tail_of_zeros_is_left_alone() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", MIB).unwrap();
    write(&segment, 0, &[9; 5000]);
    segment.sync(0, 5000).unwrap();
    drop(segment);
    let path = directory.path().join("00");
    let before = fs::metadata(&path).unwrap();
    storage.open_segment("00").unwrap().zero_from(5000).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.mtime_nsec(), before.ctime_nsec(), before.blocks()), (after.mtime_nsec(), after.ctime_nsec(), after.blocks()));
}

#[test]
fn zeroing_again_takes_zeros_for_nothing_and_leaves_room_that_nothing_was_written_to() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let segment = storage.create_segment("00", 4 * MIB).unwrap();
    write(&segment, 0, &vec![9; 2 * MIB as usize]);
    write(&segment, MIB, &vec![0; MIB as usize]);
    segment.sync(0, 2 * MIB).unwrap();
    drop(segment);
    storage.stop_background();
    let path = directory.path().join("00");
    let blocks = || fs::metadata(&path).unwrap().blocks() * 512;
    let before = blocks();
    let segment = storage.open_segment("00").unwrap();
    segment.zero_again(MIB / 2).unwrap();
    let file = fs::read(&path).unwrap();
    assert_eq!(file.len() as u64, 4 * MIB);
    assert!(file[..MIB as usize / 2].iter().all(|&byte| byte == 9) && file[MIB as usize / 2..].iter().all(|&byte| byte == 0));
    assert!(blocks() <= before, "what was written is written again or given back, nothing else: {before}, {}", blocks());
    write(&segment, MIB / 2, &[4; 100]);
    assert_eq!(read(&segment, MIB / 2 - 2, 104), [&[9, 9], &[4; 100][..], &[0, 0]].concat());
    storage.stop_background();
}

#[test]
fn an_opened_segment_goes_on_where_it_ends_without_being_told() {
    let directory = Directory::new();
    let storage = storage(&directory);
    drop(storage.create_segment("00", 64 * MIB).unwrap());
    // As another program leaves it: sparse, messages at the front.
    fs::write(directory.path().join("00"), vec![3; 100_000]).unwrap();
    OpenOptions::new().write(true).open(directory.path().join("00")).unwrap().set_len(64 * MIB).unwrap();
    let segment = storage.open_segment("00").unwrap();
    write(&segment, 100_000, &[4; 1000]);
    write(&segment, 101_000, &[5; 1000]);
    storage.stop_background();
    assert_eq!(read(&segment, 0, 102_000), [vec![3; 100_000], vec![4; 1000], vec![5; 1000]].concat());
}

#[test]
fn an_empty_file_is_a_segment_of_size_zero() {
    let directory = Directory::new();
    fs::write(directory.path().join("00"), b"").unwrap();
    let segment = storage(&directory).open_segment("00").unwrap();
    assert_eq!(segment.size(), 0);
    assert!(segment.read_at(0, &mut [0]).is_err());
    segment.zero_from(0).unwrap();
}

#[test]
fn a_segment_open_for_reading_shows_changes_and_makes_none() {
    let directory = Directory::new();
    let path = directory.path().join("00");
    fs::write(&path, vec![1; 10_000]).unwrap();
    let reader = HostStorage::open(directory.path(), Access::READ_ONLY).unwrap();
    let segment = reader.open_segment("00").unwrap();
    fs::write(&path, vec![2; 5_000]).unwrap();
    assert_eq!(read(&segment, 0, 5_000), vec![2; 5_000]);
    assert!(segment.read_at(4_999, &mut [0; 2]).is_err());
    for refused in [segment.reserve(1), segment.fill(0, 1, |_| ()), segment.zero_from(0), segment.zero_again(0), segment.sync(0, 1)] {
        assert_eq!(refused.unwrap_err().kind, IoKind::Denied);
    }
    assert_eq!(reader.create_segment("01", 10).err().map(|e| e.kind), Some(IoKind::Denied));
}
