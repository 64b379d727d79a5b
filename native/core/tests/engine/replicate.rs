//! The log as raw bytes: a store that is fed another one's log becomes that store, whatever the pieces.

use crate::support::store_files::{assert_same_files, files};
use crate::support::*;
use moraine_core::engine::GetStatus;
use moraine_core::error::{Code, Detail, Error};
use moraine_core::memory::MemoryStorage;
use moraine_core::options::{FlushMode, Options};
use proptest::prelude::*;

/// (queue, bytes of the body, key, sys flag) of a message.
type Given = (i32, usize, u8, i32);

fn given() -> impl Strategy<Value = Given> {
    // Prepared and rolled back messages take no queue entry; those with key 4 go to light queues, too.
    (0..3, 0..700usize, 0..5u8, prop_oneof![8 => Just(0), 1 => Just(4), 1 => Just(12)])
}

fn put_given(store: &mut Store, messages: &[Given]) {
    let texts: Vec<(String, String)> = messages
        .iter()
        .enumerate()
        .map(|(n, &(_, length, key, _))| {
            let light = if key == 4 { "INNER_MULTI_DISPATCH\u{1}%LMQ%one,%LMQ%two\u{2}" } else { "" };
            (format!("{n:.<length$}"), format!("TAGS\u{1}tag{n}\u{2}KEYS\u{1}key{key} other{n}\u{2}{light}"))
        })
        .collect();
    for (&(queue, _, _, sys_flag), (body, properties)) in messages.iter().zip(&texts) {
        let mut message = message(body.as_bytes(), properties.as_bytes());
        (message.queue_id, message.sys_flag) = (queue, sys_flag);
        put(store, &[message]).unwrap();
    }
}

