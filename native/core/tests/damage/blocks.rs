//! Two blocks of 4 KiB changed places, within a file or between two of one kind: whatever they held is lost, and nothing else.

use std::collections::BTreeSet;

use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

use crate::cases::Cases;
use crate::image::*;
use crate::judge::*;
use crate::model::*;
use crate::support::batches::TOPICS;
use crate::support::*;

const BLOCK: usize = 4096;

/// A store of several blocks in each file: 16 KiB of log in a file, 409 entries of a queue.
fn large() -> Image {
    let storage = MemoryStorage::default();
    storage.boot(1);
    storage.place("config/topics.json", TOPICS.as_bytes());
    let options = Options { segment_bytes: 16_384, queue_file_entries: 1024, index_slots: 512, index_entries: 1024, ..small() };
    let clock = MemoryClock::at(NOW);
    let mut model = Model::default();
    let mut store = open_at(&storage, options.clone(), &clock).unwrap();
    for n in 0..420 {
        let time = NOW + 50 * n as i64;
        clock.set(time);
        let draft = Draft { queue: usize::from(n % 8 == 7), keys: vec![n % 3], body: String::from("body"), ..Draft::default() };
        put_one(&mut store, &mut model, &draft, time);
    }
    close(store);
    let all = model.messages.len();
    Image { ending: Ending::Closed, storage, model, options, known: all, named: None, in_files: all }
}

fn blocks_of(image: &Image) -> Vec<(String, usize)> {
    let paths = image.storage.paths().into_iter();
    let is_large = |path: &String| image.storage.contents(path).is_some_and(|contents| contents.len() >= BLOCK);
    paths
        .filter(is_large)
        .flat_map(|path| {
            let blocks = image.storage.contents(&path).unwrap().len() / BLOCK;
            (0..blocks).map(move |block| (path.clone(), block)).collect::<Vec<_>>()
        })
        .collect()
}

fn kind_of(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn swapped(image: &Image, one: &(String, usize), other: &(String, usize)) -> Outcome {
    let storage = image.storage.snapshot();
    let block = |(path, block): &(String, usize)| storage.contents(path).unwrap()[block * BLOCK..(block + 1) * BLOCK].to_vec();
    let (first, second) = (block(one), block(other));
    let put = |(path, block): &(String, usize), bytes: &[u8]| {
        bytes.iter().enumerate().for_each(|(at, &byte)| storage.change(path, block * BLOCK + at, |old| *old = byte));
    };
    put(one, &second);
    put(other, &first);
    let mut allowed = Allowed::default();
    let mut damaged = Vec::new();
    for (path, block) in [one, other] {
        let (from, to) = ((block * BLOCK) as u64, ((block + 1) * BLOCK) as u64);
        if let Some(base) = base_of(path) {
            let touches = |message: &Message| message.end() > base + from && message.physical < base + to;
            allowed.lost.extend((0..image.model.messages.len()).filter(|&number| touches(&image.model.messages[number])));
            allowed.forgets = true;
        }
        damaged.push(Damaged::bytes(path, from, to));
    }
    match kind_of(&one.0) {
        // As many as entries begin or end there.
        "consumequeue" => allowed.hidden = 2 * (BLOCK / 20 + 2),
        "index" => allowed.unfound = true,
        _ => {}
    }
    judge(image, &storage, &damaged, &allowed)
}

#[test]
fn blocks_that_changed_places() {
    let image = large();
    let blocks = blocks_of(&image);
    let mut kinds = BTreeSet::new();
    let mut cases = Cases::new("blocks", image.ending, 7);
    for (n, one) in blocks.iter().enumerate() {
        for other in blocks[n + 1..].iter().filter(|other| kind_of(&other.0) == kind_of(&one.0)) {
            kinds.insert(kind_of(&one.0).to_owned());
            cases.weighed(
                1,
                || format!("block {} of {} with block {} of {}", one.1, one.0, other.1, other.0),
                || swapped(&image, one, other),
            );
        }
    }
    assert!(["commitlog", "consumequeue", "index", "moraine"].iter().all(|&kind| kinds.contains(kind)), "{kinds:?}");
    cases.end(20);
}
