//! The disk as the engine sees it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::crash::CrashPoint;
use super::directory::{Directory, NodeId};
use super::faults::{Affected, CallKind, Failure, Faults};
use super::file::{File, PAGE_BYTES, Settled};
use super::random::SimRandom;
use super::segment::SimSegment;
use super::state::{Node, ROOT, SimState};
use crate::error::{IoError, IoKind};
use crate::storage::{DirectoryStamp, Entry, EntryKind, FileStamp, Space, Storage};

/// What a disk holds, and what goes on around it.
#[derive(Debug)]
pub(super) struct Machine {
    pub state: SimState,
    pub faults: Faults,
    pub random: SimRandom,
    /// Pages remember one version in between.
    pub keeps_versions: bool,
    calls: u64,
    trace: Option<Vec<String>>,
    points: Option<Vec<CrashPoint>>,
}

/// What a call is about, for trace and crash points.
pub(super) struct Call<'a> {
    pub kind: CallKind,
    pub path: &'a str,
    /// File, position and length of what is written.
    pub written: Option<(NodeId, u64, usize)>,
}

impl Machine {
    /// A call begins: it is traced, a crash point of it is taken, and it may fail.
    pub fn begin(&mut self, call: Call<'_>) -> Result<(), IoError> {
        self.calls += 1;
        let outcome = self.faults.check(call.kind, call.path, &mut self.random);
        if let Some(trace) = &mut self.trace {
            let range = call.written.map(|(_, at, len)| format!(" {at}+{len}")).unwrap_or_default();
            let failed = outcome.as_ref().err().map(|failed| format!(": {}", failed.reason)).unwrap_or_default();
            trace.push(format!("{} {}{range}{failed}", call.kind.name(), call.path));
        }
        if let Some(points) = &mut self.points
            && call.kind.changes()
        {
            points.push(CrashPoint { state: self.state.clone(), kind: call.kind, written: call.written });
        }
        outcome
    }

    fn plain(&mut self, kind: CallKind, path: &str) -> Result<(), IoError> {
        self.begin(Call { kind, path, written: None })
    }

    /// Writes into a file. A write that fails has written some of its bytes.
    pub fn write(&mut self, node: NodeId, path: &str, at: u64, bytes: &[u8]) -> Result<(), IoError> {
        let kind = CallKind::Write;
        let mut outcome = self.begin(Call { kind, path, written: Some((node, at, bytes.len())) });
        if outcome.is_ok() {
            outcome = self.allocate(node, path, kind, at, at + bytes.len() as u64);
        }
        if self.faults.dead {
            return outcome;
        }
        let count = match &outcome {
            Ok(()) => bytes.len(),
            Err(_) => self.random.below(bytes.len() as u64 + 1) as usize,
        };
        let keeps_versions = self.keeps_versions;
        self.state.change_file(node, |file, zero| {
            file.set_len(at + count as u64, zero);
            file.write(at, &bytes[..count], keeps_versions);
        });
        outcome
    }

    /// Gives room to the pages of a range.
    pub fn allocate(&mut self, node: NodeId, path: &str, kind: CallKind, from: u64, to: u64) -> Result<(), IoError> {
        if self.faults.room.is_none() {
            return Ok(());
        }
        let Some(file) = self.state.file(node) else { return Ok(()) };
        let (first, end) = (from as usize / PAGE_BYTES, (to as usize).div_ceil(PAGE_BYTES));
        let missing = (first..end).filter(|&page| file.slots.get(page).is_none_or(|slot| !slot.allocated)).count();
        self.faults.allocate(missing as u64, kind, path)?;
        self.state.change_file(node, |file, _| {
            file.slots.iter_mut().take(end).skip(first).for_each(|slot| slot.allocated = true);
        });
        Ok(())
    }

    /// Syncs pages of a file.
    pub fn sync(&mut self, node: NodeId, path: &str, from: u64, to: u64) -> Result<(), IoError> {
        let outcome = self.plain(CallKind::Sync, path);
        if self.faults.dead || self.state.file(node).is_none_or(File::is_settled) {
            return outcome;
        }
        if let Node::File(file) = Rc::make_mut(&mut self.state.nodes[node]) {
            match &outcome {
                Ok(()) => file.sync(from, to),
                Err(_) => {
                    file.fail_sync(from, to);
                }
            }
        }
        outcome
    }

