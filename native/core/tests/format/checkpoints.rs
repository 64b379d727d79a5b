//! The checkpoint is RocketMQ's.

use moraine_core::format::checkpoint::Checkpoint;
use proptest::prelude::*;

use crate::vectors::{hex, number, text, vector};

#[test]
fn a_checkpoint_is_rocketmqs() {
    let vector = vector("checkpoint");
    let checkpoint = Checkpoint {
        physic: number(&vector.inputs["physic"]),
        logics: number(&vector.inputs["logics"]),
        index: number(&vector.inputs["index"]),
        master_flushed_offset: number(&vector.inputs["masterFlushedOffset"]),
        confirm_offset: number(&vector.inputs["confirmPhyOffset"]),
    };
    let encoded = checkpoint.encode();
    assert_eq!(encoded.len() as i64, number(&vector.expected["fileSize"]));
    assert_eq!(hex(&encoded[..40]), text(&vector.expected["first40Hex"]));
    assert!(encoded[40..].iter().all(|&byte| byte == 0));
    assert_eq!(Checkpoint::decode(&encoded), checkpoint);
    assert_eq!(checkpoint.min_timestamp(), number(&vector.expected["minTimestamp"]));
}

#[test]
fn fields_that_are_not_there_are_zero() {
    let full = Checkpoint { physic: 1, logics: 2, index: 3, master_flushed_offset: 4, confirm_offset: 5 };
    let encoded = full.encode();
    let of_4_9 = Checkpoint { master_flushed_offset: 0, confirm_offset: 0, ..full };
    assert_eq!(Checkpoint::decode(&encoded[..24]), of_4_9);
    assert_eq!(Checkpoint::decode(&encoded[..31]), of_4_9);
    assert_eq!(Checkpoint::decode(&[]), Checkpoint::default());
}

#[test]
fn the_oldest_time_is_never_negative() {
    assert_eq!(Checkpoint { physic: 2999, logics: 5000, ..Checkpoint::default() }.min_timestamp(), 0);
    assert_eq!(Checkpoint { physic: i64::MIN, ..Checkpoint::default() }.min_timestamp(), 0);
    assert_eq!(Checkpoint { physic: 9000, logics: 8000, ..Checkpoint::default() }.min_timestamp(), 5000);
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let checkpoint = Checkpoint::decode(&bytes);
        prop_assert!(checkpoint.min_timestamp() >= 0);
        prop_assert_eq!(Checkpoint::decode(&checkpoint.encode()), checkpoint);
    }
}
