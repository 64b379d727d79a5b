//! What a disk holds at one moment. A clone shares everything with it until one of them changes.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::directory::{Directory, NodeId};
use super::file::{File, PAGE_BYTES, Page};
use crate::error::{IoError, IoKind};

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(File),
    Directory(Directory),
}

/// Number of the directory that holds the store.
pub(super) const ROOT: NodeId = 0;

/// All files and directories.
#[derive(Clone, Debug)]
pub struct SimState {
    pub(super) nodes: Vec<Rc<Node>>,
    pub(super) zero: Page,
    /// Changes so far: the time of stamps.
    pub(super) changes: u64,
    /// How often the system was started: a power cut starts it anew, the death of a process does not.
    pub(super) boots: u64,
}

impl Default for SimState {
    fn default() -> Self {
        Self { nodes: alloc::vec![Rc::new(Node::Directory(Directory::empty()))], zero: Rc::new([0; PAGE_BYTES]), changes: 0, boots: 1 }
    }
}

impl SimState {
    /// What a path leads to.
    pub(super) fn find(&self, path: &str) -> Option<NodeId> {
        let (mut node, mut rest) = (ROOT, path);
        while !rest.is_empty() {
            let end = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
            match &*self.nodes[node] {
                Node::Directory(directory) => node = directory.get(&rest[..end])?,
                Node::File(_) => return None,
            }
            rest = rest.get(end + 1..).unwrap_or("");
        }
        Some(node)
    }

    pub(super) fn find_file(&self, syscall: &'static str, path: &str) -> Result<NodeId, IoError> {
        match self.find(path) {
            Some(node) if matches!(&*self.nodes[node], Node::File(_)) => Ok(node),
            Some(_) => Err(IoError::new(IoKind::WrongType, syscall, path, "is a directory, want a file")),
            None => Err(IoError::new(IoKind::NotFound, syscall, path, "no such file")),
        }
    }

    pub(super) fn find_directory(&self, syscall: &'static str, path: &str) -> Result<NodeId, IoError> {
        match self.find(path) {
            Some(node) if matches!(&*self.nodes[node], Node::Directory(_)) => Ok(node),
            Some(_) => Err(IoError::new(IoKind::WrongType, syscall, path, "is a file, want a directory")),
            None => Err(IoError::new(IoKind::NotFound, syscall, path, "no such directory")),
        }
    }

    pub(super) fn file(&self, node: NodeId) -> Option<&File> {
        match &*self.nodes[node] {
            Node::File(file) => Some(file),
            Node::Directory(_) => None,
        }
    }

    pub(super) fn directory(&self, node: NodeId) -> Option<&Directory> {
        match &*self.nodes[node] {
            Node::Directory(directory) => Some(directory),
            Node::File(_) => None,
        }
    }

    /// Changes a file; the number must be one's.
    pub(super) fn change_file<R>(&mut self, node: NodeId, change: impl FnOnce(&mut File, &Page) -> R) -> Option<R> {
        self.changes += 1;
        let changes = self.changes;
        match Rc::make_mut(&mut self.nodes[node]) {
            Node::File(file) => {
                file.modified = changes;
                Some(change(file, &self.zero))
            }
            Node::Directory(_) => None,
        }
    }

    pub(super) fn change_directory<R>(&mut self, node: NodeId, change: impl FnOnce(&mut Directory, u64) -> R) -> Option<R> {
        self.changes += 1;
        match Rc::make_mut(&mut self.nodes[node]) {
            Node::Directory(directory) => Some(change(directory, self.changes)),
            Node::File(_) => None,
        }
    }

    pub(super) fn add(&mut self, parent: NodeId, name: &str, node: Node) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Rc::new(node));
        self.change_directory(parent, |directory, changes| directory.set(name, id, changes));
        id
    }

    /// Syncs everything.
    pub(super) fn sync_all(&mut self) {
        for node in &mut self.nodes {
            match &**node {
                Node::File(file) if file.is_settled() => continue,
                Node::Directory(directory) if directory.settled == super::file::Settled::Yes => continue,
                _ => {}
            }
            match Rc::make_mut(node) {
                Node::File(file) => file.sync(0, u64::MAX),
                Node::Directory(directory) => directory.sync(),
            }
        }
    }

    /// Contents of a file, as programs see it.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.file(self.find(path)?)?;
        let mut bytes = alloc::vec![0; file.len as usize];
        file.read(0, &mut bytes);
        Some(bytes)
    }

    /// Every file, by path.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(ROOT, "", &mut paths);
        paths
    }

    fn collect(&self, node: NodeId, dir: &str, paths: &mut Vec<String>) {
        for (name, child) in self.directory(node).into_iter().flat_map(|directory| directory.current.iter()) {
            let path = if dir.is_empty() { (**name).to_owned() } else { format!("{dir}/{name}") };
            match &*self.nodes[*child] {
                Node::File(_) => paths.push(path),
                Node::Directory(_) => self.collect(*child, &path, paths),
            }
        }
    }
}