    fn make_directories(&mut self, dir: &str) -> Result<(), IoError> {
        let mut node = ROOT;
        for name in dir.split('/').filter(|name| !name.is_empty()) {
            let known = self.state.directory(node).and_then(|directory| directory.get(name));
            node = match known {
                Some(child) if self.state.directory(child).is_some() => child,
                Some(_) => return Err(IoError::new(IoKind::WrongType, "mkdir", dir, "there is something that is not a directory")),
                None => {
                    self.plain(CallKind::MakeDirectory, dir)?;
                    self.state.add(node, name, Node::Directory(Directory::empty()))
                }
            };
        }
        Ok(())
    }

    /// Makes a file if there is none, and gives it a length if it is shorter: two steps, and a crash may come between.
    fn create(&mut self, path: &str, size: u64, exclusive: bool) -> Result<NodeId, IoError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.state.find_directory("open", parent)?;
        let node = match self.state.find(path) {
            Some(_) if exclusive => {
                self.plain(CallKind::Create, path)?;
                return Err(IoError::new(IoKind::Exists, "open", path, "file exists"));
            }
            Some(_) => {
                self.plain(CallKind::Open, path)?;
                self.state.find_file("open", path)?
            }
            None => {
                self.plain(CallKind::Create, path)?;
                self.state.add(parent, name, Node::File(File::empty()))
            }
        };
        if self.state.file(node).is_some_and(|file| file.len < size) {
            let sized = self.plain(CallKind::Create, path);
            if let Err(failed) = sized {
                if exclusive && !self.faults.dead {
                    // As the real one does: what was made just now and is of no use.
                    self.state.change_directory(parent, |directory, changes| directory.remove(name, changes));
                }
                return Err(failed);
            }
            self.state.change_file(node, |file, zero| file.set_len(size, zero));
        }
        Ok(node)
    }
}

