//! Index files are RocketMQ's: header, slots, entries, and how a put changes them.

use moraine_core::format::hash::{index_key_hash, java_hash};
use moraine_core::format::index_file::{Geometry, Header, IndexEntry, decode_slot, file_name, parse_file_name, time_diff};
use moraine_core::options::Options;
use proptest::prelude::*;

use crate::vectors::{Vector, hex, number, text, vector};

/// An index file in memory.
struct File {
    geometry: Geometry,
    header: Header,
    bytes: Vec<u8>,
}

impl File {
    fn new(geometry: Geometry, header: Header) -> File {
        let bytes = vec![0; usize::try_from(geometry.file_bytes()).expect("a size")];
        File { geometry, header, bytes }
    }

    fn array<const N: usize>(&self, at: u64) -> [u8; N] {
        *self.bytes[usize::try_from(at).expect("a position")..].first_chunk().expect("within the file")
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        let at = usize::try_from(at).expect("a position");
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put(&mut self, key: &str, physical: i64, store_timestamp: i64) {
        let key_hash = index_key_hash(java_hash(0, key.as_bytes()));
        let slot_at = self.geometry.slot_at(self.geometry.slot_of(key_hash));
        let previous = decode_slot(&self.array(slot_at), self.header.count);
        let number = self.header.count;
        let entry = self.header.add(key_hash, physical, store_timestamp, previous);
        self.write(self.geometry.entry_at(number), &entry.encode());
        self.write(slot_at, &number.to_be_bytes());
        let header = self.header.encode();
        self.write(0, &header);
    }

    /// Makes the puts of a vector: `(key,physical,time),(…)`.
    fn put_all(&mut self, vector: Vector) {
        for put in text(&vector.inputs["puts"]).trim_matches(['(', ')']).split("),(") {
            let mut parts = put.split(',');
            let mut next = || parts.next().expect("key, physical offset and time");
            let (key, physical, time) = (next(), next(), next());
            self.put(key, physical.parse().expect("an offset"), time.parse().expect("a time"));
        }
    }

    fn find(&self, key: &str) -> Vec<i64> {
        let key_hash = index_key_hash(java_hash(0, key.as_bytes()));
        let mut number = decode_slot(&self.array(self.geometry.slot_at(self.geometry.slot_of(key_hash))), self.header.count);
        let mut found = Vec::new();
        while number != 0 {
            let entry = IndexEntry::decode(&self.array(self.geometry.entry_at(number)));
            if entry.key_hash == key_hash {
                found.push(entry.physical);
            }
            number = entry.previous;
        }
        found
    }

    fn hex_of(&self, from: u64, to: u64) -> String {
        hex(&self.bytes[usize::try_from(from).expect("a position")..usize::try_from(to).expect("a position")])
    }
}

const SMALL: Geometry = Geometry { slots: 16, entries: 32 };

#[test]
fn a_file_is_rocketmqs_byte_for_byte() {
    let vector = vector("index.file");
    let expected = vector.expected;
    let slots = u32::try_from(number(&vector.inputs["hashSlotNum"])).expect("a u32");
    let entries = u32::try_from(number(&vector.inputs["indexNum"])).expect("a u32");
    let mut file = File::new(Geometry { slots, entries }, Header::default());
    file.put_all(vector);

    let geometry = file.geometry;
    assert_eq!(geometry.file_bytes().cast_signed(), number(&expected["fileSize"]));
    assert_eq!(file.hex_of(0, geometry.slot_at(0)), text(&expected["headerHex"]));
    assert_eq!(file.hex_of(geometry.slot_at(0), geometry.entry_at(0)), text(&expected["slotsHex"]));
    assert_eq!(file.hex_of(geometry.entry_at(0), geometry.entry_at(5)), text(&expected["entries0to4Hex"]));
    let found = file.find("TopicTest#KeyA");
    assert_eq!(serde_json::json!(found), expected["selectKeyA"]);
    assert!(file.find("TopicTest#KeyB").is_empty());
}

#[test]
fn the_first_entry_after_a_roll_tells_its_time_from_the_file_before() {
    let vector = vector("index.rolledFile");
    let expected = vector.expected;
    let previous = Header {
        end_physical: number(&vector.inputs["prevEndPhyOffset"]),
        end_timestamp: number(&vector.inputs["prevEndTimestamp"]),
        ..Header::default()
    };
    let mut file = File::new(SMALL, Header::following(&previous));
    file.put_all(vector);
    assert_eq!(file.hex_of(0, 40), text(&expected["headerHex"]));
    assert_eq!(file.hex_of(SMALL.entry_at(1), SMALL.entry_at(2)), text(&expected["entry1Hex"]));
    assert_eq!(file.hex_of(SMALL.entry_at(2), SMALL.entry_at(3)), text(&expected["entry2Hex"]));
}

#[test]
fn an_empty_file_counts_from_one() {
    assert_eq!(Header::decode(&[0; Header::BYTES]).count, 1);
    assert_eq!(Header::decode(&Header::default().encode()), Header::default());
    let mut negative = Header::default().encode();
    negative[32..].copy_from_slice(&[0xFF; 8]);
    assert_eq!(Header::decode(&negative), Header::default());
}

#[test]
fn a_slot_that_leads_nowhere_is_empty() {
    assert_eq!(decode_slot(&7_i32.to_be_bytes(), 7), 7);
    assert_eq!(decode_slot(&8_i32.to_be_bytes(), 7), 0);
    assert_eq!(decode_slot(&(-1_i32).to_be_bytes(), 7), 0);
    assert_eq!(decode_slot(&i32::MIN.to_be_bytes(), u32::MAX), 0);
}

#[test]
fn the_geometry_follows_from_the_length_of_a_file_with_rocketmqs_proportion() {
    let options = Options::default();
    let default = Geometry { slots: options.index_slots, entries: options.index_entries };
    assert_eq!(default.file_bytes().cast_signed(), number(&vector("consts").expected["indexFileDefaultSize"]));
    assert_eq!(Geometry::from_file_bytes(default.file_bytes()), Some(default));
    for wrong in [0, 40, 41, SMALL.file_bytes(), default.file_bytes() - 1, u64::MAX, 40 + 84 * (i32::MAX as u64)] {
        assert_eq!(Geometry::from_file_bytes(wrong), None, "{wrong} bytes");
    }
    let empty = Geometry { slots: 0, entries: 0 };
    assert_eq!(empty.slot_of(5), 0);
}

#[test]
fn times_are_whole_seconds_within_bounds() {
    assert_eq!(time_diff(0, 5000), 0);
    assert_eq!(time_diff(-1, 5000), 0);
    assert_eq!(time_diff(1000, 2999), 1);
    assert_eq!(time_diff(5000, 4001), 0);
    assert_eq!(time_diff(5000, 1000), 0);
    assert_eq!(time_diff(1, i64::MAX), i32::MAX);
    assert_eq!(time_diff(1, i64::MIN), 0);
}

#[test]
fn names_are_local_times() {
    for (local_ms, name) in [
        (0, "19700101000000000"),
        (951_827_696_789, "20000229123456789"),
        (1_700_000_000_123, "20231114221320123"),
        (1_709_251_199_999, "20240229235959999"),
        (4_107_542_400_000, "21000301000000000"),
        (253_402_300_799_999, "99991231235959999"),
    ] {
        assert_eq!(file_name(local_ms), name);
        assert_eq!(parse_file_name(name), Some(local_ms), "{name}");
    }
    assert_eq!(file_name(i64::MAX), "99991231235959999");
    assert_eq!(file_name(i64::MIN), "19700101000000000");
    for wrong in [
        "",
        "2023111422132012",
        "202311142213201234",
        "2023111422132012x",
        "20230229000000000",
        "20231301000000000",
        "20231100000000000",
        "20230001000000000",
        "20231114240000000",
        "20231114006000000",
        "20231114000060000",
        "00000000000000000",
        "99999999999999999",
    ] {
        assert_eq!(parse_file_name(wrong), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn every_moment_has_its_name(local_ms in 0..=253_402_300_799_999_i64) {
        prop_assert_eq!(parse_file_name(&file_name(local_ms)), Some(local_ms));
        prop_assert!(file_name(local_ms) <= file_name(local_ms + 1));
    }

    #[test]
    fn entries_read_back(key_hash in any::<u32>(), physical in any::<i64>(), time_diff in any::<i32>(), previous in 0..=i32::MAX as u32) {
        let entry = IndexEntry { key_hash, physical, time_diff, previous };
        prop_assert_eq!(IndexEntry::decode(&entry.encode()), entry);
    }

    #[test]
    fn any_bytes_can_be_read(
        header in any::<[u8; 40]>(),
        entry in any::<[u8; 20]>(),
        bytes in any::<u64>(),
        put in any::<(u32, i64, i64)>(),
    ) {
        let mut header = Header::decode(&header);
        prop_assert!(header.count >= 1);
        let _ = (IndexEntry::decode(&entry), Geometry::from_file_bytes(bytes), Header::following(&header));
        let (key_hash, physical, time) = put;
        let entry = header.add(key_hash, physical, time, 0);
        prop_assert!(entry.time_diff >= 0 && header.count >= 2);
    }
}
