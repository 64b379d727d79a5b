//! Faults in mappings, turned into a mark that the reader finds.
//!
//! An access to a mapped file raises SIGBUS when the page cannot be had: the file was cut shorter, the disk cannot
//! read it back, a copy-on-write file system has no room. The handler below puts a page of zeros in its place, marks
//! the mapping and lets the access go on; whoever made it looks at the mark afterwards and throws its result away.
//! Faults elsewhere go to the handler that was there before.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Slots in a block. Blocks are chained and never freed, so the handler walks them without a lock.
const SLOTS: usize = 64;

/// One mapping. `start` is 0 while the slot is free.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    faulted: AtomicBool,
}

struct Block {
    slots: [Slot; SLOTS],
    next: AtomicPtr<Block>,
}

impl Block {
    const fn new() -> Self {
        Self {
            slots: [const { Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), faulted: AtomicBool::new(false) } }; SLOTS],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

static FIRST: Block = Block::new();
/// Slots that can be given out. Only registering takes this lock, never the handler.
static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What handled SIGBUS before, or why the handler is not in place.
static PREVIOUS: OnceLock<Result<libc::sigaction, i32>> = OnceLock::new();

/// A range of addresses whose faults are caught for as long as this lives.
pub(crate) struct Registration {
    slot: &'static Slot,
}

impl Registration {
    /// Guards `start..start + len`. The range must stay mapped until the registration is dropped.
    /// Fails with the error number if the handler cannot be put in place.
    pub(crate) fn new(start: usize, len: usize) -> Result<Self, i32> {
        install()?;
        let slot = take_slot();
        slot.faulted.store(false, Ordering::SeqCst);
        slot.end.store(start.saturating_add(len), Ordering::SeqCst);
        slot.start.store(start, Ordering::SeqCst);
        Ok(Self { slot })
    }

    /// Whether any access so far has faulted. Accesses written before the call have happened.
    pub(crate) fn faulted(&self) -> bool {
        // The handler runs on the thread of the access: the compiler alone could move the look before it.
        compiler_fence(Ordering::SeqCst);
        self.slot.faulted.load(Ordering::Acquire)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.slot.start.store(0, Ordering::SeqCst);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
    }
}

fn take_slot() -> &'static Slot {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = free.pop() {
        return slot;
    }
    // All blocks so far are given out. The first one is static, the others are made as they are needed.
    static FIRST_USED: AtomicBool = AtomicBool::new(false);
    let block: &'static Block = if !FIRST_USED.swap(true, Ordering::Relaxed) {
        &FIRST
    } else {
        let made = Box::leak(Box::new(Block::new()));
        let second = FIRST.next.load(Ordering::Acquire);
        made.next.store(second, Ordering::Relaxed);
        FIRST.next.store(made, Ordering::Release);
        made
    };
    let (last, rest) = (&block.slots[SLOTS - 1], &block.slots[..SLOTS - 1]);
    free.extend(rest);
    last
}

/// Puts the handler in place, once in the life of the process. It is never taken away: somebody may have chained to it.
fn install() -> Result<(), i32> {
    let outcome = PREVIOUS.get_or_init(|| {
        // SAFETY: sysconf takes no pointer. Broken by a page size that is no power of two (`the_page_size_is_known`).
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PAGE_BYTES.store(usize::try_from(page).unwrap_or(4096), Ordering::SeqCst);
        query(libc::SIGBUS)
    });
    let Err(errno) = outcome else {
        static IN_PLACE: OnceLock<Result<(), i32>> = OnceLock::new();
        // After PREVIOUS is set, so that the handler always finds it.
        return *IN_PLACE.get_or_init(|| replace(libc::SIGBUS));
    };
    Err(*errno)
}

fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn query(signal: i32) -> Result<libc::sigaction, i32> {
    // SAFETY: a zeroed sigaction is a valid value (default action, empty mask); with no new action the call only
    // writes the current one into it. Broken by: `a_fault_outside_of_every_mapping_still_ends_the_process`.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, ptr::null(), &mut action) == 0 { Ok(action) } else { Err(last_errno()) }
    }
}

fn replace(signal: i32) -> Result<(), i32> {
    // SAFETY: the action is fully set; `on_fault` has the signature that SA_SIGINFO asks for, touches only atomics and
    // memory that its registrations keep mapped, and calls only mmap, sigaction and raise. SA_ONSTACK: threads of other
    // languages may have small stacks. The signal stays blocked inside (no SA_NODEFER): the handler touches no mapping.
    // Broken by: `a_truncated_segment_answers_with_errors`.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        if libc::sigaction(signal, &action, ptr::null_mut()) == 0 { Ok(()) } else { Err(last_errno()) }
    }
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to a handler installed with SA_SIGINFO, and `si_addr` is set when
    // `si_code` is positive (made by the kernel, not by kill). errno is the calling thread's own.
    // Broken by: `a_fault_outside_of_every_mapping_still_ends_the_process`.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        let by_kernel = (*info).si_code > 0;
        if !(by_kernel && cover((*info).si_addr() as usize)) {
            pass_on(signal, info, context, by_kernel);
        }
        *errno = saved;
    }
}