/// Everything in the log of a store from `from` on.
fn raw(store: &Store, from: u64) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), Vec::new());
    loop {
        store.reader().read_log(from + all.len() as u64, 1000, &mut piece).unwrap();
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

fn append(store: &mut Store, bytes: &[u8]) -> Result<u64, Error> {
    let at = store.reader().raw_end();
    store.writer()?.append_log(at, bytes)
}

/// A store in which `messages` were put, and its storage.
fn leader(messages: &[Given]) -> (MemoryStorage, Store) {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_given(&mut store, messages);
    (storage, store)
}

fn twenty() -> Vec<Given> {
    (0..20).map(|n| (n % 3, 200 + 50 * (n as usize % 4), n as u8 % 5, 0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_follower_becomes_its_leader(
        messages in prop::collection::vec(given(), 1..40),
        pieces in prop::collection::vec(1..3000usize, 1..20),
        behind in any::<bool>(),
        sync in any::<bool>(),
    ) {
        let (leader_storage, leader) = leader(&messages);
        let log = raw(&leader, 0);
        prop_assert_eq!(log.len() as u64, leader.reader().positions().end);
        let storage = MemoryStorage::default();
        let flush_mode = if sync { FlushMode::Sync } else { FlushMode::Async };
        let mut follower = open(&storage, Options { flush: flush_mode, ..small() }).unwrap();
        let mut rest = &log[..];
        for length in pieces.iter().cycle() {
            let (piece, behind_it) = rest.split_at((*length).min(rest.len()));
            let end = append(&mut follower, piece).unwrap();
            rest = behind_it;
            prop_assert_eq!(end, (log.len() - rest.len()) as u64);
            let positions = follower.reader().positions();
            prop_assert!(positions.visible <= positions.end && positions.end <= end);
            prop_assert_eq!(raw(&follower, 0), &log[..positions.end as usize]);
            if behind {
                flush(&mut follower, &storage);
                write_behind(&mut follower, &storage);
            }
            if rest.is_empty() {
                break;
            }
        }
        flush(&mut follower, &storage);
        for queue in 0..3 {
            // One that was only named by messages without entries is no queue of a store that finds them in a log.
            if leader.reader().offsets(b"T", queue).max > 0 {
                prop_assert_eq!(get(&follower, "T", queue, 0, 100), get(&leader, "T", queue, 0, 100));
            }
        }
        prop_assert_eq!(get(&follower, "%LMQ%two", 0, 0, 100), get(&leader, "%LMQ%two", 0, 0, 100));
        for key in 0..5 {
            prop_assert_eq!(lookup(&follower, &format!("key{key}")), lookup(&leader, &format!("key{key}")));
        }
        close(follower);
        close(leader);
        assert_same_files(&files(&storage), &files(&leader_storage), "follower and leader");
    }

    #[test]
    fn a_flipped_bit_is_refused_and_leaves_nothing_behind(
        messages in prop::collection::vec(given(), 5..20),
        length in 1..3000usize,
        place in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let (leader_storage, leader) = leader(&messages);
        let log = raw(&leader, 0);
        let mut bad = log.clone();
        bad[place.index(log.len())] ^= 1 << bit;
        let storage = MemoryStorage::default();
        let mut follower = open(&storage, small()).unwrap();
        let refused = bad.chunks(length).find_map(|piece| append(&mut follower, piece).err());
        let end = follower.reader().positions().end as usize;
        let blank = || bad[..] == raw(&follower, 0);
        prop_assert!(refused.is_some() || end < log.len() || blank(), "a flipped bit went in");
        if let Some(error) = &refused {
            prop_assert_eq!(error.code, Code::Corrupt, "{}", error);
            let at = follower.reader().raw_end();
            prop_assert!(error.details.contains(&("endOffset", Detail::Number(at as i64))));
        }
        if raw(&follower, 0) == log[..end] {
            // What went in before stands, and the right bytes go on behind it.
            let at = follower.reader().positions().end;
            follower.writer().unwrap().truncate(at).unwrap();
            append(&mut follower, &log[end..]).unwrap();
            close(follower);
            close(leader);
            assert_same_files(&files(&storage), &files(&leader_storage), "follower and leader");
        }
    }

    #[test]
    fn bytes_of_nothing_are_refused(bytes in prop::collection::vec(any::<u8>(), 8..5000), length in 1..2000usize) {
        let storage = MemoryStorage::default();
        let mut follower = open(&storage, small()).unwrap();
        let refused = bytes.chunks(length).find_map(|piece| append(&mut follower, piece).err());
        prop_assert!(refused.is_some_and(|error| error.code == Code::Corrupt));
        prop_assert_eq!(follower.reader().positions().end, 0);
        put_numbered(&mut follower, 3);
        prop_assert_eq!(all(&follower), numbered(0..3));
    }
}

#[test]
fn a_crash_with_half_a_record_leaves_the_whole_ones() {
    let (leader_storage, leader) = leader(&twenty());
    let log = raw(&leader, 0);
    for cut in [1, 7, 8, 100, 3000, 4000, 4090, 4096, 5000, log.len() - 1] {
        let storage = MemoryStorage::default();
        let mut follower = open(&storage, small()).unwrap();
        append(&mut follower, &log[..cut]).unwrap();
        let end = follower.reader().positions().end;
        let crashed = storage.snapshot();
        let mut again = open(&crashed, small()).unwrap();
        assert_eq!(again.reader().raw_end(), again.reader().positions().end);
        assert!((end..=end + 4096).contains(&again.reader().positions().end), "a blank that has begun may count as whole");
        let from = again.reader().raw_end() as usize;
        append(&mut again, &log[from..]).unwrap();
        close(again);
        close(follower);
        let (restored, _) = (open(&crashed, small()).unwrap(), &leader_storage);
        assert_eq!(raw(&restored, 0), log);
    }
}

#[test]
fn a_clean_close_with_half_a_record_is_clean() {
    let (_, leader) = leader(&twenty());
    let log = raw(&leader, 0);
    let storage = MemoryStorage::default();
    let mut follower = open(&storage, small()).unwrap();
    append(&mut follower, &log[..1000]).unwrap();
    let end = follower.reader().positions().end;
    assert!(end < 1000);
    close(follower);
    let mut again = open(&storage, small()).unwrap();
    assert!(again.reader().health().unwrap().clean);
    assert_eq!(again.reader().health().unwrap().findings, []);
    assert_eq!(append(&mut again, &log[end as usize..]).unwrap(), log.len() as u64);
}

#[test]
fn between_two_pieces_nothing_is_put() {
    let (_, leader) = leader(&twenty());
    let log = raw(&leader, 0);
    let mut follower = open(&MemoryStorage::default(), small()).unwrap();
    append(&mut follower, &log[..100]).unwrap();
    let (stored, error) = put(&mut follower, &[message(b"x", b"")]).unwrap_err();
    assert_eq!((stored, error.code), (0, Code::Busy));
    assert!(error.message.contains("100 bytes of a record that is not whole stand at 0"), "{error}");
    follower.writer().unwrap().truncate(0).unwrap();
    assert_eq!(follower.reader().raw_end(), 0);
    put_numbered(&mut follower, 2);
    assert_eq!(all(&follower), numbered(0..2));
}

#[test]
fn half_a_blank_can_be_taken_back() {
    let (_, leader) = leader(&twenty());
    let mut log = raw(&leader, 0);
    let mut follower = open(&MemoryStorage::default(), small()).unwrap();
    log[4090] = 0xee; // what stands behind the head of a blank has no meaning, and stays
    append(&mut follower, &log[..4095]).unwrap();
    let end = follower.reader().positions().end;
    assert_eq!(put(&mut follower, &[message(b"x", b"")]).unwrap_err().1.code, Code::Busy);
    append(&mut follower, &log[4095..4096]).unwrap();
    assert_eq!(follower.reader().positions().end, 4096);
    assert_eq!(raw(&follower, 0), &log[..4096]);
    follower.writer().unwrap().truncate(end).unwrap();
    append(&mut follower, &log[end as usize..4092]).unwrap();
    follower.writer().unwrap().truncate(end).unwrap();
    let (physical, _, _) = put(&mut follower, &[message(&[b'x'; 1000], b"")]).unwrap()[0];
    assert_eq!(physical, 4096);
    assert!(raw(&follower, 0)[end as usize + 8..4096].iter().all(|&byte| byte == 0), "nothing is left of the other blank");
}

#[test]
fn an_empty_store_starts_where_a_segment_does() {
    let (_, leader) = leader(&twenty());
    let (start, end) = (4096, leader.reader().positions().end);
    let storage = MemoryStorage::default();
    let mut follower = open(&storage, small()).unwrap();
    let error = follower.writer().unwrap().append_log(start + 1, b"x").unwrap_err();
    assert_eq!(error.code, Code::OffsetOutOfRange);
    follower.writer().unwrap().append_log(start, &raw(&leader, start)).unwrap();
    let positions = follower.reader().positions();
    assert_eq!((positions.min, positions.end), (start, end));
    for queue in 0..3 {
        let range = follower.reader().offsets(b"T", queue);
        let of_leader = leader.reader().offsets(b"T", queue);
        assert_eq!(range.max, of_leader.max);
        assert!(range.min > 0 && range.min < range.max, "{range:?}");
        assert_eq!(get(&follower, "T", queue, range.min, 100), get(&leader, "T", queue, range.min, 100));
    }
    close(follower);
    let again = open(&storage, small()).unwrap();
    assert_eq!(raw(&again, start), raw(&leader, start));
}

#[test]
fn bytes_for_another_place_are_refused() {
    let (_, leader) = leader(&twenty());
    let log = raw(&leader, 0);
    let mut follower = open(&MemoryStorage::default(), small()).unwrap();
    append(&mut follower, &log[..1000]).unwrap();
    for at in [0, 999, 1001, 4096, (1 << 53) - 1, u64::MAX] {
        let error = follower.writer().unwrap().append_log(at, &log[1000..1100]).unwrap_err();
        assert!(matches!(error.code, Code::OffsetOutOfRange | Code::InvalidArgument), "{error}");
    }
    assert_eq!(follower.reader().raw_end(), 1000);
    append(&mut follower, &log[1000..]).unwrap();
    // A record is only taken where it was written for, or its copy would be found at two places.
    let again = append(&mut follower, &log[..400]).unwrap_err();
    assert_eq!(again.code, Code::Corrupt);
    assert!(again.message.contains("says that it was written at 0"), "{again}");
}

#[test]
fn lengths_that_cannot_add_up_are_refused_before_the_bytes_have_come() {
    let (_, leader) = leader(&[(0, 300, 0, 0)]);
    let mut log = raw(&leader, 0);
    log[84..88].copy_from_slice(&1000_i32.to_be_bytes()); // the length of the body
    let mut follower = open(&MemoryStorage::default(), small()).unwrap();
    append(&mut follower, &log[..50]).unwrap();
    let error = append(&mut follower, &log[50..200]).unwrap_err();
    assert_eq!(error.code, Code::Corrupt);
    assert!(error.message.contains("its lengths cannot add up"), "{error}");
}

#[test]
fn the_raw_log_is_read_within_its_range() {
    let (_, leader) = leader(&twenty());
    let mut out = vec![1];
    let end = leader.reader().positions().end;
    leader.reader().read_log(end, 10, &mut out).unwrap();
    assert!(out.is_empty());
    leader.reader().read_log(4000, 10_000, &mut out).unwrap();
    assert_eq!(out.len(), 96, "never over the border of two segments");
    leader.reader().read_log(4096, 10, &mut out).unwrap();
    assert_eq!(out.len(), 10);
    let error = leader.reader().read_log(end + 1, 10, &mut out).unwrap_err();
    assert_eq!(error.code, Code::OffsetOutOfRange);
    assert!(error.message.contains(&format!("from is {}; the log goes from 0 to {end}", end + 1)), "{error}");
    let storage = MemoryStorage::default();
    let mut follower = open(&storage, small()).unwrap();
    follower.writer().unwrap().append_log(4096, &raw(&leader, 4096)).unwrap();
    assert_eq!(follower.reader().read_log(4095, 10, &mut out).unwrap_err().code, Code::OffsetOutOfRange);
}

#[test]
fn what_is_not_synced_yet_can_be_copied_but_not_seen() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { flush: FlushMode::Sync, ..small() }).unwrap();
    put_numbered(&mut store, 3);
    assert_eq!(all(&store), [""; 0]);
    assert_eq!(raw(&store, 0).len() as u64, store.reader().positions().end);
    flush(&mut store, &storage);
    assert_eq!(all(&store), numbered(0..3));
}

#[test]
fn who_watches_a_queue_is_told_of_what_comes_in_and_can_be_seen() {
    let (_, leader) = leader(&twenty());
    let log = raw(&leader, 0);
    let mut follower = open(&MemoryStorage::default(), small()).unwrap();
    let (watch, _) = follower.watch(0, b"T", 2).unwrap();
    let arrivals = |store: &mut Store| {
        let mut pairs = [0.0; 8];
        let count = store.take_arrivals(0, &mut pairs);
        pairs[..2 * count].to_vec()
    };
    let third = leader.reader().entries(b"T", 2, 0, 1).unwrap().1[0].end() as usize;
    append(&mut follower, &log[..third - 1]).unwrap();
    assert!(arrivals(&mut follower).is_empty());
    append(&mut follower, &log[third - 1..third]).unwrap();
    assert_eq!(arrivals(&mut follower), [f64::from(watch), 1.0]);

    follower.writer().unwrap().confirm(third as u64).unwrap();
    append(&mut follower, &log[third..]).unwrap();
    assert!(arrivals(&mut follower).is_empty());
    // What is there but hidden goes, and something else comes instead.
    follower.writer().unwrap().truncate(third as u64).unwrap();
    let mut other = message(b"x", b"");
    other.queue_id = 2;
    put(&mut follower, &[other]).unwrap();
    assert!(arrivals(&mut follower).is_empty());
    follower.writer().unwrap().confirm(u64::MAX).unwrap();
    assert_eq!(arrivals(&mut follower), [f64::from(watch), 2.0]);
}

mod confirm {
    use super::*;

    #[test]
    fn nothing_above_it_is_seen() {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        let puts = put_numbered(&mut store, 10);
        let ends: Vec<u64> = puts.iter().map(|&(at, _, size)| at + size).collect();
        assert_eq!(store.writer().unwrap().confirm(ends[4]).unwrap(), ends[4]);
        assert_eq!(store.reader().positions().visible, ends[4]);
        assert_eq!(store.reader().offsets(b"T", 0).max, 5);
        assert_eq!(store.reader().offsets(b"T", 0).next, 10);
        assert_eq!(all(&store), numbered(0..5));
        assert_eq!(lookup(&store, "k7"), [""; 0]);
        assert_eq!(lookup(&store, "k3"), ["m3"]);
        assert_eq!(get(&store, "T", 0, 5, 10).unwrap().0, GetStatus::OffsetOverflowOne);
        put_number(&mut store, 10);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
        assert_eq!(all(&store), numbered(0..5), "also after entries went to their files");
        assert_eq!(store.writer().unwrap().confirm(u64::MAX).unwrap(), store.reader().positions().end);
        assert_eq!(all(&store), numbered(0..11));
        put_number(&mut store, 11);
        assert_eq!(all(&store), numbered(0..11), "what is put later is to be confirmed, too");
        close(store);
        assert_eq!(all(&open(&storage, small()).unwrap()), numbered(0..12));
    }

    #[test]
    fn it_counts_whole_records_and_never_falls() {
        let mut store = open(&MemoryStorage::default(), small()).unwrap();
        let puts = put_numbered(&mut store, 60);
        let mut last = 0;
        for &(at, _, size) in &puts {
            for asked in [at, at + 1, at + size - 1, at + size] {
                let confirmed = store.writer().unwrap().confirm(asked).unwrap();
                assert!(confirmed == at + size || confirmed <= at, "{confirmed} for {asked}");
                assert!(confirmed >= last && confirmed <= asked);
                assert_eq!(store.writer().unwrap().confirm(asked / 2).unwrap(), confirmed);
                last = confirmed;
            }
        }
        assert_eq!(all(&store), numbered(0..60));
    }

    #[test]
    fn the_first_one_hides_what_files_hold() {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        let puts = put_numbered(&mut store, 40);
        close(store);
        // The checkpoint names the last record as of the last open.
        close(open(&storage, small()).unwrap());
        let files_before = files(&storage);
        for n in [0, 1, 9, 10, 11, 25, 39, 40] {
            let mut store = open(&storage, small()).unwrap();
            let at = puts.get(n).map_or(store.reader().positions().end, |put| put.0);
            let confirmed = store.writer().unwrap().confirm(at + 3).unwrap();
            assert!(confirmed <= at);
            assert_eq!(all(&store), numbered(0..n));
            assert_eq!(store.reader().offsets(b"T", 0).max, n as u64);
            let later = puts.get(n + 5).map_or(u64::MAX, |put| put.0);
            store.writer().unwrap().confirm(later).unwrap();
            assert_eq!(all(&store), numbered(0..if later == u64::MAX { 40 } else { n + 5 }));
            close(store);
            assert_eq!(files(&storage), files_before);
        }
    }

    #[test]
    fn a_synchronous_store_shows_what_is_both_confirmed_and_durable() {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, Options { flush: FlushMode::Sync, ..small() }).unwrap();
        let puts = put_numbered(&mut store, 4);
        store.writer().unwrap().confirm(puts[2].0).unwrap();
        assert_eq!(all(&store), [""; 0]);
        flush(&mut store, &storage);
        assert_eq!(all(&store), numbered(0..2));
    }
}
