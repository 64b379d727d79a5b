//! One writer: the lock that keeps other processes, Apache RocketMQ included, out of a store that is open for writing.
//!
//! RocketMQ holds a POSIX lock on byte 0 of `lock`. An open-file-description lock on the same byte conflicts with it, and
//! with that of every other moraine, also one in this process (a POSIX lock would not; `flock` would not meet Java's).
//! `moraine/owner` says who holds it, and keeps engines out that have no system locks (see [`crate::owner`]).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use moraine_core::error::{Code, Error, IoError, IoKind};

use crate::errno::io_error;
use crate::files::{open_file, sync_directory};
use crate::owner::{self, Claim, Holder, Owner};

/// The file that is locked, and what RocketMQ writes into it.
const LOCK_PATH: &str = "lock";
const LOCK_CONTENTS: &[u8] = b"lock";
/// The directory for what moraine adds to a store.
const SIDECAR: &str = "moraine";
/// Attempts to lock a file that is removed by its last holder at the same moment.
const MAX_ATTEMPTS: usize = 8;
/// Who holds a store that was still in their hands at the last attempt.
const OTHERS: &str = "others that open and close it at this moment";

/// The right to write a store. Given up by [`StoreLock::release`], or on drop.
#[derive(Debug)]
pub struct StoreLock {
    /// Held open: the lock is that of the open file.
    file: File,
    owner: Option<Owner>,
    root: PathBuf,
    made_lock: bool,
    made_sidecar: bool,
}

