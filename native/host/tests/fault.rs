//! Faults that are none of ours.

mod directory;

use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use directory::Directory;
use moraine_core::storage::{Segment, Storage};
use moraine_host::files::{Access, HostStorage};

/// Variable that makes `a_process_with_a_fault` fault in the way that it names.
const FAULT: &str = "MORAINE_TEST_FAULT";

/// Runs in the processes that the tests start; by itself nothing faults.
#[test]
fn a_process_with_a_fault() {
    let Ok(how) = std::env::var(FAULT) else { return };
    if how.starts_with("default") {
        // SAFETY: the default action is no function. Rust's own handler, the one before, goes.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
    }
    let directory = Directory::new();
    let storage = HostStorage::open(directory.path(), Access::READ_WRITE).unwrap();
    let segment = storage.create_segment("00", 1 << 20).unwrap();
    let cut = |name: &str| OpenOptions::new().write(true).open(directory.path().join(name)).unwrap().set_len(0).unwrap();
    cut("00");
    assert!(segment.read_at(8192, &mut [0; 10]).is_err(), "the handler is in place");
    // The process may die here, so what it made goes first.
    std::fs::write(directory.path().join("other"), vec![1; 8192]).unwrap();
    let file = File::open(directory.path().join("other")).unwrap();
    // SAFETY: the file is cut below, which is what this is about; the mapping lives to the end.
    let other = unsafe { memmap2::Mmap::map(&file) }.unwrap();
    cut("other");
    drop(directory);
    match how.as_str() {
        "default elsewhere" | "chained elsewhere" => assert_eq!(std::hint::black_box(other[4096]), 1),
        "default sent" => {
            // SAFETY: raise takes no pointer.
            unsafe { libc::raise(libc::SIGBUS) };
        }
        _ => {}
    }
}

fn run(how: &str) -> std::process::ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_with_a_fault"]).env(FAULT, how);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
}

#[test]
fn a_fault_outside_of_every_mapping_still_ends_the_process() {
    assert_eq!(run("default elsewhere").signal(), Some(libc::SIGBUS));
}

#[test]
fn a_fault_outside_of_every_mapping_goes_to_the_handler_before() {
    // Rust's, which puts the default action back.
    assert_eq!(run("chained elsewhere").signal(), Some(libc::SIGBUS));
}

#[test]
fn a_signal_that_somebody_sends_still_ends_the_process() {
    assert_eq!(run("default sent").signal(), Some(libc::SIGBUS));
}

#[test]
fn a_fault_within_a_segment_does_not() {
    assert!(run("none").success());
}
