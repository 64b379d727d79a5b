//! The ordered run of segments: loading it from a directory, finding one by offset, adding and dropping.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::DIRECTORY;
use crate::error::{Error, Finding};
use crate::format::names;
use crate::limits::{MAX_SAFE_INTEGER, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES};
use crate::storage::{EntryKind, Segment, Storage, place_taken};

/// A segment and the physical offset of its first byte.
#[derive(Debug)]
pub struct Placed<G> {
    pub base: u64,
    pub segment: Arc<G>,
}

impl<G> Clone for Placed<G> {
    fn clone(&self) -> Self {
        Self { base: self.base, segment: Arc::clone(&self.segment) }
    }
}

/// Segments in order of their offsets. A clone shares the list: it stays as it was while this one goes on.
#[derive(Debug)]
pub struct Segments<G> {
    segment_bytes: u64,
    placed: Arc<Vec<Placed<G>>>,
}

impl<G> Clone for Segments<G> {
    fn clone(&self) -> Self {
        Self { segment_bytes: self.segment_bytes, placed: Arc::clone(&self.placed) }
    }
}

/// Path of the segment that starts at `base`.
pub fn path(base: u64) -> String {
    format!("{DIRECTORY}/{}", names::file_name(base))
}

/// Whether the file that starts at `base` begins with no record.
fn is_empty<S: Storage>(storage: &S, base: u64) -> Result<bool, Error> {
    let mut first = [0; 8];
    Ok(storage.read_at(&path(base), 0, &mut first)? < first.len() || first == [0; 8])
}

impl<G: Segment> Segments<G> {
    pub fn empty(segment_bytes: u64) -> Self {
        Self { segment_bytes, placed: Arc::new(Vec::new()) }
    }