/// A disk. A clone is the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(pub(super) Rc<RefCell<Machine>>);

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self::over(SimState::default(), seed)
    }

    /// A disk that holds what another one held.
    pub fn over(state: SimState, seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Machine {
            state,
            faults: Faults::default(),
            random: SimRandom::new(seed),
            keeps_versions: false,
            calls: 0,
            trace: None,
            points: None,
        })))
    }

    /// Pages remember from now on a version between the one that is synced and the newest: it may have been written back.
    pub fn keep_versions(&self) {
        self.0.borrow_mut().keeps_versions = true;
    }

    /// Puts a file in place that has been there for long, with the directories above it.
    pub fn place(&self, path: &str, bytes: &[u8]) {
        let machine = &mut *self.0.borrow_mut();
        let mut node = ROOT;
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            let known = machine.state.directory(node).and_then(|directory| directory.get(part));
            node = known.unwrap_or_else(|| machine.state.add(node, part, Node::Directory(Directory::empty())));
        }
        let mut file = File::empty();
        file.set_len(bytes.len() as u64, &machine.state.zero);
        file.write(0, bytes, false);
        machine.state.add(node, name, Node::File(file));
        machine.state.sync_all();
    }

    /// What the disk holds now.
    pub fn state(&self) -> SimState {
        self.0.borrow().state.clone()
    }

    /// Takes a crash point of every call from now on that changes the disk.
    pub fn record(&self) {
        self.0.borrow_mut().points = Some(Vec::new());
    }

    /// Crash points taken and not fetched so far.
    pub fn recorded(&self) -> usize {
        self.0.borrow().points.as_ref().map_or(0, Vec::len)
    }

    /// Fetches the crash points, and goes on taking more.
    pub fn take_points(&self) -> Vec<CrashPoint> {
        self.0.borrow_mut().points.replace(Vec::new()).unwrap_or_default()
    }

    /// Lists every call from now on.
    pub fn trace_calls(&self) {
        self.0.borrow_mut().trace = Some(Vec::new());
    }

    /// The calls listed so far, one a line.
    pub fn trace(&self) -> String {
        self.0.borrow().trace.as_ref().map(|lines| lines.join("\n")).unwrap_or_default()
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.0.borrow().calls
    }

    /// Lets a call fail, counted from now on; `None`: none.
    pub fn fail(&self, failure: Option<Failure>) {
        let faults = &mut self.0.borrow_mut().faults;
        (faults.failure, faults.counted, faults.failed) = (failure, 0, 0);
    }

    /// Lets calls fail at random: of `one_in` affected ones one.
    pub fn fail_at_random(&self, one_in: Option<(u64, Affected, IoKind)>) {
        self.0.borrow_mut().faults.one_in = one_in;
    }

    /// Calls that have failed since the last [`SimDisk::fail`].
    pub fn failed(&self) -> u64 {
        self.0.borrow().faults.failed
    }

    /// Pages that can still be given room; `None`: any number.
    pub fn set_room(&self, pages: Option<u64>) {
        self.0.borrow_mut().faults.room = pages;
    }

    /// The process that uses this disk is dead: every call fails, and nothing changes. What it saw is there for the next.
    pub fn kill(&self) -> Self {
        let mut machine = self.0.borrow_mut();
        machine.faults.dead = true;
        Self::over(machine.state.clone(), machine.random.next_u64())
    }

    /// Bits of a byte turn over, on the platter and in memory. False where no such byte is.
    pub fn rot(&self, path: &str, at: u64, bits: u8) -> bool {
        let mut machine = self.0.borrow_mut();
        let Some(node) = machine.state.find(path).filter(|&node| machine.state.file(node).is_some_and(|file| at < file.len)) else {
            return false;
        };
        let (page, within) = (at as usize / PAGE_BYTES, at as usize % PAGE_BYTES);
        machine.state.change_file(node, |file, _| {
            let slot = &mut file.slots[page];
            Rc::make_mut(&mut slot.current)[within] ^= bits;
            match slot.settled {
                Settled::Yes => slot.platter = Rc::clone(&slot.current),
                Settled::No | Settled::Lost => Rc::make_mut(&mut slot.platter)[within] ^= bits,
            }
        });
        true
    }

    /// Moves an entry within a directory, over another one if there is one.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        let machine = &mut *self.0.borrow_mut();
        machine.plain(CallKind::Rename, from)?;
        let ((from_dir, from_name), (to_dir, to_name)) =
            (from.rsplit_once('/').unwrap_or(("", from)), to.rsplit_once('/').unwrap_or(("", to)));
        if from_dir != to_dir {
            return Err(IoError::new(IoKind::Other, "rename", from, "to another directory: not simulated"));
        }
        let (parent, node) = (machine.state.find_directory("rename", from_dir)?, machine.state.find_file("rename", from)?);
        machine.state.change_directory(parent, |directory, changes| {
            directory.remove(from_name, changes);
            directory.set(to_name, node, changes);
            directory.renames.push((Rc::from(from_name), Rc::from(to_name)));
        });
        Ok(())
    }

    #[allow(clippy::arc_with_non_send_sync)] // the seam hands out Arcs; a simulation stays on one thread
    fn segment(&self, path: &str, node: NodeId, size: u64) -> Arc<SimSegment> {
        Arc::new(SimSegment { machine: Rc::clone(&self.0), node, path: path.to_owned(), size })
    }
}

impl Storage for SimDisk {
    type Segment = SimSegment;

