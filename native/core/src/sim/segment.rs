//! A file of the commit log, mapped: what is stored into it stands in the page cache at once.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use core::cell::RefCell;

use super::directory::NodeId;
use super::disk::{Call, Machine};
use super::faults::CallKind;
use crate::error::{IoError, IoKind};
use crate::storage::Segment;

/// What a buffer holds that the engine has not filled yet.
const UNDEFINED: u8 = 0xA5;

#[derive(Debug)]
pub struct SimSegment {
    pub(super) machine: Rc<RefCell<Machine>>,
    pub(super) node: NodeId,
    pub(super) path: String,
    pub(super) size: u64,
}

impl SimSegment {
    fn check(&self, syscall: &'static str, at: u64, len: u64) -> Result<(), IoError> {
        if at <= self.size && len <= self.size - at {
            return Ok(());
        }
        Err(IoError::new(IoKind::Other, syscall, &self.path, "does not lie within the file"))
    }

    fn is_zero_from(&self, machine: &Machine, at: u64) -> bool {
        machine.state.file(self.node).is_none_or(|file| file.is_zero(at, self.size, &machine.state.zero))
    }
}

impl Segment for SimSegment {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        self.check("read", at, out.len() as u64)?;
        let machine = &mut *self.machine.borrow_mut();
        machine.begin(Call { kind: CallKind::Read, path: &self.path, written: None })?;
        let read = machine.state.file(self.node).map_or(0, |file| file.read(at, out));
        if read == out.len() { Ok(()) } else { Err(IoError::new(IoKind::Other, "read", &self.path, "the file is shorter")) }
    }

    fn reserve(&self, end: u64) -> Result<(), IoError> {
        self.check("fallocate", end, 0)?;
        let machine = &mut *self.machine.borrow_mut();
        machine.begin(Call { kind: CallKind::Reserve, path: &self.path, written: None })?;
        machine.allocate(self.node, &self.path, CallKind::Reserve, 0, end)
    }

    fn fill<R>(&self, at: u64, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, IoError> {
        self.check("write", at, len as u64)?;
        let mut bytes = vec![UNDEFINED; len];
        let result = write(&mut bytes);
        self.machine.borrow_mut().write(self.node, &self.path, at, &bytes)?;
        Ok(result)
    }

    fn zero_from(&self, at: u64) -> Result<(), IoError> {
        self.check("fallocate", at, 0)?;
        let machine = &mut *self.machine.borrow_mut();
        if self.is_zero_from(machine, at) {
            return machine.begin(Call { kind: CallKind::Read, path: &self.path, written: None });
        }
        let zeros = vec![0; (self.size - at) as usize];
        machine.write(self.node, &self.path, at, &zeros)?;
        machine.sync(self.node, &self.path, at, self.size)
    }

    fn zero_again(&self, at: u64) -> Result<(), IoError> {
        self.check("fallocate", at, 0)?;
        let machine = &mut *self.machine.borrow_mut();
        let doubtful = machine.state.file(self.node).map(|file| file.not_surely_zero(at, self.size, &machine.state.zero));
        for (from, len) in doubtful.unwrap_or_default() {
            machine.write(self.node, &self.path, from, &vec![0; len])?;
        }
        machine.sync(self.node, &self.path, at, self.size)
    }

    fn sync(&self, from: u64, to: u64) -> Result<(), IoError> {
        self.machine.borrow_mut().sync(self.node, &self.path, from, to)
    }
}
