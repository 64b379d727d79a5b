//! RocketMQ's files of two stores, held against each other.

use moraine_core::memory::MemoryStorage;

/// Path and contents.
pub type Files = Vec<(String, Vec<u8>)>;

/// RocketMQ's files, index files by their order: their names are times.
pub fn files(storage: &MemoryStorage) -> Files {
    let mut index_files = 0;
    let is_rocketmqs =
        |path: &String| path.contains("consumequeue") || ["commitlog/", "index/", "checkpoint"].iter().any(|start| path.starts_with(start));
    let named = storage.paths().into_iter().filter(is_rocketmqs).map(|path| {
        let contents = storage.contents(&path).unwrap();
        if path.starts_with("index/") {
            index_files += 1;
            return (format!("index/{index_files}"), contents);
        }
        (path, contents)
    });
    named.collect()
}

/// The files without what a log that was taken back leaves: a queue that holds nothing may keep a file of zeros, and the
/// checkpoint says where the last record was at the last open.
pub fn lasting_files(storage: &MemoryStorage) -> Files {
    let mut found = files(storage);
    found.retain(|(path, contents)| !path.contains("consumequeue") || contents.iter().any(|&byte| byte != 0));
    found.iter_mut().filter(|(path, _)| path == "checkpoint").for_each(|(_, contents)| contents[32..40].fill(0));
    found
}

pub fn assert_same_files(one: &Files, other: &Files, what: &str) {
    let names = |files: &Files| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "{what}");
    for ((name, here), (_, there)) in one.iter().zip(other) {
        let different = here.iter().zip(there).position(|(a, b)| a != b);
        assert!(here == there, "{what}: {name} differs at {different:?}");
    }
}
