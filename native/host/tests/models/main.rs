//! Interleavings of the threads of a store, tried by the thousand: the real lock, flusher, readers and members, on real
//! files, with a scheduler that decides who goes on next. Each one can be had again from its seed:
//! MORAINE_MODELS_SEED, with MORAINE_MODELS_SCHEDULES=1. MORAINE_MODELS_MINUTES goes on for so long.
//! A wake-up that is lost is a deadlock here, and found at once.

#[path = "../batch/mod.rs"]
mod batch;
mod explore;
mod stage;

use std::sync::Arc;

use explore::explore;
use moraine_core::error::Code;
use moraine_core::format::record::Record;
use moraine_core::options::FlushMode;
use moraine_host::shared::{GetHead, GetRequest, Shared, Wanted};
use shuttle::thread;
use stage::{Ear, Stage, put};

/// Every put is told of a flush that reached it, whoever of two members asks, and the last one out closes the store.
fn each_flush_is_told(mode: FlushMode) {
    let stage = Stage::new();
    let (store, ear) = stage.open(mode);
    let putting = |stage: Stage, store: Arc<Shared>, ear: Arc<Ear>| {
        move || {
            for number in 0..3 {
                let end = put(&store, "T", &[vec![number; 100]]).unwrap();
                store.request_flush();
                ear.wait_for("durable", |told| told.durable >= end);
            }
            // Nobody asks for a flush of this one: the close promises it.
            let end = put(&store, "T", &[vec![3; 100]]).unwrap();
            stage.close(&store, &ear);
            assert!(store.positions().durable >= end, "closed, and not durable");
        }
    };
    let (other, other_ear) = stage.attach(&store).unwrap();
    let threads = [thread::spawn(putting(stage.clone(), store, ear)), thread::spawn(putting(stage.clone(), other, other_ear))];
    for thread in threads {
        thread.join().unwrap();
    }
    let (store, ear) = stage.open(mode);
    assert!(store.read(|reader| reader.health()).unwrap().clean, "the last one out has closed it");
    assert_eq!(read_all(&store, "T", 0), 8);
    stage.close(&store, &ear);
}

#[test]
fn each_flush_is_told_in_an_asynchronous_store() {
    explore("flush", || each_flush_is_told(FlushMode::Async));
}

#[test]
fn each_flush_is_told_in_a_synchronous_store() {
    explore("sync", || each_flush_is_told(FlushMode::Sync));
}

/// Whoever reads a queue gets the records that belong there, without a gap, or is told where the queue begins; how many.
fn read_all(store: &Shared, topic: &str, from: u64) -> u64 {
    let (mut offset, mut seen) = (from, 0);
    loop {
        let (mut out, mut offsets, mut head) = (vec![0; 1 << 16], [0.0; 4], GetHead::default());
        let request = GetRequest { topic: topic.as_bytes(), queue_id: 0, offset, max: 4, max_bytes: 1 << 16, filter: &[] };
        match store.get(request, &mut out, &mut offsets, &mut head) {
            Err(error) => assert_eq!(error.code, Code::Closed, "{error}"),
            Ok(()) if head.messages == 0 && offset < head.min => {
                offset = head.min;
                continue;
            }
            Ok(()) => {}
        }
        if head.messages == 0 {
            return seen;
        }
        let mut at = 0;
        for expected in offset..offset + head.messages as u64 {
            let size = u32::from_be_bytes(out[at..at + 4].try_into().unwrap()) as usize;
            let record = Record::parse(&out[at..at + size]).unwrap();
            assert_eq!((record.queue_offset(), record.topic()), (expected as i64, topic.as_bytes()));
            at += size;
        }
        assert_eq!(at, head.bytes);
        seen += head.messages as u64;
        offset = head.next;
    }
}

