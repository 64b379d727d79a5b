//! The store directory on a real file system.

mod directory;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use directory::Directory;
use moraine_core::error::IoKind;
use moraine_core::storage::{EntryKind, Segment, Storage};
use moraine_host::files::{Access, HostStorage};

fn storage(directory: &Directory) -> HostStorage {
    HostStorage::open(directory.path(), Access::READ_WRITE).unwrap()
}

fn open_error(path: &Path, access: Access) -> (IoKind, String) {
    let error = HostStorage::open(path, access).err().unwrap();
    (error.kind, error.reason)
}

#[test]
fn a_missing_directory_is_made_only_when_asked() {
    let directory = Directory::new();
    let path = directory.path().join("a/b");
    assert_eq!(open_error(&path, Access { create: false, ..Access::READ_WRITE }).0, IoKind::NotFound);
    assert_eq!(open_error(&path, Access::READ_ONLY), (IoKind::NotFound, "there is no such directory".into()));
    assert!(!directory.path().join("a").exists());
    HostStorage::open(&path, Access::READ_WRITE).unwrap();
    assert!(path.is_dir());
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let directory = Directory::new();
    let path = directory.path().join("file");
    fs::write(&path, b"x").unwrap();
    assert_eq!(open_error(&path, Access::READ_WRITE).0, IoKind::WrongType);
    assert_eq!(open_error(&path.join("below"), Access::READ_WRITE).0, IoKind::WrongType);
}

#[test]
fn files_are_created_extended_written_and_read() {
    let directory = Directory::new();
    let storage = storage(&directory);
    storage.create_dir("consumequeue/topic/0").unwrap();
    storage.create_dir("consumequeue/topic/0").unwrap();
    let path = "consumequeue/topic/0/00000000000000000000";
    assert_eq!(storage.len(path).unwrap(), None);
    assert_eq!(storage.write_at(path, 0, b"x").unwrap_err().kind, IoKind::NotFound);
    assert_eq!(storage.read_at(path, 0, &mut [0]).unwrap_err().kind, IoKind::NotFound);
    storage.create(path, 100).unwrap();
    storage.write_at(path, 98, b"abcd").unwrap();
    assert_eq!(storage.len(path).unwrap(), Some(102));
    storage.create(path, 50).unwrap();
    assert_eq!(storage.len(path).unwrap(), Some(102), "a file is never cut");
    let mut out = [9; 8];
    assert_eq!(storage.read_at(path, 96, &mut out).unwrap(), 6);
    assert_eq!(out, [0, 0, b'a', b'b', b'c', b'd', 9, 9]);
    assert_eq!(storage.read_at(path, 1000, &mut out).unwrap(), 0);
    storage.sync(path).unwrap();
    storage.sync_dir("consumequeue/topic/0").unwrap();
    storage.sync_dir("").unwrap();
}

#[test]
fn a_removed_file_is_gone_and_can_be_made_again() {
    let directory = Directory::new();
    let storage = storage(&directory);
    storage.create("abort", 0).unwrap();
    storage.write_at("abort", 0, b"123").unwrap();
    storage.remove("abort").unwrap();
    storage.remove("abort").unwrap();
    assert_eq!(storage.read_at("abort", 0, &mut [0]).unwrap_err().kind, IoKind::NotFound, "no descriptor outlives the name");
    storage.create("abort", 0).unwrap();
    assert_eq!(storage.len("abort").unwrap(), Some(0));
}

#[test]
fn what_is_written_after_a_file_was_removed_and_made_again_is_in_it_whoever_reads_meanwhile() {
    let directory = Directory::new();
    let storage = storage(&directory);
    storage.create("file", 4096).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whatever it finds: it has the file open at any time.
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let outcome = storage.read_at("file", 0, &mut [0; 20]);
                assert!(outcome.map_or_else(|error| error.kind == IoKind::NotFound, |read| read <= 20));
            }
        });
        for round in 0..3000u32 {
            storage.remove("file").unwrap();
            // As the queue and index files are written: one that is missing is made.
            if let Err(missing) = storage.write_at("file", 0, &round.to_be_bytes()) {
                assert_eq!(missing.kind, IoKind::NotFound);
                storage.create("file", 4096).unwrap();
                storage.write_at("file", 0, &round.to_be_bytes()).unwrap();
            }
            let written = fs::read(directory.path().join("file")).map(|bytes| bytes[..4].to_vec());
            if !written.is_ok_and(|written| written == round.to_be_bytes()) {
                done.store(true, Ordering::Relaxed);
                panic!("round {round}: what was written is not in the file");
            }
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
}

#[test]
fn more_files_than_descriptors_are_kept() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let open_now = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_now();
    for i in 0..1000u32 {
        let path = format!("f{i}");
        storage.create(&path, 4).unwrap();
        storage.write_at(&path, 0, &i.to_be_bytes()).unwrap();
    }
    assert!(open_now() <= before + 300, "{} descriptors more", open_now() - before);
    for i in 0..1000u32 {
        let mut out = [0; 4];
        storage.read_at(&format!("f{i}"), 0, &mut out).unwrap();
        assert_eq!(u32::from_be_bytes(out), i);
    }
}