/// Puts zeros where the fault was and marks the mapping. False if the address is in none of ours.
fn cover(address: usize) -> bool {
    let Some(slot) = slot_of(address) else { return false };
    let page_bytes = PAGE_BYTES.load(Ordering::SeqCst);
    let page = address & !(page_bytes - 1);
    // SAFETY: the page lies in a mapping that its registration keeps alive while the faulting access runs, and which
    // nothing else gives away; replacing it by private zeros changes no Rust value, for no reference into it is kept
    // over an access. mmap is a plain system call. Broken by: `a_truncated_segment_answers_with_errors`.
    let mapped = unsafe {
        libc::mmap(
            page as *mut libc::c_void,
            page_bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    // The mark counts also when no page could be had: then the process dies by the fault.
    slot.faulted.store(true, Ordering::SeqCst);
    mapped != libc::MAP_FAILED
}

fn slot_of(address: usize) -> Option<&'static Slot> {
    let mut block = &FIRST;
    loop {
        for slot in &block.slots {
            let start = slot.start.load(Ordering::SeqCst);
            let end = slot.end.load(Ordering::SeqCst);
            // A slot that changes hands between the two loads shows another start (0 at first).
            if start != 0 && start <= address && address < end && slot.start.load(Ordering::SeqCst) == start {
                return Some(slot);
            }
        }
        let next = block.next.load(Ordering::Acquire);
        // SAFETY: null or a leaked block, so valid for ever. Broken by: `more_mappings_than_one_block_has_slots`.
        block = unsafe { next.as_ref() }?;
    }
}

/// Does what would have happened without this handler.
///
/// # Safety
/// To be called from the handler, with its arguments.
unsafe fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void, by_kernel: bool) {
    let Some(Ok(previous)) = PREVIOUS.get() else { return };
    let action = previous.sa_sigaction;
    if action == libc::SIG_IGN && !by_kernel {
        return;
    }
    // SAFETY: an address that is neither of the two constants is a handler that was installed for this signal, with the
    // signature that its flags tell; it gets the arguments that the kernel made. Otherwise the default action comes back:
    // returning runs the faulting instruction again, and the kernel ends the process as it would have.
    // Broken by: `a_fault_outside_of_every_mapping_still_ends_the_process`.
    unsafe {
        if action == libc::SIG_DFL || action == libc::SIG_IGN {
            let mut default: libc::sigaction = std::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &default, ptr::null_mut());
            if !by_kernel {
                libc::raise(signal);
            }
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(action);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(i32) = std::mem::transmute(action);
            handler(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_size_is_known() {
        let here = 0x7000_0000_0000;
        let guard = Registration::new(here, 1).unwrap();
        assert!(PAGE_BYTES.load(Ordering::SeqCst).is_power_of_two());
        assert!(!guard.faulted());
    }

    #[test]
    fn more_mappings_than_one_block_has_slots() {
        let base = 0x6000_0000_0000;
        let guards: Vec<_> = (0..3 * SLOTS).map(|i| Registration::new(base + i * 4096, 4096).unwrap()).collect();
        for (i, guard) in guards.iter().enumerate() {
            let found = slot_of(base + i * 4096 + 4095).unwrap();
            assert!(ptr::eq(found, guard.slot), "mapping {i}");
        }
        drop(guards);
        assert!(slot_of(base).is_none(), "a range is forgotten with its registration");
    }

    #[test]
    fn a_slot_is_used_again() {
        let base = 0x5000_0000_0000;
        for i in 0..10 * SLOTS {
            let guard = Registration::new(base + i * 4096, 4096).unwrap();
            guard.slot.faulted.store(true, Ordering::SeqCst);
            drop(guard);
            assert!(!Registration::new(base, 4096).unwrap().faulted(), "the mark went with its mapping");
        }
        let mut blocks = 1;
        let mut next = FIRST.next.load(Ordering::Acquire);
        // SAFETY: as in slot_of.
        while let Some(block) = unsafe { next.as_ref() } {
            blocks += 1;
            next = block.next.load(Ordering::Acquire);
        }
        assert!(blocks <= 8, "{blocks} blocks");
    }
}