/// Segments roll, old ones go, readers look meanwhile and are never pulled away.
#[test]
fn readers_are_not_pulled_away() {
    explore("expire", || {
        let stage = Stage::new();
        let (store, ear) = stage.open(FlushMode::Async);
        let reading = {
            let store = Arc::clone(&store);
            move || {
                for round in 0..4 {
                    // What is held stays; of what is not, a reader keeps what it has found.
                    let hold = if round % 2 == 0 { None } else { store.retain(0).ok() };
                    read_all(&store, "T", 0);
                    hold.into_iter().for_each(|hold| store.release(hold).unwrap());
                }
            }
        };
        let removing = {
            let (store, ear) = (Arc::clone(&store), Arc::clone(&ear));
            move || {
                for errand in 0..3 {
                    store.expire(errand, None, Some(1)).unwrap();
                    let done = ear.wait_for("expired", |told| told.done.len() > errand as usize).done;
                    done[errand as usize].1.as_ref().unwrap();
                }
            }
        };
        let threads = [thread::spawn(reading), thread::spawn(removing)];
        for number in 0..8 {
            put(&store, "T", &[vec![number; 1500]]).unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        stage.close(&store, &ear);
        let (store, ear) = stage.open(FlushMode::Async);
        let head = store.read(|reader| Ok(reader.positions())).unwrap();
        assert_eq!(head.durable, head.end);
        stage.close(&store, &ear);
    });
}

/// Whoever waits for a queue is told of every message that another member puts there.
#[test]
fn no_arrival_is_lost() {
    explore("arrivals", || {
        let stage = Stage::new();
        let (store, ear) = stage.open(FlushMode::Async);
        let (consumer, consumer_ear) = stage.attach(&store).unwrap();
        let consuming = move || {
            let (_, mut known) = consumer.watch(b"T", 0).unwrap();
            let mut told = 0;
            while known < 3 {
                let mut out = [0.0; 2];
                match consumer.take_arrivals(&mut out).unwrap() {
                    0 => told = consumer_ear.wait_for("an arrival", |now| now.arrived > told).arrived,
                    _ => {
                        known = out[1] as u64;
                        assert!(known > 0);
                        if known < 3 {
                            known = consumer.watch(b"T", 0).unwrap().1;
                        }
                    }
                }
            }
            assert_eq!(read_all(&consumer, "T", 0), 3);
            consumer.close();
            consumer_ear.wait_for("closed", |told| told.closed.is_some());
        };
        let consumer = thread::spawn(consuming);
        for number in 0..3 {
            put(&store, "T", &[vec![number; 10]]).unwrap();
        }
        consumer.join().unwrap();
        stage.close(&store, &ear);
    });
}

/// Every read that was asked for and not forgotten is answered once, also by a store that closes or a member that leaves.
#[test]
fn each_read_is_answered_once() {
    explore("fetch", || {
        let stage = Stage::new();
        let (store, ear) = stage.open(FlushMode::Async);
        put(&store, "T", &[vec![0; 1000], vec![1; 1000]]).unwrap();
        let (other, other_ear) = stage.attach(&store).unwrap();
        let asking = move || {
            let mut asked = Vec::new();
            for number in 0..4 {
                let wanted = match number % 2 {
                    0 => Wanted::Messages { topic: b"T".to_vec(), queue_id: 0, offset: 0, max: 2, max_bytes: 1 << 16, filter: Vec::new() },
                    _ => Wanted::At(0),
                };
                match other.fetch(number, wanted) {
                    Ok(()) => asked.push(number),
                    Err(error) => assert_eq!(error.code, Code::Closed, "{error}"),
                }
            }
            let forgotten = asked.pop();
            forgotten.into_iter().for_each(|number| other.forget(number));
            let all = other_ear.wait_for("what was asked for", |told| asked.iter().all(|&number| told.answers(number) == 1));
            for (number, outcome) in &all.fetched {
                match outcome {
                    Ok(messages) => assert_eq!(*messages, 2 - (*number as usize % 2)),
                    Err(error) => assert_eq!(error.code, Code::Closed, "{error}"),
                }
            }
            other.close();
            other_ear.wait_for("closed", |told| told.closed.is_some());
        };
        let asking = thread::spawn(asking);
        stage.close(&store, &ear);
        asking.join().unwrap();
    });
}

/// Whoever leaves while something is read for it is told of nothing any more (see `Ear::note`).
#[test]
fn nothing_is_told_to_one_who_has_left() {
    explore("leave", || {
        let stage = Stage::new();
        let (store, ear) = stage.open(FlushMode::Async);
        put(&store, "T", &[vec![0; 1000]]).unwrap();
        let (other, other_ear) = stage.attach(&store).unwrap();
        for (store, number) in [(&store, 0), (&other, 1), (&other, 2)] {
            store.fetch(number, Wanted::At(0)).unwrap();
        }
        let leaving = {
            let stage = stage.clone();
            move || stage.close(&other, &other_ear)
        };
        let leaving = thread::spawn(leaving);
        stage.close(&store, &ear);
        leaving.join().unwrap();
    });
}

/// Members come while the last one goes: they get in, and have a whole store, or are told that it is closed.
#[test]
fn nobody_comes_into_a_store_that_is_gone() {
    explore("members", || {
        let stage = Stage::new();
        let (store, ear) = stage.open(FlushMode::Async);
        let door = store.door();
        let coming = {
            let stage = stage.clone();
            move || {
                let Some((store, ear)) = stage.enter(&door) else { return 0 };
                let stored = u64::from(put(&store, "T", &[vec![0; 100]]).is_ok());
                assert_eq!(stored, 1, "a member that came in keeps the store open");
                match stage.seed() % 2 {
                    0 => stage.close(&store, &ear),
                    _ => drop(store), // leaves, others may stay
                }
                stored
            }
        };
        let threads = [thread::spawn(coming.clone()), thread::spawn(coming)];
        put(&store, "T", &[vec![0; 100]]).unwrap();
        stage.close(&store, &ear);
        let stored: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        drop(store);
        let (store, ear) = stage.open_when_free(FlushMode::Async);
        assert_eq!(read_all(&store, "T", 0), 1 + stored);
        stage.close(&store, &ear);
    });
}
