//! One writer: among processes, within one, and with Apache RocketMQ, whose lock is a POSIX one.

mod directory;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use directory::Directory;
use moraine_core::error::{Code, Detail, Error};
use moraine_host::lock::StoreLock;

/// Variables that make `a_holder` hold a lock, of one kind or the other, in the directory that they name.
const HOLD: &str = "MORAINE_TEST_HOLD";
const HOLD_POSIX: &str = "MORAINE_TEST_HOLD_POSIX";

/// Runs in the processes that the tests start; by itself there is nothing to hold.
#[test]
fn a_holder() {
    let mut line = String::new();
    if let Some(root) = std::env::var_os(HOLD) {
        let _lock = StoreLock::acquire(Path::new(&root)).unwrap();
        println!("ready");
        std::io::stdin().read_line(&mut line).unwrap();
    } else if let Some(root) = std::env::var_os(HOLD_POSIX) {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(Path::new(&root).join("lock")).unwrap();
        assert_eq!(posix_lock(&file, libc::F_SETLK, 0, 1), libc::F_WRLCK);
        println!("ready");
        std::io::stdin().read_line(&mut line).unwrap();
    }
}

/// Sets or asks for a POSIX write lock, as Java's `FileChannel.tryLock` does; returns the type that the call left.
fn posix_lock(file: &File, command: i32, start: i64, len: i64) -> i32 {
    // SAFETY: a flock of zeros is valid; the descriptor is open, and the call keeps no pointer.
    unsafe {
        let mut range: libc::flock = std::mem::zeroed();
        range.l_type = libc::F_WRLCK as libc::c_short;
        range.l_start = start;
        range.l_len = len;
        assert_eq!(libc::fcntl(file.as_raw_fd(), command, &mut range), 0);
        i32::from(range.l_type)
    }
}

fn hold(root: &Path, how: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_holder", "--nocapture"]).env(how, root);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")), "the holder has the lock");
    child
}

fn refused(root: &Path) -> Error {
    let error = StoreLock::acquire(root).unwrap_err();
    assert_eq!(error.code, Code::Locked, "{error}");
    error
}

fn holder_of(error: &Error) -> Option<i64> {
    error.details.iter().find_map(|(name, value)| match value {
        Detail::Number(pid) if *name == "holder" => Some(*pid),
        _ => None,
    })
}

#[test]
fn a_store_is_opened_once() {
    let directory = Directory::new();
    let lock = StoreLock::acquire(directory.path()).unwrap();
    assert_eq!(fs::read(directory.path().join("lock")).unwrap(), b"lock");
    let owner = fs::read_to_string(directory.path().join("moraine/owner")).unwrap();
    assert!(owner.contains(&format!("pid {}\n", std::process::id())), "{owner}");
    let error = refused(directory.path());
    assert!(error.message.contains("this process"), "{error}");
    assert_eq!(holder_of(&error), Some(i64::from(std::process::id())));
    lock.release();
    assert!(!directory.path().join("moraine/owner").exists());
    StoreLock::acquire(directory.path()).unwrap().release();
}

#[test]
fn another_process_is_kept_out_until_the_holder_dies() {
    let directory = Directory::new();
    let mut child = hold(directory.path(), HOLD);
    let error = refused(directory.path());
    assert_eq!(holder_of(&error), Some(i64::from(child.id())));
    assert!(error.message.contains(&format!("process {}, moraine", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(directory.path().join("moraine/owner").exists(), "a killed process leaves its name");
    StoreLock::acquire(directory.path()).unwrap().release();
    assert!(!directory.path().join("moraine/owner").exists());
}

#[test]
fn a_posix_lock_is_told_with_its_process() {
    let directory = Directory::new();
    let mut child = hold(directory.path(), HOLD_POSIX);
    let error = refused(directory.path());
    assert_eq!(holder_of(&error), Some(i64::from(child.id())));
    assert!(error.message.contains("RocketMQ"), "{error}");
    drop(child.stdin.take());
    child.wait().unwrap();
    StoreLock::acquire(directory.path()).unwrap().release();
}

#[test]
fn the_lock_is_a_write_lock_on_byte_zero() {
    let directory = Directory::new();
    let lock = StoreLock::acquire(directory.path()).unwrap();
    let file = OpenOptions::new().write(true).open(directory.path().join("lock")).unwrap();
    assert_eq!(posix_lock(&file, libc::F_GETLK, 0, 1), libc::F_WRLCK, "Java's lock conflicts");
    assert_eq!(posix_lock(&file, libc::F_GETLK, 1, 10), libc::F_UNLCK, "what lies behind is free");
    lock.release();
    assert_eq!(posix_lock(&file, libc::F_GETLK, 0, 1), libc::F_UNLCK);
}

#[test]
fn what_stands_in_the_lock_file_stays() {
    let directory = Directory::new();
    fs::write(directory.path().join("lock"), b"locked before").unwrap();
    StoreLock::acquire(directory.path()).unwrap().release();
    assert_eq!(fs::read(directory.path().join("lock")).unwrap(), b"locked before");
}

#[test]
fn a_lock_that_is_undone_leaves_nothing_that_it_made() {
    let directory = Directory::new();
    StoreLock::acquire(directory.path()).unwrap().undo();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    StoreLock::acquire(directory.path()).unwrap().release();
    StoreLock::acquire(directory.path()).unwrap().undo();
    assert!(directory.path().join("lock").exists(), "what was there before stays");
}

#[test]
fn the_lock_file_made_beside_a_living_owner_without_locks_stays() {
    let directory = Directory::new();
    let lock = StoreLock::acquire(directory.path()).unwrap();
    let owner = directory.path().join("moraine/owner");
    let text = fs::read_to_string(&owner).unwrap().replace("engine native", "engine wasm");
    lock.release();
    fs::remove_file(directory.path().join("lock")).unwrap();
    fs::write(&owner, text).unwrap();
    let held = OpenOptions::new().write(true).open(&owner).unwrap();
    assert!(refused(directory.path()).message.contains("this process"));
    assert!(directory.path().join("lock").exists(), "it is the store's, which is the other's");
    drop(held);
    StoreLock::acquire(directory.path()).unwrap().release();
}

#[test]
fn a_lock_file_that_is_no_file_is_refused() {
    let directory = Directory::new();
    fs::write(directory.path().join("elsewhere"), b"").unwrap();
    symlink(directory.path().join("elsewhere"), directory.path().join("lock")).unwrap();
    assert_eq!(StoreLock::acquire(directory.path()).unwrap_err().code, Code::Io);
    assert_eq!(fs::read(directory.path().join("elsewhere")).unwrap(), b"");
}
