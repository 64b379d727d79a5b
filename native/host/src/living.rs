//! Whether the process that an owner file names lives and holds that file.
//!
//! Where it cannot be told, it does: a store that is refused once too often costs a look into `moraine/owner`, one that two
//! processes write costs the store.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

use crate::identity::{Identity, is_zombie, start_time};

/// In the mode of a link in `/proc/PID/fd`: the file is open for writing.
const OPEN_FOR_WRITING: u32 = 0o200;

/// A file, wherever its names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

pub(crate) fn holds_owner_file(identity: &Identity, file: FileId) -> bool {
    let here = Identity::of_this_process(String::new());
    if !identity.boot.is_empty() && !here.boot.is_empty() && identity.boot != here.boot {
        return false;
    }
    // A process id says nothing in another namespace, or where the namespace has no name.
    if identity.pid_namespace != here.pid_namespace || (cfg!(target_os = "linux") && here.pid_namespace == 0) {
        return true;
    }
    if !exists(identity.pid) {
        return false;
    }
    if !proc_is_ours() {
        return true;
    }
    held_by_descriptor(identity.pid, file).unwrap_or_else(|| started_with(identity))
}

/// By a signal that is none, which tells also of a process that `/proc` hides (`hidepid`).
fn exists(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Whether /proc has the process ids of our namespace: a process that began without a mount of its own sees its parent's.
fn proc_is_ours() -> bool {
    fs::read_link("/proc/self").is_ok_and(|id| id == Path::new(&std::process::id().to_string()))
}

/// Whether the process has the file open for writing, as an owner does: who only looks at it opens it for reading. The end of a
/// worker thread closes what it had open, so that its process lives on and does not hold the file. `None` where it is not shown.
fn held_by_descriptor(pid: i32, file: FileId) -> Option<bool> {
    let mut shown = true;
    // An error is another user's process, or one that ended at this moment.
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).ok()? {
        match descriptor.and_then(|descriptor| is_open_for_writing(&descriptor.path(), file)) {
            Ok(true) => return Some(true),
            Ok(false) => {}
            Err(closed) if closed.kind() == ErrorKind::NotFound => {}
            // Not to be looked at: it may be the one.
            Err(_) => shown = false,
        }
    }
    shown.then_some(false)
}

fn is_open_for_writing(descriptor: &Path, file: FileId) -> io::Result<bool> {
    let open = fs::metadata(descriptor)?;
    if (FileId { device: open.dev(), inode: open.ino() }) != file {
        return Ok(false);
    }
    Ok(fs::symlink_metadata(descriptor)?.mode() & OPEN_FOR_WRITING != 0)
}

/// Whether the process of that id is the one that wrote the file, and has not ended.
fn started_with(identity: &Identity) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", identity.pid)) {
        Ok(stat) => {
            let started = start_time(&stat);
            !is_zombie(&stat) && (started == 0 || identity.start_time == 0 || started == identity.start_time)
        }
        Err(_) => exists(identity.pid),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::path::PathBuf;

    use super::*;

    /// A file that is removed when the test is over.
    struct OwnerFile(PathBuf);

    impl OwnerFile {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("moraine-living-{name}-{}", std::process::id()));
            fs::write(&path, "").unwrap();
            Self(path)
        }

        fn id(&self) -> FileId {
            let metadata = fs::metadata(&self.0).unwrap();
            FileId { device: metadata.dev(), inode: metadata.ino() }
        }
    }

    impl Drop for OwnerFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn here() -> Identity {
        Identity::of_this_process("n".into())
    }

    #[test]
    fn who_only_looks_at_the_file_does_not_hold_it() {
        let file = OwnerFile::new("looked");
        let looking = File::open(&file.0).unwrap();
        assert!(!holds_owner_file(&here(), file.id()));
        let holding = OpenOptions::new().read(true).write(true).open(&file.0).unwrap();
        assert!(holds_owner_file(&here(), file.id()));
        drop((looking, holding));
        assert!(!holds_owner_file(&here(), file.id()));
    }

    #[test]
    fn a_process_of_another_start_of_the_system_is_dead() {
        let file = OwnerFile::new("boot");
        let _holding = OpenOptions::new().write(true).open(&file.0).unwrap();
        assert!(!holds_owner_file(&Identity { boot: "earlier".into(), ..here() }, file.id()));
        assert!(holds_owner_file(&Identity { boot: String::new(), ..here() }, file.id()), "one that has not been told");
    }

    #[test]
    fn a_process_that_cannot_be_looked_at_is_told_by_its_start() {
        assert!(started_with(&here()));
        assert!(!started_with(&Identity { start_time: here().start_time + 1, ..here() }), "the id was given again");
        assert!(started_with(&Identity { start_time: 0, ..here() }), "one that was not told");
        assert!(!started_with(&Identity { pid: i32::MAX, ..here() }));
        assert!(!exists(i32::MAX) && exists(1), "also one of another user");
    }
}
