//! Files that others see only with their full size. A program of its own: another test counts descriptors.
#![cfg(target_os = "linux")]

mod directory;

use std::fs;

use directory::Directory;
use moraine_core::error::IoKind;
use moraine_core::storage::Storage;
use moraine_host::files::{Access, HostStorage};

/// Linux 3.11 and the usual file systems; elsewhere a file has no size for a moment.
#[test]
fn a_file_appears_with_its_full_size() {
    let directory = Directory::new();
    let storage = HostStorage::open(directory.path(), Access::READ_WRITE).unwrap();
    storage.create_dir("consumequeue/T/0").unwrap();
    storage.create_dir("commitlog").unwrap();
    let path = |n: usize, folder: &str| format!("{folder}/{n:020}");
    let sizes = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut sizes = std::collections::BTreeSet::new();
            for n in 0..300 {
                for folder in ["consumequeue/T/0", "commitlog"] {
                    let place = directory.path().join(path(n, folder));
                    loop {
                        if let Ok(metadata) = fs::metadata(&place) {
                            sizes.insert(metadata.len());
                            break;
                        }
                        std::thread::yield_now();
                    }
                }
            }
            sizes
        });
        for n in 0..300 {
            storage.create(&path(n, "consumequeue/T/0"), 4096).unwrap();
            storage.create_segment(&path(n, "commitlog"), 4096).unwrap();
        }
        looking.join().unwrap()
    });
    assert_eq!(Vec::from_iter(sizes), [4096]);
    assert_eq!(storage.create_segment(&path(0, "commitlog"), 8192).err().unwrap().kind, IoKind::Exists);
}