    /// Opens what lies in the commit log's directory (store-format §0.2.1). The size found wins over `segment_bytes`.
    ///
    /// A last file that is empty or short comes from a crash while it was made: empty it is left out, short it is
    /// extended (`repair`) or taken as it is. So is one in the middle, which is reported: after a power cut the files made
    /// since the last sync have their lengths or not, in any order. What is no log file is left alone and reported.
    pub fn load<S>(storage: &S, segment_bytes: u64, repair: bool, findings: &mut Vec<Finding>) -> Result<Self, Error>
    where
        S: Storage<Segment = G>,
    {
        let mut files: Vec<(u64, u64)> = Vec::new();
        for entry in storage.list(DIRECTORY)?.unwrap_or_default() {
            match (entry.kind, names::parse_file_name(&entry.name)) {
                (EntryKind::File, Some(base)) if base <= MAX_SAFE_INTEGER => files.push((base, entry.len)),
                (_, Some(base)) if base <= MAX_SAFE_INTEGER => findings.push(place_taken(path(base), "a commit log file", repair)?),
                (EntryKind::Directory, _) => {}
                _ => findings.push(Finding {
                    kind: "stray-file",
                    file: format!("{DIRECTORY}/{}", entry.name),
                    offset: 0,
                    length: entry.len,
                    message: String::from("is no commit log file; RocketMQ does not start while it lies there"),
                }),
            }
        }
        files.sort_unstable();
        if let Some(&(base, 0)) = files.last() {
            files.pop();
            if repair {
                storage.remove(&path(base))?;
                storage.sync_dir(DIRECTORY)?;
            }
        }
        let size = match files.iter().map(|&(_, len)| len).max() {
            None => return Ok(Self::empty(segment_bytes)),
            // The first file, and a power cut came before it had its size.
            Some(len) if files.len() == 1 && (len < MIN_SEGMENT_BYTES || len < segment_bytes && is_empty(storage, files[0].0)?) => {
                segment_bytes
            }
            Some(len) => len,
        };
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&size) {
            return Err(Error::corrupt(&path(files[0].0), 0, &format!("{size} bytes are no size for a commit log file")));
        }
        let last = files.len() - 1;
        let mut placed = Vec::with_capacity(files.len());
        for (i, &(base, len)) in files.iter().enumerate() {
            if base % size != 0 {
                return Err(Error::corrupt(
                    &path(base),
                    0,
                    &format!("its name is no multiple of the size of the log's files, {size} bytes"),
                ));
            }
            if len > size {
                return Err(Error::corrupt(&path(base), 0, &format!("has {len} bytes, the files before have {size}")));
            }
            if len < size {
                if i != last {
                    findings.push(Finding {
                        kind: "log-gap",
                        file: path(base),
                        offset: base + len,
                        length: size - len,
                        message: format!("has {len} bytes, the files before have {size}: what stood behind them is lost"),
                    });
                }
                if repair {
                    storage.create(&path(base), size)?;
                }
            }
            placed.push(Placed { base, segment: storage.open_segment(&path(base))? });
        }
        for pair in placed.windows(2) {
            if pair[1].base != pair[0].base + size {
                findings.push(Finding {
                    kind: "log-gap",
                    file: path(pair[1].base),
                    offset: pair[0].base + size,
                    length: pair[1].base - pair[0].base - size,
                    message: format!("no commit log file holds offsets {} to {}", pair[0].base + size, pair[1].base),
                });
            }
        }
        Ok(Self { segment_bytes: size, placed: Arc::new(placed) })
    }

    /// Every file of the log that can be opened, each with the size that it has: of a log that [`Segments::load`] refuses,
    /// to be read only.
    pub fn load_what_opens<S>(storage: &S) -> Result<Self, Error>
    where
        S: Storage<Segment = G>,
    {
        let mut placed = Vec::new();
        let mut sizes = BTreeMap::<u64, u64>::new();
        for entry in storage.list(DIRECTORY)?.unwrap_or_default() {
            if let Some(base) = names::parse_file_name(&entry.name).filter(|&base| base <= MAX_SAFE_INTEGER)
                && (entry.kind, entry.len <= MAX_SEGMENT_BYTES) == (EntryKind::File, true)
                && let Ok(segment) = storage.open_segment(&path(base))
                && segment.size() > 0
            {
                *sizes.entry(segment.size()).or_default() += 1;
                placed.push(Placed { base, segment });
            }
        }
        placed.sort_unstable_by_key(|placed| placed.base);
        let usual = sizes.into_iter().max_by_key(|&(size, count)| (count, size)).map_or(MIN_SEGMENT_BYTES, |(size, _)| size);
        Ok(Self { segment_bytes: usual, placed: Arc::new(placed) })
    }

    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Placed<G>> + ExactSizeIterator {
        self.placed.iter()
    }

    pub fn last(&self) -> Option<&Placed<G>> {
        self.placed.last()
    }

    /// Offset of the first byte of the first segment, 0 without any.
    pub fn min(&self) -> u64 {
        self.placed.first().map_or(0, |first| first.base)
    }

    /// Offset behind the last byte of the last segment, 0 without any.
    pub fn extent(&self) -> u64 {
        self.placed.last().map_or(0, |last| last.base + last.segment.size())
    }

    /// Gives findings about places in the log the names of the files that hold these.
    pub fn name_files(&self, findings: &mut [Finding]) {
        for finding in findings.iter_mut().filter(|finding| finding.file.starts_with(DIRECTORY)) {
            if let Some(placed) = self.find(finding.offset) {
                finding.file = path(placed.base);
            }
        }
    }

    /// The segment that holds the byte at `offset`.
    pub fn find(&self, offset: u64) -> Option<&Placed<G>> {
        let after = self.placed.partition_point(|placed| placed.base <= offset);
        let placed = &self.placed[after.checked_sub(1)?];
        (offset - placed.base < placed.segment.size()).then_some(placed)
    }

    /// Start of the first segment above `offset`, if there is one.
    pub fn next_base(&self, offset: u64) -> Option<u64> {
        let after = self.placed.partition_point(|placed| placed.base <= offset);
        self.placed.get(after).map(|placed| placed.base)
    }

    pub fn push(&mut self, placed: Placed<G>) {
        let mut list = Vec::with_capacity(self.placed.len() + 1);
        list.extend(self.placed.iter().cloned());
        list.push(placed);
        self.placed = Arc::new(list);
    }

    /// Takes the segments that start below `offset` off the list.
    pub fn drop_below(&mut self, offset: u64) -> Vec<Placed<G>> {
        let mut list: Vec<Placed<G>> = self.placed.iter().cloned().collect();
        let kept = list.split_off(list.partition_point(|placed| placed.base < offset));
        self.placed = Arc::new(kept);
        list
    }

    /// Takes the segments that start at or above `offset` off the list.
    pub fn split_off(&mut self, offset: u64) -> Vec<Placed<G>> {
        let mut list: Vec<Placed<G>> = self.placed.iter().cloned().collect();
        let cut = list.partition_point(|placed| placed.base < offset);
        let dropped = list.split_off(cut);
        self.placed = Arc::new(list);
        dropped
    }
}
