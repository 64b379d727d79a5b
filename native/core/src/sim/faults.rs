//! Which calls fail, and how.

use alloc::string::String;

use super::random::SimRandom;
use crate::error::{IoError, IoKind};

/// Calls into the disk, by what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    List,
    Stat,
    Open,
    Create,
    MakeDirectory,
    Read,
    Reserve,
    Write,
    Sync,
    SyncDirectory,
    SyncAll,
    Remove,
    Rename,
}

impl CallKind {
    pub fn name(self) -> &'static str {
        match self {
            CallKind::List => "list",
            CallKind::Stat => "stat",
            CallKind::Open => "open",
            CallKind::Create => "create",
            CallKind::MakeDirectory => "mkdir",
            CallKind::Read => "read",
            CallKind::Reserve => "reserve",
            CallKind::Write => "write",
            CallKind::Sync => "sync",
            CallKind::SyncDirectory => "sync-dir",
            CallKind::SyncAll => "sync-all",
            CallKind::Remove => "remove",
            CallKind::Rename => "rename",
        }
    }

    /// Whether a power cut or the death of the process may find another disk behind the call than before it.
    pub fn changes(self) -> bool {
        !matches!(self, CallKind::List | CallKind::Stat | CallKind::Open | CallKind::Read | CallKind::Reserve)
    }

    pub fn is_sync(self) -> bool {
        matches!(self, CallKind::Sync | CallKind::SyncDirectory | CallKind::SyncAll)
    }
}

/// Which calls a failure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affected {
    All,
    Reads,
    /// What takes room: writes, new files and directories, reservations.
    Writes,
    Syncs,
}

impl Affected {
    fn holds(self, kind: CallKind) -> bool {
        match self {
            Affected::All => true,
            Affected::Reads => matches!(kind, CallKind::Read | CallKind::List | CallKind::Stat | CallKind::Open),
            Affected::Writes => {
                matches!(kind, CallKind::Write | CallKind::Create | CallKind::MakeDirectory | CallKind::Reserve)
            }
            Affected::Syncs => kind.is_sync(),
        }
    }
}

/// A call that fails, counted from 0 among those affected.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub call: u64,
    /// Every affected call from that one on fails; else that one alone.
    pub always: bool,
    pub kind: IoKind,
    pub affected: Affected,
}

/// Faults that a disk has, and what it has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub failure: Option<Failure>,
    pub counted: u64,
    /// Failed so far.
    pub failed: u64,
    /// Of so many affected calls one fails, at random.
    pub one_in: Option<(u64, Affected, IoKind)>,
    /// Pages that can still be given room; `None`: any number.
    pub room: Option<u64>,
    /// Nothing changes any more: the process is dead.
    pub dead: bool,
}

impl Faults {
    /// Whether a call fails.
    pub fn check(&mut self, kind: CallKind, path: &str, random: &mut SimRandom) -> Result<(), IoError> {
        if self.dead {
            return Err(error(IoKind::Other, kind, path));
        }
        if let Some(failure) = self.failure.filter(|failure| failure.affected.holds(kind)) {
            let number = self.counted;
            self.counted += 1;
            if number == failure.call || (failure.always && number > failure.call) {
                self.failed += 1;
                return Err(error(failure.kind, kind, path));
            }
        }
        if let Some((times, affected, failing)) = self.one_in
            && affected.holds(kind)
            && random.one_in(times)
        {
            self.failed += 1;
            return Err(error(failing, kind, path));
        }
        Ok(())
    }

    /// Takes room for pages.
    pub fn allocate(&mut self, pages: u64, kind: CallKind, path: &str) -> Result<(), IoError> {
        match &mut self.room {
            Some(room) if *room < pages => Err(error(IoKind::Full, kind, path)),
            Some(room) => {
                *room -= pages;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn error(kind: IoKind, call: CallKind, path: &str) -> IoError {
    let (errno, reason) = match kind {
        IoKind::NotFound => (2, "no such file"),
        IoKind::Exists => (17, "file exists"),
        IoKind::Denied => (13, "permission denied"),
        IoKind::Full => (28, "no space left"),
        IoKind::WrongType => (21, "is of another type"),
        IoKind::Busy => (16, "is busy"),
        IoKind::Cold { .. } => (11, "is not in memory"),
        IoKind::Other => (5, "input/output error"),
    };
    IoError { kind, errno, syscall: call.name(), path: String::from(path), reason: String::from(reason) }
}