impl StoreLock {
    /// Takes the lock of the store in `root`, an existing directory. Nothing of the store is read before.
    ///
    /// STORE_LOCKED names the holder as far as it can be found.
    pub fn acquire(root: &Path) -> Result<Self, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let (file, made_lock) = lock_file(root)?;
            let mut lock = Self { file, owner: None, root: root.to_owned(), made_lock, made_sidecar: false };
            match lock.finish() {
                Ok(()) if is_named(&lock.file, &lock.root.join(LOCK_PATH))? => return Ok(lock),
                // An engine without locks had made it, and gave the store up before we were the owner. What has the name
                // now is another's.
                Ok(()) => {
                    lock.made_lock = false;
                    lock.undo();
                }
                Err(error) => {
                    lock.undo();
                    return Err(error);
                }
            }
        }
        Err(locked(root, OTHERS))
    }

    fn finish(&mut self) -> Result<(), Error> {
        let len = self.file.metadata().map_err(|e| io_error(&e, "fstat", LOCK_PATH))?.len();
        if len == 0 {
            self.file.write_all_at(LOCK_CONTENTS, 0).map_err(|e| io_error(&e, "pwrite", LOCK_PATH))?;
        }
        match self.claim()? {
            Claim::Taken(owner) => self.owner = Some(owner),
            Claim::Held(holder) => {
                // The store is somebody's, who counts on the file that has the name.
                self.made_lock = false;
                return Err(locked(&self.root, &describe(&holder)).number("holder", i64::from(holder.pid)));
            }
        }
        sync_directory(&self.root, "")?;
        Ok(())
    }

    fn claim(&mut self) -> Result<Claim, IoError> {
        let sidecar = self.root.join(SIDECAR);
        let mut attempt = 1;
        loop {
            match fs::create_dir(&sidecar) {
                Ok(()) => self.made_sidecar = true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error(&error, "mkdir", SIDECAR)),
            }
            match owner::claim(&sidecar) {
                // An engine without locks had made the directory, and was not opened after all.
                Err(gone) if gone.kind == IoKind::NotFound && attempt < MAX_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// Gives the store up: first the owner file, then the lock.
    pub fn release(self) {
        drop(self);
    }

    /// Gives up a store that was not opened after all, and removes what taking the lock has made.
    pub fn undo(mut self) {
        self.owner = None;
        if self.made_sidecar {
            // Fails if somebody else has put something there, and then it stays.
            let _ = fs::remove_dir(self.root.join(SIDECAR));
        }
        if self.made_lock {
            // Still locked: who opens it in between finds that it has lost its name, and starts over.
            let _ = fs::remove_file(self.root.join(LOCK_PATH));
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // Before the lock goes: the next holder must not find an owner that lives.
        self.owner = None;
        // Closing the file is not enough: a process that is being started at this moment may have a copy of it.
        let _ = set_lock(&self.file, libc::F_UNLCK);
    }
}

/// The locked file, and whether it was made here.
fn lock_file(root: &Path) -> Result<(File, bool), Error> {
    let place = root.join(LOCK_PATH);
    for _ in 0..MAX_ATTEMPTS {
        let mut made = true;
        let file = match open_file(&place, LOCK_PATH, OpenOptions::new().read(true).write(true).create_new(true)) {
            Err(error) if error.errno == libc::EEXIST => {
                made = false;
                match open_file(&place, LOCK_PATH, OpenOptions::new().read(true).write(true)) {
                    Err(gone) if gone.errno == libc::ENOENT => continue,
                    other => other,
                }
            }
            other => other,
        }?;
        if !try_lock(&file)? {
            return Err(held_elsewhere(root, &file)?);
        }
        // An open that failed removes the file it had made: a lock on a file without a name keeps nobody out.
        if is_named(&file, &place)? {
            return Ok((file, made));
        }
    }
    Err(locked(root, OTHERS))
}

/// Whether the open file is the one of that name.
fn is_named(file: &File, place: &Path) -> Result<bool, IoError> {
    let open = file.metadata().map_err(|e| io_error(&e, "fstat", LOCK_PATH))?;
    Ok(fs::metadata(place).is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
}

fn held_elsewhere(root: &Path, file: &File) -> Result<Error, IoError> {
    let posix = posix_holder(file)?;
    if let Some(pid) = posix {
        return Ok(locked(root, &format!("process {pid}, probably RocketMQ")).number("holder", i64::from(pid)));
    }
    Ok(match owner::holder(&root.join(SIDECAR)) {
        Some(holder) => locked(root, &describe(&holder)).number("holder", i64::from(holder.pid)),
        None => locked(root, "another process, which has left no name"),
    })
}

fn describe(holder: &Holder) -> String {
    if holder.this_process { "this process, which has opened it already".into() } else { format!("process {}, moraine", holder.pid) }
}

fn locked(root: &Path, by: &str) -> Error {
    let root = root.to_string_lossy();
    Error::new(Code::Locked, format!("the store {root} is held by {by}; close it there, or open it with readOnly: true")).text("path", root)
}

/// A lock on byte 0: `F_WRLCK` or `F_UNLCK`.
fn byte_zero(kind: libc::c_int) -> libc::flock {
    // SAFETY: all-zero bytes are a valid flock (plain integers); l_pid must be 0 for these locks.
    // Broken by: `the_lock_is_a_write_lock_on_byte_zero`.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = kind as libc::c_short;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    range.l_len = 1;
    range
}

/// False if somebody holds a lock that conflicts.
fn try_lock(file: &File) -> Result<bool, IoError> {
    match set_lock(file, libc::F_WRLCK) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(io_error(&error, "fcntl", LOCK_PATH)),
    }
}

fn set_lock(file: &File, kind: libc::c_int) -> io::Result<()> {
    let range = byte_zero(kind);
    // SAFETY: the descriptor is open as long as `file`, the call reads one flock and keeps no pointer.
    // Broken by: `a_store_is_opened_once`.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &range) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The process whose POSIX lock conflicts; `None` if it is the lock of an open file, or gone.
fn posix_holder(file: &File) -> Result<Option<i32>, IoError> {
    let mut range = byte_zero(libc::F_WRLCK);
    // SAFETY: as above; the call writes into the flock that it is given.
    // Broken by: `a_posix_lock_is_told_with_its_process`.
    let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut range) };
    if outcome != 0 {
        return Err(io_error(&io::Error::last_os_error(), "fcntl", LOCK_PATH));
    }
    Ok((range.l_type != libc::F_UNLCK as libc::c_short && range.l_pid > 0).then_some(range.l_pid))
}
