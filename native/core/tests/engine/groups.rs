//! Groups: RocketMQ's plain batch, whose messages stay together.

use crate::support::*;
use crate::vectors::{number, text, vector};
use moraine_core::batch::{self, BatchMessage};
use moraine_core::engine::put::{RESULT_HEADER, RESULT_STRIDE};
use moraine_core::error::{Code, Error};
use moraine_core::format::record::{Address, Host};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

fn put_group(store: &mut Store, messages: &[BatchMessage<'_>]) -> Result<Vec<Put>, (usize, Error)> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| batch::encode(message, &mut bytes));
    let mut results = vec![0.0; RESULT_HEADER + RESULT_STRIDE * messages.len()];
    let count = store.writer().map_err(|e| (0, e))?.put_group(&bytes, &mut results)?;
    let each = results[RESULT_HEADER..RESULT_HEADER + RESULT_STRIDE * count].chunks(RESULT_STRIDE);
    Ok(each.map(|numbers| (numbers[0] as u64, numbers[1] as u64, numbers[2] as u64)).collect())
}

fn bytes_of(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

#[test]
fn the_records_of_a_group_are_rocketmqs() {
    let vector = vector("putMessages.batch2");
    let storage = MemoryStorage::default();
    let options = Options { record_crc: false, ..small() };
    let mut store = open_at(&storage, options, &MemoryClock::at(1_700_000_000_123)).unwrap();
    let first = BatchMessage {
        topic: b"TopicTest",
        queue_id: 3,
        born_timestamp: 1_700_000_000_000,
        born_host: Host { address: Address::V4([10, 0, 0, 1]), port: 40_001 },
        ..message(b"b1", b"KEYS\x01KeyA\x02WAIT\x01true\x02TAGS\x01TagA\x02")
    };
    let second = BatchMessage { body: b"body-2", properties: b"KEYS\x01KeyB\x02WAIT\x01true\x02TAGS\x01TagB\x02", ..first };
    let before = number(&vector.inputs["queueOffset"]) as usize;
    put(&mut store, &vec![first; before]).unwrap();
    let stored = put_group(&mut store, &[first, second]).unwrap();
    let [(one, ..), (two, ..)] = stored[..] else { panic!("two messages") };
    assert_eq!(stored.iter().map(|&(_, queue_offset, _)| queue_offset).collect::<Vec<_>>(), [10, 11]);
    assert_eq!(stored.iter().map(|&(.., size)| size as i64).sum::<i64>(), number(&vector.expected["wroteBytes"]));
    // The vector's records lie at 64, where no record of a log of its own can.
    let mut expected = bytes_of(text(&vector.expected["hex"]));
    expected[28..36].copy_from_slice(&one.to_be_bytes());
    expected[132 + 28..132 + 36].copy_from_slice(&two.to_be_bytes());
    let log = storage.contents("commitlog/00000000000000000000").unwrap();
    assert_eq!(log[one as usize..one as usize + expected.len()], expected);
}

#[test]
fn a_group_goes_to_the_next_file_as_a_whole_when_it_does_not_fit_the_rest() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let body = [0; 500];
    let size = put(&mut store, &[message(&body, b"")]).unwrap()[0].2;
    // Six fit the first file with the header of its blank, seven do not.
    let group = vec![message(&body, b""); 3];
    let fits = put_group(&mut store, &group).unwrap();
    assert_eq!(fits.iter().map(|&(at, ..)| at).collect::<Vec<_>>(), [size, 2 * size, 3 * size]);
    let next = put_group(&mut store, &group).unwrap();
    assert_eq!(next.iter().map(|&(at, ..)| at).collect::<Vec<_>>(), [4096, 4096 + size, 4096 + 2 * size]);
    assert_eq!(next.iter().map(|&(_, offset, _)| offset).collect::<Vec<_>>(), [4, 5, 6]);
    let at_end = put(&mut store, &[message(b"", b"")]).unwrap()[0];
    assert_eq!(at_end.0, 4096 + 3 * size, "the end of the group is where the next message goes");
}

#[test]
fn a_group_that_fills_a_file_to_its_blank_fits_and_one_byte_more_does_not() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let empty = put(&mut store, &[message(b"", b"")]).unwrap()[0].2 as usize;
    let body = vec![0; 4096 - 8 - 2 * empty];
    let largest = [message(&body, b""), message(b"", b"")];
    assert_eq!(put_group(&mut store, &largest).unwrap()[0].0, 4096);
    let body = vec![0; body.len() + 1];
    let (stored, error) = put_group(&mut store, &[message(&body, b""), message(b"", b"")]).unwrap_err();
    assert_eq!((stored, error.code), (0, Code::MessageTooLarge), "{error}");
    assert_eq!(store.reader().positions().end, 4096 + 4088, "nothing was written, not even a blank");
    assert_eq!(store.reader().offsets(b"T", 0).next, 3);
}

