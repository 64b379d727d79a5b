//! No bytes make the reading of records panic, and a record with its own CRC does not lose or gain a bit unnoticed.

use moraine_core::format::record::{Flaw, Head, MAGIC_V1, MAGIC_V2, MIN_BYTES, Record, head, store_timestamp_of};
use proptest::prelude::*;

use crate::messages::{Message, any_message, host};

/// Reads the record at the start of a log as a scan does: size from the head, then the bytes it says.
fn read(log: &[u8]) -> Result<Record<'_>, String> {
    let first = log.first_chunk().ok_or("fewer than 8 bytes")?;
    let size = match head(first) {
        Head::Record { size } => size as usize,
        Head::Bad(flaw) => return Err(flaw.to_string()),
        other => panic!("{other:?} instead of a record or a flaw"),
    };
    let bytes = log.get(..size).ok_or("reaches beyond the log")?;
    let record = Record::parse(bytes).map_err(|flaw| flaw.to_string())?;
    record.check().map_err(|flaw| flaw.to_string())?;
    Ok(record)
}

/// Everything that reads a record, on whatever bytes.
fn read_all_of(bytes: &[u8]) {
    if let Some(first) = bytes.first_chunk() {
        let _ = head(first);
    }
    let _ = store_timestamp_of(bytes);
    match Record::parse(bytes) {
        Err(flaw) => assert!(!flaw.to_string().is_empty()),
        Ok(record) => {
            let _ = record.check().map_err(|flaw| flaw.to_string());
            let fields = (record.size(), record.magic(), record.body_crc(), record.queue_id(), record.flag(), record.sys_flag());
            let offsets = (record.queue_offset(), record.physical_offset(), record.prepared_transaction_offset());
            let times = (record.born_timestamp(), record.store_timestamp(), record.reconsume_times());
            let hosts = (record.born_host(), record.store_host());
            std::hint::black_box((fields, offsets, times, hosts));
            let parts = record.body().len() + record.topic().len() + record.properties().len();
            assert!(parts + MIN_BYTES as usize <= bytes.len());
        }
    }
}

fn shapes() -> Vec<Message> {
    let v6 = host("[2001:db8::2]:40001");
    vec![
        Message { body: Vec::new(), ..Message::plain() },
        Message { properties: b"TAGS\x01TagA".to_vec(), ..Message::plain() },
        Message { born_host: v6, properties: b"KEYS\x01a b\x02".to_vec(), ..Message::plain() },
        Message { store_host: v6, ..Message::plain() },
        Message { born_host: v6, store_host: v6, topic: vec![b'g'; 200], ..Message::plain() },
        Message { body: vec![0; 100], ..Message::plain() },
        Message { body: (0..=255).cycle().take(5000).collect(), ..Message::plain() },
    ]
}