#[test]
fn paths_that_leave_the_store_are_refused() {
    let directory = Directory::new();
    let storage = storage(&directory);
    for path in ["", "/etc/passwd", "..", "a/../../b", "../x", "a/./b", "./a", "a//b", "a/", "nul\0"] {
        assert!(storage.create(path, 1).is_err(), "create {path:?}");
        assert!(storage.len(path).is_err(), "len {path:?}");
        assert!(storage.remove(path).is_err(), "remove {path:?}");
        assert!(storage.open_segment(path).is_err(), "open {path:?}");
        assert!(storage.create_segment(path, 1).is_err(), "create segment {path:?}");
        if !path.is_empty() {
            assert!(storage.list(path).is_err(), "list {path:?}");
            assert!(storage.create_dir(path).is_err(), "mkdir {path:?}");
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_is_listed_with_kinds_and_lengths() {
    let directory = Directory::new();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), b"12345").unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("folder"), at("folder-link")).unwrap();
    symlink(at("nowhere"), at("broken")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let storage = storage(&directory);
    let mut entries = storage.list("").unwrap().unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind, entry.len)).collect();
    assert_eq!(
        seen,
        [
            ("broken", EntryKind::Other, 0),
            ("file", EntryKind::File, 5),
            ("folder", EntryKind::Directory, 0),
            ("folder-link", EntryKind::Directory, 0),
            ("link", EntryKind::Other, 0),
            ("socket", EntryKind::Other, 0),
        ]
    );
    assert_eq!(storage.list("missing").unwrap(), None);
    assert_eq!(storage.list("file").unwrap_err().kind, IoKind::WrongType);
}

#[test]
fn what_is_no_regular_file_is_never_opened() {
    let directory = Directory::new();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), b"12345").unwrap();
    symlink(at("file"), at("link")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    for access in [Access::READ_WRITE, Access::READ_ONLY] {
        let storage = HostStorage::open(directory.path(), access).unwrap();
        for name in ["link", "folder", "socket", "fifo"] {
            assert_eq!(storage.open_segment(name).err().map(|e| e.kind), Some(IoKind::WrongType), "{name} as a segment");
            assert_eq!(storage.read_at(name, 0, &mut [0]).unwrap_err().kind, IoKind::WrongType, "{name} as a file");
            assert_eq!(storage.len(name).unwrap_err().kind, IoKind::WrongType, "length of {name}");
        }
    }
}

#[test]
fn folders_may_be_links() {
    let (directory, elsewhere) = (Directory::new(), Directory::new());
    symlink(elsewhere.path(), directory.path().join("commitlog")).unwrap();
    let storage = storage(&directory);
    storage.create_dir("commitlog").unwrap();
    drop(storage.create_segment("commitlog/00", 4096).unwrap());
    assert_eq!(storage.open_segment("commitlog/00").unwrap().size(), 4096);
    assert!(elsewhere.path().join("00").is_file());
}

#[test]
fn a_storage_open_for_reading_changes_nothing() {
    let directory = Directory::new();
    fs::write(directory.path().join("file"), b"12345").unwrap();
    fs::set_permissions(directory.path().join("file"), fs::Permissions::from_mode(0o444)).unwrap();
    let storage = HostStorage::open(directory.path(), Access::READ_ONLY).unwrap();
    let mut out = [0; 5];
    assert_eq!(storage.read_at("file", 0, &mut out).unwrap(), 5);
    assert_eq!(&out, b"12345");
    let refused = [
        storage.create("new", 1),
        storage.create("file", 10),
        storage.create_dir("folder"),
        storage.write_at("file", 0, b"x"),
        storage.sync("file"),
        storage.sync_dir(""),
        storage.remove("file"),
    ];
    for (i, outcome) in refused.into_iter().enumerate() {
        assert_eq!(outcome.unwrap_err().kind, IoKind::Denied, "call {i}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_renamed_file_takes_the_place_of_another() {
    let directory = Directory::new();
    let storage = storage(&directory);
    for (path, byte) in [("a", b"1"), ("b", b"2")] {
        storage.create(path, 0).unwrap();
        storage.write_at(path, 0, byte).unwrap();
    }
    storage.rename("a", "b").unwrap();
    assert_eq!(storage.len("a").unwrap(), None);
    let mut byte = [0];
    storage.read_at("b", 0, &mut byte).unwrap();
    assert_eq!(&byte, b"1", "not what an open descriptor of the old one holds");
    assert_eq!(storage.rename("a", "c").unwrap_err().kind, IoKind::NotFound);
    let read_only = HostStorage::open(directory.path(), Access::READ_ONLY).unwrap();
    assert!(read_only.rename("b", "c").is_err() && read_only.remove_dir("d").is_err());
}

#[test]
fn only_empty_directories_are_removed() {
    let directory = Directory::new();
    let storage = storage(&directory);
    storage.create_dir("a/b").unwrap();
    assert!(storage.remove_dir("a").is_err());
    storage.remove_dir("a/b").unwrap();
    storage.remove_dir("a").unwrap();
    storage.remove_dir("a").unwrap();
    assert!(!directory.path().join("a").exists());
}

#[test]
fn room_is_told_of_directories_that_are_there() {
    let directory = Directory::new();
    let storage = storage(&directory);
    let space = storage.space("").unwrap().unwrap();
    assert!(space.free > 0 && space.used > 0, "{space:?}");
    assert_eq!(storage.space("commitlog").unwrap(), None);
}
