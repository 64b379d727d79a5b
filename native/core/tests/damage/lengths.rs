//! Every file of a small store, cut to every length, missing, or longer than it was.

use std::collections::BTreeSet;

use moraine_core::memory::MemoryStorage;

use crate::cases::Cases;
use crate::image::*;
use crate::judge::*;
use crate::model::QUEUES;

/// What is missing of the log from `place` on, up to the next file.
fn lost_from(image: &Image, base: u64, len: usize) -> Allowed<'static> {
    let end = base + image.options.segment_bytes;
    let (from, _) = image.message_at(base + len as u64);
    let lost: BTreeSet<usize> = (from..image.model.messages.len()).filter(|&n| image.model.messages[n].physical < end).collect();
    // Of a killed store only a watermark whose record is there tells that the log went on.
    let is_said = match image.ending {
        Ending::KilledWithoutSidecar => false,
        Ending::Killed => image.named.is_some_and(|named| !lost.contains(&named)),
        Ending::Closed | Ending::ClosedWithoutSidecar | Ending::ClosedByRocketmq => true,
    };
    Allowed {
        cut: Some(from).filter(|_| !is_said),
        lost,
        forgets: true,
        hidden: usize::MAX,
        unfound: true,
        longer: true,
        refused: true,
        ..Allowed::default()
    }
}

fn allowed(image: &Image, path: &str, len: usize) -> Allowed<'static> {
    if let Some(base) = base_of(path) {
        return lost_from(image, base, len);
    }
    let refused = path.contains("consumequeue") || path.starts_with("index/");
    match path.split('/').next().unwrap_or_default() {
        // What a file held, and in a store that was closed what its queue holds behind it.
        "consumequeue" | "batchconsumequeue" | "consumequeue_ext" => {
            Allowed { hidden: image.model.messages.len(), longer: true, refused, ..Allowed::default() }
        }
        "index" => Allowed { unfound: true, refused, ..Allowed::default() },
        // Without a sidecar that file alone says that the store was not closed, and that its index is not complete.
        "abort" if image.ending == Ending::KilledWithoutSidecar => Allowed { unfound: true, ..Allowed::default() },
        _ => Allowed::default(),
    }
}

fn cut(image: &Image, path: &str, len: usize) -> Outcome {
    let storage = image.storage.snapshot();
    let mut bytes = storage.contents(path).unwrap();
    let damaged = [Damaged { is_end: is_newest(&storage, path), ..Damaged::bytes(path, len as u64, bytes.len() as u64) }];
    bytes.truncate(len);
    storage.place(path, &bytes);
    judge(image, &storage, &damaged, &allowed(image, path, len))
}

/// Whether no file of its directory comes behind it.
fn is_newest(storage: &MemoryStorage, path: &str) -> bool {
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    !storage.paths().iter().any(|other| other.starts_with(dir) && other.as_str() > path)
}

fn missing(image: &Image, path: &str) -> Outcome {
    let storage = image.storage.snapshot();
    let len = storage.contents(path).unwrap().len() as u64;
    storage.remove_tree(path);
    let is_newest = is_newest(&storage, path);
    if base_of(path) == Some(0) && image.ending == Ending::ClosedWithoutSidecar {
        return shows_nothing_wrong(image, &storage); // as RocketMQ removes files
    }
    if is_newest && path.contains("consumequeue/") && image.ending == Ending::ClosedWithoutSidecar {
        return shows_nothing_wrong(image, &storage); // nothing tells that it was there
    }
    let damaged = [Damaged { is_gone: true, is_end: is_newest, ..Damaged::bytes(path, 0, len) }];
    judge(image, &storage, &damaged, &allowed(image, path, 0))
}

fn longer(image: &Image, path: &str, by: usize) -> Outcome {
    let storage = image.storage.snapshot();
    let mut bytes = storage.contents(path).unwrap();
    let len = bytes.len();
    bytes.extend((0..by).map(|n| (n * 37 + 11) as u8));
    storage.place(path, &bytes);
    let damaged = [Damaged::bytes(path, len as u64, (len + by) as u64)];
    judge(image, &storage, &damaged, &allowed(image, path, len))
}

/// Whether a file may be anything: what it says cannot be known elsewhere.
fn is_free(path: &str) -> bool {
    path.starts_with("config/")
}

fn every_length(ending: Ending, stride: u64) {
    let image = Image::new(ending);
    assert_eq!(image.model.next.len(), QUEUES.len());
    let mut cases = Cases::new("lengths", ending, stride);
    for path in image.storage.paths().into_iter().filter(|path| !is_free(path)) {
        let contents = image.storage.contents(&path).unwrap();
        let used = contents.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        for len in 0..contents.len() {
            let rare = if len <= used { 1 } else { 16 };
            cases.weighed(rare, || format!("{path} cut to {len} of {} bytes", contents.len()), || cut(&image, &path, len));
        }
        for by in [1, 20, 46, 1024, contents.len()] {
            cases.weighed(1, || format!("{path} longer by {by} bytes"), || longer(&image, &path, by));
        }
        cases.weighed(1, || format!("{path} missing"), || missing(&image, &path));
    }
    cases.end(40);
}

/// The topic table says which topics have batch queues, and nothing else does: then nothing wrong is shown, and no more.
#[test]
fn a_topic_table_that_is_cut_shows_nothing_wrong() {
    for ending in [Ending::Closed, Ending::Killed, Ending::ClosedWithoutSidecar] {
        let image = Image::new(ending);
        let path = "config/topics.json";
        let contents = image.storage.contents(path).unwrap();
        for len in 0..contents.len() {
            let storage: MemoryStorage = image.storage.snapshot();
            storage.place(path, &contents[..len]);
            caught(|| shows_nothing_wrong(&image, &storage)).unwrap_or_else(|flaw| panic!("{ending:?}: {path} cut to {len}: {flaw}"));
        }
    }
}

#[test]
fn lengths_of_a_closed_store() {
    every_length(Ending::Closed, 67);
}

#[test]
fn lengths_of_a_killed_store() {
    every_length(Ending::Killed, 67);
}

#[test]
fn lengths_of_a_closed_store_without_a_sidecar() {
    every_length(Ending::ClosedWithoutSidecar, 67);
}

#[test]
fn lengths_of_a_killed_store_without_a_sidecar() {
    every_length(Ending::KilledWithoutSidecar, 67);
}
