//! `moraine/owner`: who has the store open for writing.
//!
//! For people and for engines without system locks. It says what [`Identity`] holds. The owner holds the file open and
//! removes it when it closes; what a dead owner left is replaced.
//!
//! Replacing is safe against others that do the same without locks: whoever replaces a file has made and holds
//! `owner.INODE` first, the claim on that very file, and then looks whether the file that it found dead is still there.
//! A file of the same inode is not enough: it may be a later owner's, and that one may give the name up to the next
//! while it is looked at. A claim is a file of the same kind, so one left by a process that died is replaced in the
//! same way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use moraine_core::error::{IoError, IoKind};

use crate::errno::io_error;
use crate::files::open_file;
use crate::identity::{ENGINE, Identity};
use crate::living::{FileId, holds_owner_file};

const NAME: &str = "owner";
/// Longest owner file that is read.
const MAX_BYTES: u64 = 4096;
/// Claims on claims, each left by a process that died while it replaced the one before.
const MAX_DEPTH: usize = 8;
/// Times that somebody else may change the file while it is looked at.
const MAX_ATTEMPTS: usize = 64;

/// A process that has the store open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: i32,
    pub this_process: bool,
}

/// The owner file of this process, removed on drop.
#[derive(Debug)]
pub(crate) struct Owner {
    path: PathBuf,
    /// Held open: who looks through `/proc/PID/fd` sees it.
    file: File,
}

#[derive(Debug)]
pub(crate) enum Claim {
    Taken(Owner),
    Held(Holder),
}

/// Makes this process the owner in `directory`, unless a living one is.
///
/// The caller holds the store's system lock, so an owner that needed that lock too is dead.
pub(crate) fn claim(directory: &Path) -> Result<Claim, IoError> {
    claim_file(&directory.join(NAME), Peers::HoldTheLock, 0)
}

/// The owner, if there is a file and its process lives.
pub(crate) fn holder(directory: &Path) -> Option<Holder> {
    let found = Found::look(&directory.join(NAME)).ok()??;
    found.living_holder(Peers::Unknown)
}

impl Drop for Owner {
    fn drop(&mut self) {
        let ours = self.file.metadata().map(|m| (m.dev(), m.ino())).ok();
        let named = fs::symlink_metadata(&self.path).map(|m| (m.dev(), m.ino())).ok();
        if ours.is_some() && ours == named {
            // If it stays, the next one finds its process dead, or without the file open.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What is known about other processes with the same engine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peers {
    /// They would hold the system lock, which this process has.
    HoldTheLock,
    Unknown,
}

fn claim_file(path: &Path, peers: Peers, depth: usize) -> Result<Claim, IoError> {
    if depth > MAX_DEPTH {
        let reason = "too many claims left by dead processes; remove the files moraine/owner*";
        return Err(IoError::new(IoKind::Other, "link", &shown(path), reason));
    }
    let draft = Draft::make(path)?;
    match place(&draft, path, peers, depth) {
        Ok(None) => Ok(Claim::Taken(draft.into_owner(path))),
        Ok(Some(holder)) => {
            draft.discard();
            Ok(Claim::Held(holder))
        }
        Err(error) => {
            draft.discard();
            Err(error)
        }
    }
}

/// Puts the draft in its place, unless a living process is there: that one is returned.
fn place(draft: &Draft, path: &Path, peers: Peers, depth: usize) -> Result<Option<Holder>, IoError> {
    let shown = shown(path);
    for _ in 0..MAX_ATTEMPTS {
        match draft.publish(path) {
            Ok(()) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(&error, "link", &shown)),
        }
        let Some(found) = Found::look(path)? else { continue };
        if let Some(holder) = found.living_holder(peers) {
            return Ok(Some(holder));
        }
        // Only who holds the claim on this file may replace it. A claim is made with or without the system lock.
        let claim = match claim_file(&path.with_file_name(format!("{NAME}.{}", found.id.inode)), Peers::Unknown, depth + 1)? {
            Claim::Taken(claim) => claim,
            Claim::Held(holder) => return Ok(Some(holder)),
        };
        // It may have been replaced between the look and the claim, even by a file with the same inode. Dead, still there
        // and claimed, it stays.
        if Found::look(path)?.as_ref() == Some(&found) {
            fs::rename(&draft.path, path).map_err(|error| io_error(&error, "rename", &shown))?;
            drop(claim);
            return Ok(None);
        }
    }
    Err(IoError::new(IoKind::Busy, "link", &shown, "others take and leave it at this moment"))
}

/// This process's owner file under a name that nobody looks for, complete before it gets the real one.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn make(target: &Path) -> Result<Self, IoError> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let nonce = format!("{:x}-{:x}-{:x}", std::process::id(), since, MADE.fetch_add(1, Ordering::Relaxed));
        let path = target.with_file_name(format!("{NAME}.{nonce}.new"));
        let shown = shown(&path);
        let file = open_file(&path, &shown, OpenOptions::new().read(true).write(true).create_new(true))?;
        let written = (&file).write_all(Identity::of_this_process(nonce).to_text().as_bytes());
        let draft = Self { path, file };
        match written {
            Ok(()) => Ok(draft),
            Err(error) => {
                draft.discard();
                Err(io_error(&error, "write", &shown))
            }
        }
    }

    /// Gives the draft its name, if that is free.
    fn publish(&self, path: &Path) -> io::Result<()> {
        match fs::hard_link(&self.path, path) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS)) => {
                // A file system without links: the name is taken by an empty file first. Engines with system locks do not
                // get here at the same time, the others may take the empty file for a dead owner's.
                OpenOptions::new().write(true).create_new(true).open(path)?;
                fs::rename(&self.path, path)
            }
            outcome => outcome,
        }
    }

    /// The name is ours: the draft's own name goes.
    fn into_owner(self, path: &Path) -> Owner {
        let _ = fs::remove_file(&self.path);
        Owner { path: path.to_owned(), file: self.file }
    }

    fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// An owner file as it stands there. Equal ones are one file, and not one file after another on the same inode.