#[test]
fn every_flipped_bit_is_noticed() {
    for message in shapes() {
        let mut log = message.written(true);
        let size = log.len();
        // What follows must not help to make sense of a wrong size.
        log.extend_from_slice(&Message::plain().written(true));
        log.resize(log.len() + 40_000, 0);
        assert_eq!(read(&log).expect("intact").size() as usize, size);
        for bit in 0..8 * size {
            log[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&log).is_err(), "bit {bit} of {size} bytes");
            log[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn the_crc_property_is_known_by_its_shape_with_two_bits_of_it_changed() {
    let written = Message::plain().written(true);
    let at = written.len() - 20;
    let frame: Vec<usize> = (0..9).chain(19..20).flat_map(|byte| 8 * (at + byte)..8 * (at + byte + 1)).collect();
    for (n, &one) in frame.iter().enumerate() {
        for &other in &frame[n..] {
            let mut damaged = written.clone();
            damaged[one / 8] ^= 1 << (one % 8);
            if other != one {
                damaged[other / 8] ^= 1 << (other % 8);
            }
            assert_eq!(Record::parse(&damaged).expect("lengths hold").check(), Err(Flaw::RecordCrcName), "bits {one} and {other}");
        }
    }
}

#[test]
fn the_crc_property_behind_a_sector_that_was_lost_is_known_wherever_the_border_is() {
    let properties = format!("TAGS\u{1}{}\u{2}", "t".repeat(600)).into_bytes();
    let written = Message { properties, ..Message::plain() }.written(true);
    for border in written.len() - 21..=written.len() {
        let mut torn = written.clone();
        torn[border - 512..border].fill(0);
        assert!(Record::parse(&torn).expect("lengths hold").check().is_err(), "border {border} of {}", written.len());
    }
}

#[test]
fn a_property_of_another_name_is_no_damage() {
    for properties in ["__CRC64!\x010123456789\x02", "__crc32#\x010123456789\x02", "__CRC32\x010123456789\x02", "_CRC32#\x010123456789\x02"]
    {
        let written = Message { properties: properties.into(), ..Message::plain() }.written(false);
        assert_eq!(Record::parse(&written).expect("a record").check(), Ok(()), "{properties:?}");
    }
}

#[test]
fn digits_that_are_none_are_damage() {
    let mut written = Message { queue_offset: 1, ..Message::plain() }.written(true);
    let digit = written.len() - 2;
    written[digit] = b'x';
    let flaw = Record::parse(&written).expect("lengths hold").check().expect_err("no digit");
    assert_eq!(flaw.to_string(), "CRC of the record is 838158564, its property __CRC32# holds no number");
}

#[test]
fn the_first_bytes_tell_records_blanks_and_room_apart() {
    let of = |size: i32, magic: u32| {
        let mut first = [0; 8];
        first[..4].copy_from_slice(&size.to_be_bytes());
        first[4..].copy_from_slice(&magic.to_be_bytes());
        head(&first)
    };
    assert_eq!(of(0, 0), Head::Empty);
    assert_eq!(of(91, MAGIC_V1), Head::Record { size: 91 });
    assert_eq!(of(i32::MAX, MAGIC_V2), Head::Record { size: i32::MAX as u32 });
    assert_eq!(of(90, MAGIC_V1), Head::Bad(Flaw::Size { said: 90 }));
    assert_eq!(of(-1, MAGIC_V2), Head::Bad(Flaw::Size { said: -1 }));
    assert_eq!(of(8, 0xCBD4_3194), Head::Blank { size: 8 });
    assert_eq!(of(7, 0xCBD4_3194), Head::Bad(Flaw::BlankSize { said: 7 }));
    assert_eq!(of(i32::MIN, 0xCBD4_3194), Head::Bad(Flaw::BlankSize { said: i32::MIN }));
    assert_eq!(of(91, 0), Head::Bad(Flaw::Magic { found: 0 }));
    assert_eq!(of(0, 1), Head::Bad(Flaw::Magic { found: 1 }));
}

#[test]
fn lengths_that_do_not_add_up_are_named() {
    let written = Message { properties: b"A\x01b\x02".to_vec(), ..Message::plain() }.written(false);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = written.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        Record::parse(&changed).expect_err("a wrong length")
    };
    // body length at 84, body 88..102, topic length at 102, topic 103..112, length of the properties at 112
    assert_eq!(with(84, &(-1_i32).to_be_bytes()), Flaw::BodyLength { said: -1 });
    assert_eq!(with(84, &i32::MAX.to_be_bytes()), Flaw::BodyLength { said: i32::MAX });
    assert_eq!(with(102, &[0xFF]), Flaw::TopicLength { said: -1 });
    assert_eq!(with(102, &[14]), Flaw::TopicLength { said: 14 });
    assert_eq!(with(112, &(-2_i16).to_be_bytes()), Flaw::PropertiesLength { said: -2 });
    assert_eq!(with(112, &5_i16.to_be_bytes()), Flaw::PropertiesLength { said: 5 });
    assert_eq!(with(112, &3_i16.to_be_bytes()), Flaw::Sum { said: 118, sum: 117 });
    // hosts of 20 bytes each in the smallest of records
    let mut smallest = Message { topic: Vec::new(), body: Vec::new(), ..Message::plain() }.written(false);
    smallest[39] = 0x30;
    assert_eq!(Record::parse(&smallest).expect_err("no room"), Flaw::Sum { said: 91, sum: 115 });

    let cut = &written[..written.len() - 1];
    assert_eq!(Record::parse(cut).expect_err("cut"), Flaw::Incomplete { said: 118, given: 117 });
}

#[test]
fn a_record_cut_anywhere_is_no_record() {
    let written = Message::plain().written(true);
    for length in 0..written.len() {
        assert!(Record::parse(&written[..length]).is_err(), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_is_noticed(message in any_message(), place in any::<prop::sample::Index>()) {
        let mut log = message.written(true);
        let bit = place.index(8 * log.len());
        log[bit / 8] ^= 1 << (bit % 8);
        log.resize(log.len() + 10_000, 0);
        prop_assert!(read(&log).is_err());
    }

    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all_of(&bytes);
    }

    #[test]
    fn any_change_to_a_record_can_be_read(
        message in any_message(),
        record_crc in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = message.written(record_crc);
        for (place, byte) in changes {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        read_all_of(&bytes);
        // A size that holds lets the reading go on to the lengths behind it.
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        if bytes.len() >= 8 {
            let size = (bytes.len() as u32).to_be_bytes();
            bytes[..4].copy_from_slice(&size);
            bytes[4..8].copy_from_slice(&MAGIC_V2.to_be_bytes());
        }
        read_all_of(&bytes);
    }

    #[test]
    fn any_length_field_can_be_read(message in any_message(), value in any::<i32>(), field in 0..4_usize) {
        let mut bytes = message.written(false);
        let body_at = bytes.len() - message.properties.len() - 2 - message.topic.len()
            - if message.topic.len() > 127 { 2 } else { 1 } - message.body.len();
        let at = match field {
            0 => 36,
            1 => body_at - 4,
            2 => body_at + message.body.len(),
            _ => bytes.len() - message.properties.len() - 2,
        };
        let room = (bytes.len() - at).min(4);
        bytes[at..at + room].copy_from_slice(&value.to_be_bytes()[..room]);
        read_all_of(&bytes);
    }
}
