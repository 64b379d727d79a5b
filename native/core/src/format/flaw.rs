//! Why bytes are not a record.

use core::fmt;

use crate::format::record_crc;

/// What is wrong with bytes that should be a record. Displays as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The first field is no size that a record can have.
    Size {
        said: i32,
    },
    /// The size of a blank is too small for its header.
    BlankSize {
        said: i32,
    },
    Magic {
        found: u32,
    },
    /// There are other than TOTALSIZE bytes: `given` of them.
    Incomplete {
        said: u32,
        given: usize,
    },
    /// A length is negative or reaches beyond the record.
    BodyLength {
        said: i32,
    },
    TopicLength {
        said: i16,
    },
    PropertiesLength {
        said: i16,
    },
    /// The fields take `sum` bytes.
    Sum {
        said: u32,
        sum: usize,
    },
    BodyCrc {
        said: u32,
        computed: u32,
    },
    RecordCrc {
        said: [u8; 10],
        computed: u32,
    },
    /// The last property was the record's CRC, before one or two bits of its name, separator or end changed.
    RecordCrcName,
}

impl Flaw {
    /// The lengths in the bytes contradict each other: one of them is wrong, maybe the size of all.
    pub fn is_about_lengths(self) -> bool {
        !matches!(self, Flaw::Magic { .. } | Flaw::BodyCrc { .. } | Flaw::RecordCrc { .. } | Flaw::RecordCrcName)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Flaw::Size { said } => write!(f, "record size is {said}, the smallest record has {} bytes", super::record::MIN_BYTES),
            Flaw::BlankSize { said } => write!(f, "size of the blank is {said}, the smallest has 8 bytes"),
            Flaw::Magic { found } => write!(f, "magic is 0x{found:08X}, neither a record's nor a blank's"),
            Flaw::Incomplete { said, given } => write!(f, "record says {said} bytes, there are {given}"),
            Flaw::BodyLength { said } => write!(f, "body length is {said}, which the record has no room for"),
            Flaw::TopicLength { said } => write!(f, "topic length is {said}, which the record has no room for"),
            Flaw::PropertiesLength { said } => write!(f, "length of the properties is {said}, which the record has no room for"),
            Flaw::Sum { said, sum } => write!(f, "record says {said} bytes, its fields take {sum}"),
            Flaw::BodyCrc { said, computed } => write!(f, "body CRC is 0x{computed:08X}, record says 0x{said:08X}"),
            Flaw::RecordCrc { said, computed } => match record_crc::number(&said) {
                Some(said) => write!(f, "CRC of the record is {computed}, its property __CRC32# says {said}"),
                None => write!(f, "CRC of the record is {computed}, its property __CRC32# holds no number"),
            },
            Flaw::RecordCrcName => write!(f, "the property __CRC32#, last in the record, is damaged"),
        }
    }
}

impl core::error::Error for Flaw {}