#[derive(Debug, PartialEq)]
struct Found {
    id: FileId,
    /// No two owners write the same: each has a nonce.
    text: Vec<u8>,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// `None` if the text cannot be read: cut short by a power failure, or not ours.
    identity: Option<Identity>,
}

impl Found {
    fn look(path: &Path) -> Result<Option<Self>, IoError> {
        let shown = shown(path);
        let file = match open_file(path, &shown, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(missing) if missing.kind == IoKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata().map_err(|error| io_error(&error, "fstat", &shown))?;
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(|error| io_error(&error, "read", &shown))?;
        let id = FileId { device: metadata.dev(), inode: metadata.ino() };
        let identity = Identity::from_text(&String::from_utf8_lossy(&text));
        Ok(Some(Self { id, modified: (metadata.mtime(), metadata.mtime_nsec()), identity, text }))
    }

    /// Who holds the file, if that process lives.
    fn living_holder(&self, peers: Peers) -> Option<Holder> {
        let identity = self.identity.as_ref()?;
        if identity.engine == ENGINE && peers == Peers::HoldTheLock {
            return None;
        }
        let holder = Holder { pid: identity.pid, this_process: identity.is_this_process() };
        holds_owner_file(identity, self.id).then_some(holder)
    }
}

fn shown(path: &Path) -> String {
    format!("moraine/{}", path.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A directory that is removed when the test is over.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("moraine-owner-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Variable that makes `a_contender` take part in a race for the file that it names.
    const CONTEND: &str = "MORAINE_TEST_CONTEND";

    /// Runs in the processes that `one_of_eight_takes_over` starts; by itself there is nothing to contend for.
    #[test]
    fn a_contender() {
        let Some(path) = std::env::var_os(CONTEND) else { return };
        let mut line = String::new();
        println!("ready");
        std::io::stdin().read_line(&mut line).unwrap();
        let claim = claim_file(Path::new(&path), Peers::Unknown, 0).unwrap();
        println!("{}", if matches!(claim, Claim::Taken(_)) { "taken" } else { "held" });
        std::io::stdin().read_line(&mut line).unwrap();
    }

    /// Waits for a line that holds one of `words`; the test runner writes others.
    fn answer(lines: &mut impl Iterator<Item = io::Result<String>>, words: &[&'static str]) -> &'static str {
        loop {
            let line = lines.next().expect("an answer").unwrap();
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                return word;
            }
        }
    }

    fn contend(path: &Path) -> usize {
        let start = |_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "owner::tests::a_contender", "--nocapture"]).env(CONTEND, path);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut children: Vec<Child> = (0..8).map(start).collect();
        let mut outputs: Vec<_> = children.iter_mut().map(|child| io::BufReader::new(child.stdout.take().unwrap()).lines()).collect();
        for output in &mut outputs {
            answer(output, &["ready"]);
        }
        for child in &mut children {
            child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        }
        let taken = outputs.iter_mut().filter_map(|output| (answer(output, &["taken", "held"]) == "taken").then_some(())).count();
        for mut child in children {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        taken
    }

    #[test]
    fn one_of_eight_takes_over() {
        let directory = Directory::new("race");
        let path = directory.0.join(NAME);
        for round in 0..6 {
            // By turns: nobody, an owner of an earlier boot, one cut short, one whose process is gone, with a claim left by another.
            let dead = Identity { pid: i32::MAX, ..Identity::of_this_process("dead".into()) };
            match round % 4 {
                0 => {}
                1 => fs::write(&path, Identity { boot: "earlier".into(), ..dead }.to_text()).unwrap(),
                2 => fs::write(&path, "engine wa").unwrap(),
                _ => {
                    fs::write(&path, dead.to_text()).unwrap();
                    let inode = fs::metadata(&path).unwrap().ino();
                    fs::write(directory.0.join(format!("{NAME}.{inode}")), dead.to_text()).unwrap();
                }
            }
            assert_eq!(contend(&path), 1, "round {round}");
            let left: Vec<_> = fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.is_empty(), "round {round} left {left:?}");
        }
    }

    #[test]
    fn a_living_owner_of_an_engine_without_locks_is_respected() {
        let directory = Directory::new("living");
        let path = directory.0.join(NAME);
        let text = Identity { engine: "wasm".into(), ..Identity::of_this_process("n".into()) }.to_text();
        fs::write(&path, &text).unwrap();
        let held_open = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(matches!(claim(&directory.0).unwrap(), Claim::Held(Holder { this_process: true, .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);

        drop(held_open);
        let Claim::Taken(owner) = claim(&directory.0).unwrap() else { panic!("its process does not hold it open any more") };
        assert_eq!(holder(&directory.0).map(|holder| holder.this_process), Some(true));
        drop(owner);
        assert_eq!(holder(&directory.0), None);
    }

    #[test]
    fn an_owner_in_another_pid_namespace_counts_as_alive() {
        let directory = Directory::new("namespace");
        let here = Identity::of_this_process("n".into());
        let there = Identity { engine: "wasm".into(), pid_namespace: here.pid_namespace + 1, ..here.clone() };
        fs::write(directory.0.join(NAME), there.to_text()).unwrap();
        assert!(matches!(claim(&directory.0).unwrap(), Claim::Held(Holder { this_process: false, .. })));
        // But not one that would hold the system lock, which whoever claims has.
        fs::write(directory.0.join(NAME), Identity { engine: ENGINE.into(), ..there }.to_text()).unwrap();
        assert!(matches!(claim(&directory.0).unwrap(), Claim::Taken(_)));
    }

    #[test]
    fn a_later_owner_on_the_same_inode_is_another_one() {
        let directory = Directory::new("inode");
        let path = directory.0.join(NAME);
        fs::write(&path, Identity { pid: i32::MAX, ..Identity::of_this_process("first".into()) }.to_text()).unwrap();
        let found = Found::look(&path).unwrap();
        assert_eq!(Found::look(&path).unwrap(), found);
        fs::write(&path, Identity { pid: i32::MAX, ..Identity::of_this_process("later".into()) }.to_text()).unwrap();
        let later = Found::look(&path).unwrap();
        assert_eq!(later.as_ref().map(|later| later.id), found.as_ref().map(|found| found.id));
        assert_ne!(later, found);
    }

    #[test]
    fn an_owner_file_that_is_no_file_is_refused() {
        let directory = Directory::new("folder");
        fs::create_dir(directory.0.join(NAME)).unwrap();
        assert!(claim(&directory.0).is_err());
    }
}
