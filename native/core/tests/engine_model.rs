//! Random sequences of operations against plain vectors: whatever happens in between, the store answers as they do.

mod support;

use std::collections::BTreeMap;

use moraine_core::engine::GetStatus;
use moraine_core::memory::MemoryStorage;
use moraine_core::options::{FlushMode, Options};
use proptest::prelude::*;
use support::*;

#[derive(Clone, Debug)]
enum Step {
    /// (queue, length of the body, key) of each message.
    Put(Vec<(i32, usize, u8)>),
    Flush,
    WriteBehind,
    CloseAndOpen,
    /// The process dies: what it wrote stays, what it held in memory is gone.
    DieAndOpen,
    /// The same, and somebody removes the derived files.
    DieAndLoseDerivedFiles,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0..4, 0..900usize, 0..6u8), 1..12).prop_map(Step::Put),
        2 => Just(Step::Flush),
        2 => Just(Step::WriteBehind),
        1 => Just(Step::CloseAndOpen),
        1 => Just(Step::DieAndOpen),
        1 => Just(Step::DieAndLoseDerivedFiles),
    ]
}

#[derive(Default)]
struct Model {
    queues: BTreeMap<i32, Vec<String>>,
    keys: BTreeMap<u8, Vec<String>>,
    puts: usize,
}

fn check(store: &Store, model: &Model) {
    for (&queue, bodies) in &model.queues {
        let range = store.reader().offsets(b"T", queue);
        assert_eq!((range.min, range.max, range.next), (0, bodies.len() as u64, bodies.len() as u64));
        for (from, max) in [(0, 1000), (bodies.len() / 2, 3), (bodies.len() - 1, 1)] {
            let (status, next, found) = get(store, "T", queue, from as u64, max).unwrap();
            let expected = &bodies[from..bodies.len().min(from + max)];
            assert_eq!((status, next as usize, &found[..]), (GetStatus::Found, from + expected.len(), expected));
        }
    }
    for (key, bodies) in &model.keys {
        let newest_first: Vec<String> = bodies.iter().rev().cloned().collect();
        assert_eq!(lookup(store, &format!("key{key}")), newest_first);
    }
}

fn apply(store: Store, step: &Step, storage: &mut MemoryStorage, model: &mut Model, options: &Options) -> Store {
    let mut store = store;
    match step {
        Step::Put(messages) => {
            let texts: Vec<(String, String)> = messages
                .iter()
                .enumerate()
                .map(|(i, &(_, length, key))| (format!("{:.<length$}", model.puts + i), format!("KEYS\u{1}key{key}\u{2}")))
                .collect();
            let batch: Vec<_> = messages
                .iter()
                .zip(&texts)
                .map(|(&(queue, _, _), (body, properties))| {
                    let mut message = message(body.as_bytes(), properties.as_bytes());
                    message.queue_id = queue;
                    message
                })
                .collect();
            put(&mut store, &batch).unwrap();
            for (&(queue, _, key), (body, _)) in messages.iter().zip(texts) {
                model.queues.entry(queue).or_default().push(body.clone());
                model.keys.entry(key).or_default().push(body);
            }
            model.puts += messages.len();
            store
        }
        Step::Flush => {
            flush(&mut store, storage);
            store
        }
        Step::WriteBehind => {
            write_behind(&mut store, storage);
            store
        }
        Step::CloseAndOpen => {
            close(store);
            open(storage, options.clone()).unwrap()
        }
        Step::DieAndOpen | Step::DieAndLoseDerivedFiles => {
            *storage = storage.snapshot();
            if matches!(step, Step::DieAndLoseDerivedFiles) {
                ["consumequeue", "index", "checkpoint"].iter().for_each(|path| storage.remove_tree(path));
            }
            open(storage, options.clone()).unwrap()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_answers_like_plain_vectors(steps in prop::collection::vec(step(), 1..40), sync in any::<bool>(), record_crc in any::<bool>()) {
        let flush_mode = if sync { FlushMode::Sync } else { FlushMode::Async };
        let options = Options { flush: flush_mode, record_crc, ..small() };
        let mut storage = MemoryStorage::default();
        let mut store = open(&storage, options.clone()).unwrap();
        let mut model = Model::default();
        for step in &steps {
            store = apply(store, step, &mut storage, &mut model, &options);
            if !sync {
                check(&store, &model);
            }
        }
        flush(&mut store, &storage);
        check(&store, &model);
    }
}