    fn list(&self, dir: &str) -> Result<Option<Vec<Entry>>, IoError> {
        let machine = &mut *self.0.borrow_mut();
        machine.plain(CallKind::List, dir)?;
        let node = match machine.state.find_directory("opendir", dir) {
            Ok(node) => node,
            Err(missing) if missing.kind == IoKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let entries = machine.state.directory(node).map(|directory| Rc::clone(&directory.current)).unwrap_or_default();
        let entry = |(name, child): &(Rc<str>, NodeId)| match machine.state.file(*child) {
            Some(file) => Entry { name: (**name).to_owned(), kind: EntryKind::File, len: file.len },
            None => Entry { name: (**name).to_owned(), kind: EntryKind::Directory, len: 0 },
        };
        Ok(Some(entries.iter().map(entry).collect()))
    }

    fn identity(&self) -> Result<Option<u64>, IoError> {
        Ok(Some(self.0.borrow().state.boots))
    }

    fn directory_stamp(&self, dir: &str) -> Result<DirectoryStamp, IoError> {
        let machine = &mut *self.0.borrow_mut();
        machine.plain(CallKind::Stat, dir)?;
        let node = machine.state.find(dir);
        let directory = node.and_then(|node| machine.state.directory(node));
        let stamp = directory.zip(node).map(|(directory, node)| DirectoryStamp { changed: directory.changed, identity: 1 + node as u64 });
        Ok(stamp.unwrap_or_default())
    }

    fn create_dir(&self, dir: &str) -> Result<(), IoError> {
        self.0.borrow_mut().make_directories(dir)
    }

    fn open_segment(&self, path: &str) -> Result<Arc<SimSegment>, IoError> {
        let mut machine = self.0.borrow_mut();
        machine.plain(CallKind::Open, path)?;
        let node = machine.state.find_file("open", path)?;
        let size = machine.state.file(node).map_or(0, |file| file.len);
        Ok(self.segment(path, node, size))
    }

    fn create_segment(&self, path: &str, size: u64) -> Result<Arc<SimSegment>, IoError> {
        let node = self.0.borrow_mut().create(path, size, true)?;
        Ok(self.segment(path, node, size))
    }

    fn len(&self, path: &str) -> Result<Option<u64>, IoError> {
        let machine = &mut *self.0.borrow_mut();
        machine.plain(CallKind::Stat, path)?;
        match machine.state.find_file("stat", path) {
            Ok(node) => Ok(machine.state.file(node).map(|file| file.len)),
            Err(missing) if missing.kind == IoKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn stamp(&self, path: &str) -> Result<Option<FileStamp>, IoError> {
        let machine = &mut *self.0.borrow_mut();
        machine.plain(CallKind::Stat, path)?;
        let node = machine.state.find(path);
        let file = node.and_then(|node| machine.state.file(node));
        Ok(file.zip(node).map(|(file, node)| FileStamp { len: file.len, modified_ns: file.modified, id: node as u64 }))
    }

    fn create(&self, path: &str, size: u64) -> Result<(), IoError> {
        self.0.borrow_mut().create(path, size, false).map(|_| ())
    }

    fn read_at(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        let machine = &mut *self.0.borrow_mut();
        machine.plain(CallKind::Read, path)?;
        let node = machine.state.find_file("pread", path)?;
        Ok(machine.state.file(node).map_or(0, |file| file.read(at, out)))
    }

    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), IoError> {
        let machine = &mut *self.0.borrow_mut();
        let node = machine.state.find_file("pwrite", path)?;
        machine.write(node, path, at, bytes)
    }

    fn sync(&self, path: &str) -> Result<(), IoError> {
        let machine = &mut *self.0.borrow_mut();
        let node = machine.state.find_file("fdatasync", path)?;
        machine.sync(node, path, 0, u64::MAX)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), IoError> {
        let machine = &mut *self.0.borrow_mut();
        let node = machine.state.find_directory("fsync", dir)?;
        let outcome = machine.plain(CallKind::SyncDirectory, dir);
        if machine.faults.dead || machine.state.directory(node).is_none_or(|directory| directory.settled == Settled::Yes) {
            return outcome;
        }
        if let Node::Directory(directory) = Rc::make_mut(&mut machine.state.nodes[node]) {
            // File systems journal their directories: what a failed sync has not written is written later, or nothing any more.
            if outcome.is_ok() {
                directory.sync();
            }
        }
        outcome
    }

    fn sync_all(&self) -> Result<(), IoError> {
        let machine = &mut *self.0.borrow_mut();
        let outcome = machine.plain(CallKind::SyncAll, "");
        if outcome.is_ok() {
            machine.state.sync_all();
        }
        outcome
    }

    fn remove(&self, path: &str) -> Result<(), IoError> {
        let machine = &mut *self.0.borrow_mut();
        match machine.state.find_file("unlink", path) {
            Ok(_) => {}
            Err(missing) if missing.kind == IoKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        machine.plain(CallKind::Remove, path)?;
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = machine.state.find_directory("unlink", dir)?;
        machine.state.change_directory(parent, |directory, changes| directory.remove(name, changes));
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> Result<(), IoError> {
        let machine = &mut *self.0.borrow_mut();
        let node = match machine.state.find_directory("rmdir", dir) {
            Ok(node) => node,
            Err(missing) if missing.kind == IoKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if machine.state.directory(node).is_some_and(|directory| !directory.current.is_empty()) {
            return Err(IoError::new(IoKind::Other, "rmdir", dir, "directory not empty"));
        }
        machine.plain(CallKind::Remove, dir)?;
        let (above, name) = dir.rsplit_once('/').unwrap_or(("", dir));
        let parent = machine.state.find_directory("rmdir", above)?;
        machine.state.change_directory(parent, |directory, changes| directory.remove(name, changes));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        SimDisk::rename(self, from, to)
    }

    fn space(&self, _dir: &str) -> Result<Option<Space>, IoError> {
        Ok(None)
    }
}
