//! Which process it is: what an owner file says, as text with one fact a line (`name value`).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, StatxFlags};
use xxhash_rust::xxh64::xxh64;

/// Number of a mount that no other gets before the system is started anew (Linux 6.8): the older number is given again.
const MNT_ID_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
/// Another one after each start of the system.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What an owner file calls this engine, which holds the system lock as well.
pub(crate) const ENGINE: &str = "native";

/// A process, and the engine in it that has a store open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) engine: String,
    pub(crate) pid: i32,
    /// Inode of the namespace that the process id belongs to.
    pub(crate) pid_namespace: u64,
    /// Ticks since the system started, so that a process that got the same id later is another one.
    pub(crate) start_time: u64,
    pub(crate) boot: String,
    pub(crate) nonce: String,
}

impl Identity {
    pub(crate) fn of_this_process(nonce: String) -> Self {
        Self {
            engine: ENGINE.into(),
            pid: std::process::id() as i32,
            pid_namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino()),
            start_time: fs::read_to_string("/proc/self/stat").map_or(0, |stat| start_time(&stat)),
            boot: fs::read_to_string(BOOT_ID).map_or_else(|_| String::new(), |id| id.trim().into()),
            nonce,
        }
    }

    pub(crate) fn is_this_process(&self) -> bool {
        let here = Self::of_this_process(String::new());
        (self.pid, self.pid_namespace, self.start_time, &self.boot) == (here.pid, here.pid_namespace, here.start_time, &here.boot)
    }

    pub(crate) fn to_text(&self) -> String {
        let Self { engine, pid, pid_namespace, start_time, boot, nonce } = self;
        format!("engine {engine}\npid {pid}\npid-namespace {pid_namespace}\nstart-time {start_time}\nboot {boot}\nnonce {nonce}\n")
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
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

/// The boot, the mount and the directory, as one number; `None` where the system does not tell them.
pub(crate) fn of_place(directory: &File) -> Option<u64> {
    let Ok(boot) = fs::read_to_string(BOOT_ID) else { return None };
    let wanted = StatxFlags::INO | MNT_ID_UNIQUE;
    let stat = rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, wanted).ok()?;
    if stat.stx_mask & wanted.bits() != wanted.bits() {
        return None;
    }
    let text = format!("{boot} {} {}:{} {}", stat.stx_mnt_id, stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino);
    Some(xxh64(text.as_bytes(), 0))
}

/// Field 22 of `/proc/PID/stat`. The second one, the name, may hold spaces and brackets of its own.
pub(crate) fn start_time(stat: &str) -> u64 {
    behind_name(stat, 19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// Whether a process has ended and only waits for its parent to ask for its exit code: field 3.
pub(crate) fn is_zombie(stat: &str) -> bool {
    matches!(behind_name(stat, 0), Some("Z" | "X" | "x"))
}

/// A field, from the third on.
fn behind_name(stat: &str, index: usize) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_place_is_the_same_until_it_is_another_directory() {
        let place = |path: &str| of_place(&File::open(path).unwrap());
        assert_eq!(place("/proc"), place("/proc"));
        assert!(place("/proc").is_none() || place("/proc") != place("/"));
    }

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_time(&format!("1 (node) {rest}")), 4711);
        assert_eq!(start_time(&format!("1 (a) b (c)) {rest}")), 4711);
        assert_eq!(start_time(""), 0);
        assert!(is_zombie("1 (a) Z 1") && !is_zombie("1 (Z) S 1") && !is_zombie(""));
    }
}