#[test]
fn what_may_not_be_in_a_group_keeps_all_of_it_out() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let good = message(b"good", b"");
    for (bad, argument) in [
        (BatchMessage { topic: b"Other", ..good }, "topic"),
        (BatchMessage { queue_id: 1, ..good }, "queueId"),
        (BatchMessage { sys_flag: 0x4, ..good }, "sysFlag"),
        (BatchMessage { sys_flag: 0x8, ..good }, "sysFlag"),
        (BatchMessage { sys_flag: 0xC, ..good }, "sysFlag"),
        (BatchMessage { sys_flag: 0x80, ..good }, "sysFlag"),
        (BatchMessage { prepared_transaction_offset: 5, ..good }, "preparedTransactionOffset"),
        (BatchMessage { properties: b"DELAY\x013\x02", ..good }, "properties"),
    ] {
        let (stored, error) = put_group(&mut store, &[good, bad]).unwrap_err();
        assert_eq!((stored, error.code), (0, Code::InvalidArgument), "{error}");
        assert!(error.to_string().contains(argument) || format!("{error:?}").contains(argument), "{error:?}");
    }
    assert_eq!(put_group(&mut store, &[]).unwrap_err().1.code, Code::InvalidArgument);
    assert_eq!(store.reader().positions().end, 0);
    put_group(&mut store, &[BatchMessage { properties: b"DELAY\x010\x02", ..good }]).unwrap();
    assert_eq!(all(&store), ["good"]);
}

#[test]
fn a_group_is_read_back_by_queue_and_key_also_after_everything_derived_was_lost() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    for group in 0..8 {
        let texts: Vec<_> = (0..5).map(|n| (format!("m{}", 5 * group + n), format!("KEYS\u{1}k{}\u{2}", 5 * group + n))).collect();
        let messages: Vec<_> = texts.iter().map(|(body, properties)| message(body.as_bytes(), properties.as_bytes())).collect();
        put_group(&mut store, &messages).unwrap();
    }
    let assert_complete = |store: &Store| {
        assert_eq!(all(store), numbered(0..40));
        (0..40).for_each(|n| assert_eq!(lookup(store, &format!("k{n}")), [format!("m{n}")]));
    };
    assert_complete(&store);
    close(store);
    storage.remove_tree("consumequeue");
    storage.remove_tree("index");
    assert_complete(&open(&storage, small()).unwrap());
}

#[test]
fn a_group_goes_to_no_light_queue_now_or_after_its_queues_were_lost() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let properties = b"INNER_MULTI_DISPATCH\x01%LMQ%a\x02INNER_MULTI_QUEUE_OFFSET\x010\x02K\x01v\x02";
    put_group(&mut store, &[message(b"m0", properties)]).unwrap();
    assert_eq!(store.reader().topics(), ["T"]);
    let log = storage.contents("commitlog/00000000000000000000").unwrap();
    assert!(log.windows(29).any(|bytes| bytes == b"INNER_MULTI_DISPATCH\x01%LMQ%a\x02K"), "the rest of the string is kept");
    close(store);
    storage.remove_tree("consumequeue");
    assert_eq!(open(&storage, small()).unwrap().reader().topics(), ["T"]);
}
