//! Errors: values with a stable code, worded for the person who has to act.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Stable names; the TypeScript API uses the same (docs/errors.md has a heading for each).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Locked,
    Closed,
    Poisoned,
    Corrupt,
    Io,
    Full,
    ReadOnly,
    MessageTooLarge,
    InvalidArgument,
    OffsetOutOfRange,
    UnsupportedFormat,
    Busy,
    /// It would take a disk, and must not: see [`Error::missed`]. Between the engine and the host alone.
    Cold,
}

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Code::Locked => "STORE_LOCKED",
            Code::Closed => "STORE_CLOSED",
            Code::Poisoned => "STORE_POISONED",
            Code::Corrupt => "STORE_CORRUPT",
            Code::Io => "STORE_IO",
            Code::Full => "STORE_FULL",
            Code::ReadOnly => "STORE_READ_ONLY",
            Code::MessageTooLarge => "STORE_MESSAGE_TOO_LARGE",
            Code::InvalidArgument => "STORE_INVALID_ARGUMENT",
            Code::OffsetOutOfRange => "STORE_OFFSET_OUT_OF_RANGE",
            Code::UnsupportedFormat => "STORE_UNSUPPORTED_FORMAT",
            Code::Busy => "STORE_BUSY",
            Code::Cold => "STORE_IO",
        }
    }
}

/// One fact of [`Error::details`].
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    Text(String),
    Number(i64),
}

/// An error with its code, a sentence, and facts that a program can use.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub code: Code,
    pub message: String,
    pub details: Vec<(&'static str, Detail)>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, Detail::Text(value.into())));
        self
    }

    pub fn number(mut self, name: &'static str, value: i64) -> Self {
        self.details.push((name, Detail::Number(value)));
        self
    }

    /// A wrong argument: `argument` is its name in the public API.
    pub fn argument(argument: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message).text("argument", argument)
    }

    /// Which bytes of which file have to come into memory before the same call can go through.
    pub fn missed(&self) -> Option<(&str, u64, usize)> {
        let fact = |name| self.details.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        match (self.code, fact("path"), fact("at"), fact("bytes")) {
            (Code::Cold, Some(Detail::Text(path)), Some(Detail::Number(at)), Some(Detail::Number(bytes))) => {
                Some((path, *at as u64, *bytes as usize))
            }
            _ => None,
        }
    }

    /// Bytes that cannot be what they should be.
    pub fn corrupt(file: &str, offset: u64, reason: &str) -> Self {
        Self::new(Code::Corrupt, format!("{file} at {offset}: {reason}"))
            .text("file", file)
            .number("offset", offset as i64)
            .text("reason", reason)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl core::error::Error for Error {}

/// Why a call into the storage failed, as far as the engine has to tell the cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoKind {
    NotFound,
    Exists,
    Denied,
    /// No space left, or a quota reached.
    Full,
    /// A directory where a file is wanted, a file where a directory is wanted, a device, a FIFO.
    WrongType,
    /// The storage could not give room in time; the same call may go through later.
    Busy,
    /// These bytes of the file are not in memory, and only what is was asked for.
    Cold {
        at: u64,
        bytes: usize,
    },
    Other,
}

/// A failed call into the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    pub kind: IoKind,
    /// The system's error number, 0 where there is none.
    pub errno: i32,
    /// The system call, or what comes nearest.
    pub syscall: &'static str,
    pub path: String,
    /// The system's own words.
    pub reason: String,
}

impl IoError {
    pub fn new(kind: IoKind, syscall: &'static str, path: &str, reason: &str) -> Self {
        Self { kind, errno: 0, syscall, path: path.to_owned(), reason: reason.to_string() }
    }
}

impl From<IoError> for Error {
    fn from(e: IoError) -> Self {
        let code = match e.kind {
            IoKind::Full => Code::Full,
            IoKind::Busy => Code::Busy,
            IoKind::Cold { .. } => Code::Cold,
            _ => Code::Io,
        };
        let error = Error::new(code, format!("{} of {} failed: {}", e.syscall, e.path, e.reason))
            .number("errno", i64::from(e.errno))
            .text("syscall", e.syscall)
            .text("path", e.path);
        match e.kind {
            IoKind::Cold { at, bytes } => error.number("at", at as i64).number("bytes", bytes as i64),
            _ => error,
        }
    }
}

/// Something noticed in a store that does not keep it from opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable word: `unclean`, `damaged`, `cut`, `fenced`, `queue-gap`, `index-geometry`, …
    pub kind: &'static str,
    /// Relative to the store directory.
    pub file: String,
    /// Byte position: in the commit log the physical offset, elsewhere in the file.
    pub offset: u64,
    /// Bytes concerned, 0 where there is no range.
    pub length: u64,
    pub message: String,
}
