//! `moraine/owner`: who has the store open for writing.
//!
//! For people and for engines without system locks. Text, one fact a line (`name value`): `engine`, `pid`,
//! `pid-namespace`, `start-time` (of the process, in the system's ticks), `boot`, `nonce`. The owner holds the file open
//! and removes it when it closes; what a dead owner left is replaced.
//!
//! Replacing is safe against others that do the same without locks: whoever replaces a file has made and holds
//! `owner.INODE` first, the claim on that very file, and then looks again whether it is still there and still dead.
//! A claim is a file of the same kind, so one left by a process that died is replaced in the same way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use moraine_core::error::{Error, IoError, IoKind};

use crate::errno::io_error;
use crate::files::open_file;

const NAME: &str = "owner";
/// What the owner file calls this engine, which holds the system lock as well.
const ENGINE: &str = "native";
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
pub(crate) fn claim(directory: &Path) -> Result<Claim, Error> {
    Ok(claim_file(&directory.join(NAME), Peers::HoldTheLock, 0)?)
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
        let claim = match claim_file(&path.with_file_name(format!("{NAME}.{}", found.inode)), Peers::Unknown, depth + 1)? {
            Claim::Taken(claim) => claim,
            Claim::Held(holder) => return Ok(Some(holder)),
        };
        // It may have been replaced between the look and the claim, even by a file with the same inode.
        let still_dead = Found::look(path)?.is_some_and(|now| now.inode == found.inode && now.living_holder(peers).is_none());
        if still_dead {
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

/// An owner file as it stands there.
struct Found {
    device: u64,
    inode: u64,
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
        Ok(Some(Self { device: metadata.dev(), inode: metadata.ino(), identity: Identity::from_text(&String::from_utf8_lossy(&text)) }))
    }

    /// Who holds the file, if that process lives.
    fn living_holder(&self, peers: Peers) -> Option<Holder> {
        let identity = self.identity.as_ref()?;
        let holder = Holder { pid: identity.pid, this_process: identity.is_this_process() };
        if identity.engine == ENGINE && peers == Peers::HoldTheLock {
            return None;
        }
        self.lives(identity).then_some(holder)
    }

    /// Alive where it cannot be told.
    fn lives(&self, identity: &Identity) -> bool {
        let here = Identity::of_this_process(String::new());
        if identity.boot != here.boot {
            return false;
        }
        if identity.pid_namespace != here.pid_namespace {
            return true;
        }
        let process = PathBuf::from(format!("/proc/{}", identity.pid));
        match fs::read_to_string(process.join("stat")) {
            Ok(stat) if start_time(&stat) != identity.start_time => return false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            _ => {}
        }
        match fs::read_dir(process.join("fd")) {
            Ok(descriptors) => descriptors
                .flatten()
                .any(|descriptor| fs::metadata(descriptor.path()).is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// What an owner file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Identity {
    engine: String,
    pid: i32,
    /// Inode of the namespace that the process id belongs to.
    pid_namespace: u64,
    /// Ticks since the system started, so that a process that got the same id later is another one.
    start_time: u64,
    boot: String,
    nonce: String,
}

impl Identity {
    fn of_this_process(nonce: String) -> Self {
        Self {
            engine: ENGINE.into(),
            pid: std::process::id() as i32,
            pid_namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino()),
            start_time: fs::read_to_string("/proc/self/stat").map_or(0, |stat| start_time(&stat)),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| String::new(), |id| id.trim().into()),
            nonce,
        }
    }

    fn is_this_process(&self) -> bool {
        let here = Self::of_this_process(String::new());
        (self.pid, self.pid_namespace, self.start_time, &self.boot) == (here.pid, here.pid_namespace, here.start_time, &here.boot)
    }

    fn to_text(&self) -> String {
        let Self { engine, pid, pid_namespace, start_time, boot, nonce } = self;
        format!("engine {engine}\npid {pid}\npid-namespace {pid_namespace}\nstart-time {start_time}\nboot {boot}\nnonce {nonce}\n")
    }

    fn from_text(text: &str) -> Option<Self> {
        let fact = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(Self {
            engine: fact("engine")?.into(),
            pid: fact("pid")?.parse().ok().filter(|&pid| pid > 0)?,
            pid_namespace: fact("pid-namespace")?.parse().ok()?,
            start_time: fact("start-time")?.parse().ok()?,
            boot: fact("boot")?.into(),
            // The last line: a text without it was cut short.
            nonce: fact("nonce")?.into(),
        })
    }
}

/// Field 22 of `/proc/PID/stat`. The second one, the name, may hold spaces and brackets of its own.
fn start_time(stat: &str) -> u64 {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind_name.split_whitespace().nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
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
        let held_open = File::open(&path).unwrap();
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
    fn an_owner_file_that_is_no_file_is_refused() {
        let directory = Directory::new("folder");
        fs::create_dir(directory.0.join(NAME)).unwrap();
        assert!(claim(&directory.0).is_err());
    }

    #[test]
    fn an_identity_is_read_back_from_its_text() {
        let identity = Identity::of_this_process("n-1".into());
        assert_eq!(Identity::from_text(&identity.to_text()), Some(identity.clone()));
        assert!(identity.is_this_process());
        assert!(identity.start_time > 0 && identity.pid_namespace > 0 && !identity.boot.is_empty());
    }

    #[test]
    fn a_text_cut_short_is_nobody() {
        let text = Identity::of_this_process("n".into()).to_text();
        for cut in 0..text.len() - "n\n".len() {
            assert_eq!(Identity::from_text(&text[..cut]), None, "{cut} bytes");
        }
        assert_eq!(Identity::from_text("engine native\npid -1\npid-namespace 1\nstart-time 1\nboot b\nnonce n\n"), None);
    }

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_time(&format!("1 (node) {rest}")), 4711);
        assert_eq!(start_time(&format!("1 (a) b (c)) {rest}")), 4711);
        assert_eq!(start_time(""), 0);
    }
}
