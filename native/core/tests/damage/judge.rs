//! A damaged store, opened, used, verified, rebuilt and salvaged: what may be missing, and what may not.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moraine_core::engine::remake::{Derived, rebuild};
use moraine_core::engine::salvage;
use moraine_core::format::index_file::Geometry;
use moraine_core::format::record::{Record, move_to};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;
use moraine_core::verify::{Fault, VerifyOptions, verify};

use crate::image::*;
use crate::look::{Altered, Seen, look};
use crate::model::*;
use crate::support::*;

pub type Outcome = Result<(), String>;

/// What a damage may cost.
#[derive(Clone, Debug, Default)]
pub struct Allowed<'a> {
    /// Messages whose records may be lost, each with all that leads to it.
    pub lost: BTreeSet<usize>,
    /// The log may end in front of this message: it was not known to have been on disk.
    pub cut: Option<usize>,
    /// Messages that a queue may not give until it is built again; each of them may be hidden in all of its queues.
    pub hidden: usize,
    /// Keys may not find messages until the index is built again.
    pub unfound: bool,
    /// A message that is shown as it is now: nothing says that it is damaged.
    pub altered: Altered<'a>,
    /// A queue may seem to be longer than it was.
    pub longer: bool,
    /// Offsets of lost messages may be given again, as RocketMQ does it: the newest entries of queues lead nowhere.
    pub forgets: bool,
    /// The store may be refused as one that cannot be.
    pub refused: bool,
}

/// A file that was damaged, and from where to where.
#[derive(Clone, Debug)]
pub struct Damaged {
    pub path: String,
    pub from: u64,
    pub to: u64,
    /// There is no such file any more.
    pub is_gone: bool,
    /// The file was the last of its kind, and has no bytes from there on.
    pub is_end: bool,
}

impl Damaged {
    pub fn bytes(path: &str, from: u64, to: u64) -> Self {
        Self { path: path.to_owned(), from, to, is_gone: false, is_end: false }
    }
}

/// What panics is a flaw as any other.
pub fn caught(what: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("with something that is no text")))
    })
}

fn in_step(step: &str) -> impl Fn(String) -> String {
    move |flaw| format!("{step}: {flaw}")
}

/// Carries everything out that can be done with a damaged store.
pub fn judge(image: &Image, storage: &MemoryStorage, damaged: &[Damaged], allowed: &Allowed<'_>) -> Outcome {
    let seen = match read_only(image, storage, allowed).map_err(in_step("read-only"))? {
        Some(seen) => seen,
        None => return Ok(()),
    };
    let written = storage.snapshot();
    let Some(again) = used(image, &written, allowed).map_err(in_step("for writing"))? else { return Ok(()) };
    let faults = verified(storage, &image.options).map_err(in_step("verify"))?;
    named(damaged, &faults, &seen, image)
        .or_else(|flaw| {
            // What a killed store had not finished is looked at when it was opened, and closed.
            let is_killed = matches!(image.ending, Ending::Killed | Ending::KilledWithoutSidecar);
            if is_killed { named(damaged, &verified(&written, &image.options)?, &again, image) } else { Err(flaw) }
        })
        .map_err(in_step("verify"))?;
    if !seen.hidden.is_empty() || !seen.unfound.is_empty() {
        built_again(image, storage.snapshot(), allowed).map_err(in_step("rebuild"))?;
    }
    if damaged.iter().any(|damaged| damaged.path.starts_with("commitlog/")) {
        saved(image, storage, &seen, allowed).map_err(in_step("salvage"))?;
    }
    Ok(())
}

/// `None`: refused, as it may be.
fn read_only(image: &Image, storage: &MemoryStorage, allowed: &Allowed<'_>) -> Result<Option<Seen>, String> {
    let options = Options { read_only: true, create: false, ..image.options.clone() };
    let before = storage.syncs().len();
    let store = match open_at(storage, options, &clock(image)) {
        Ok(store) => store,
        Err(error) if allowed.refused && !error.message.is_empty() => return Ok(None),
        Err(error) => return Err(format!("refused: {error}")),
    };
    let seen = look(&store, &image.model, allowed.altered)?;
    if storage.syncs().len() != before {
        return Err(String::from("it changes the store"));
    }
    expect(image, &seen, allowed)?;
    Ok(Some(seen))
}

fn clock(image: &Image) -> MemoryClock {
    MemoryClock::at(image.model.messages.last().map_or(NOW, |last| last.time) + 5000)
}

/// Opens it for writing, puts a message to each queue, closes it and opens it again. `None`: refused, as it may be.
fn used(image: &Image, storage: &MemoryStorage, allowed: &Allowed<'_>) -> Result<Option<Seen>, String> {
    let mut store = match open_at(storage, image.options.clone(), &clock(image)) {
        Ok(store) => store,
        Err(error) if allowed.refused && !error.message.is_empty() => return Ok(None),
        Err(error) => return Err(format!("refused: {error}")),
    };
    let first = look(&store, &image.model, allowed.altered)?;
    expect(image, &first, allowed)?;
    let mut model = image.model.clone();
    model.messages.retain(|message| message.end() <= first.end);
    model.next = first.next;
    for message in &mut model.messages {
        // An offset that nothing told of any more is given again.
        message.places.retain(|place| place.offset < first.next[place.queue]);
    }
    let old = model.messages.len();
    for queue in 0..LIGHT_QUEUES.start {
        let inner = if BATCH_QUEUES.contains(&queue) { 2 } else { 0 };
        let light = if queue == 2 { vec![0, 1] } else { Vec::new() };
        let draft = Draft { queue, body: String::from("new"), keys: vec![3], light, inner, ..Draft::default() };
        put_one(&mut store, &mut model, &draft, NOW);
    }
    let puts = |seen: &Seen| -> Outcome {
        let lost = seen.lost.iter().find(|&&number| number >= old);
        let hidden = seen.hidden.iter().find(|&&(queue, offset)| offset >= first.next[queue]);
        match (lost, hidden) {
            (None, None) => Ok(()),
            other => Err(format!("what was put is not there: {other:?}")),
        }
    };
    look(&store, &model, allowed.altered).and_then(|seen| puts(&seen)).map_err(in_step("after puts"))?;
    let killed = storage.snapshot();
    close(store);
    for (what, storage) in [("after a close", storage), ("after a kill", &killed)] {
        let store = open_at(storage, image.options.clone(), &clock(image)).map_err(|error| format!("{what}, refused: {error}"))?;
        let seen = look(&store, &model, allowed.altered).map_err(in_step(what))?;
        puts(&seen).map_err(in_step(what))?;
        let more = |one: &Seen, other: &Seen| !one.lost.is_subset(&other.lost) || one.hidden.len() > other.hidden.len();
        if more(&seen, &first) {
            return Err(format!("{what}: more is missing than before, {} of {}", missing(&seen), missing(&first)));
        }
        if seen.next != model.next {
            return Err(format!("{what}: next offsets {:?}, want {:?}", seen.next, model.next));
        }
    }
    Ok(Some(first))
}

fn missing(seen: &Seen) -> String {
    format!("lost {:?}, hidden {:?}, not found {:?}", seen.lost, seen.hidden, seen.unfound)
}

/// Whether no more is missing than may be.
fn expect(image: &Image, seen: &Seen, allowed: &Allowed<'_>) -> Outcome {
    let model = &image.model;
    let cut = allowed.cut.filter(|&cut| cut < model.messages.len() && seen.end <= model.messages[cut].end());
    let all = model.messages.len();
    let may_be_lost = |number: usize| allowed.lost.contains(&number) || cut.is_some_and(|cut| number >= cut);
    if let Some(number) = seen.lost.iter().find(|&&number| !may_be_lost(number)) {
        return Err(format!("message {number} of {all} is lost; {}", missing(seen)));
    }
    let mut hidden = BTreeSet::new();
    for &(queue, offset) in &seen.hidden {
        let (number, _) = model.in_queue(queue, offset).ok_or("hides what was not there")?;
        if !may_be_lost(number) {
            hidden.insert(number);
        }
    }
    if hidden.len() > allowed.hidden {
        return Err(format!("messages {hidden:?} are hidden, {} may be; {}", allowed.hidden, missing(seen)));
    }
    if let Some((number, key)) = seen.unfound.iter().find(|(number, _)| !may_be_lost(*number))
        && !allowed.unfound
    {
        return Err(format!("message {number} is not found by {}", KEYS[*key]));
    }
    let least = cut.map_or(model.next, |cut| model.next_before(cut));
    for (queue, (&next, &want)) in seen.next.iter().zip(&least).enumerate() {
        // The newest message of a queue may be lost: its offset is given again only if nothing says that it was there.
        let forgotten = model.next_without(&allowed.lost, if allowed.forgets { 0 } else { image.in_files })[queue];
        let is_right =
            (next == want || next == forgotten) || (next > want && (allowed.longer || (cut.is_some() && next <= model.next[queue])));
        if !is_right {
            return Err(format!("{:?} goes on at {next}, want {want}", QUEUES[queue]));
        }
    }
    Ok(())
}

pub fn verified(storage: &MemoryStorage, options: &Options) -> Result<Vec<Fault>, String> {
    let geometry = Geometry { slots: options.index_slots, entries: options.index_entries };
    let asked = VerifyOptions { deep: true, delay_levels: options.delay_levels.clone(), geometry, live: None };
    let mut steps = 0;
    let verified = verify(storage, &asked, &mut |_| {
        steps += 1;
        steps < 10_000
    });
    match verified {
        Ok(verified) if verified.complete => Ok(verified.faults),
        Ok(_) => Err(String::from("goes on and on")),
        Err(error) => Err(format!("{error}")),
    }
}

/// Whether the damage is named, if anything is missing: with its file, and in the log with its place.
fn named(damaged: &[Damaged], faults: &[Fault], seen: &Seen, image: &Image) -> Outcome {
    let is_missing = !seen.is_whole();
    let is_named = damaged.iter().any(|damaged| {
        faults.iter().any(|fault| {
            let finding = &fault.finding;
            match base_of(&damaged.path) {
                // Of a file that is gone its directory is named, or what its entries were of.
                None if damaged.is_gone => {
                    damaged.path.starts_with(&format!("{}/", finding.file))
                        || (damaged.path.starts_with("index/") && finding.kind == "index-missing")
                }
                None => finding.file == damaged.path,
                // Where the end of the log is gone, entries say that something stood there.
                Some(_) if damaged.is_end && ["queue-entry", "index-entry"].contains(&finding.kind) => true,
                Some(base) => {
                    let (from, to) = (base + damaged.from, base + damaged.to);
                    finding.offset < to && (from < finding.offset + finding.length || finding.length == 0)
                }
            }
        })
    });
    match is_missing && !is_named {
        false => Ok(()),
        true => Err(format!("the damage is not named; {} of {}; {faults:#?}", missing(seen), image.model.messages.len())),
    }
}

/// Makes queues and index again: then nothing is missing but what the log has lost.
fn built_again(image: &Image, storage: MemoryStorage, allowed: &Allowed<'_>) -> Outcome {
    let what = Derived { queues: true, index: true };
    rebuild(&storage, &clock(image), &image.options, what, &mut |_| {}).map_err(|error| format!("{error}"))?;
    let store = open_at(&storage, image.options.clone(), &clock(image)).map_err(|error| format!("refused: {error}"))?;
    let seen = look(&store, &image.model, allowed.altered)?;
    let allowed = Allowed { hidden: 0, unfound: false, ..allowed.clone() };
    let newest_lost = |queue: usize| {
        let newest = image.model.messages.iter().enumerate().filter(|(_, message)| message.places.iter().any(|place| place.queue == queue));
        newest.max_by_key(|(number, _)| *number).is_some_and(|(number, _)| allowed.lost.contains(&number))
    };
    // The log alone does not say how far a queue went whose newest message is lost.
    let mut seen_next = seen.clone();
    (0..QUEUES.len()).filter(|&queue| newest_lost(queue)).for_each(|queue| seen_next.next[queue] = image.model.next[queue]);
    expect(image, &seen_next, &allowed)
}

/// Saves what is whole into a new store: all that the old one shows, and more.
#[allow(clippy::arc_with_non_send_sync)] // one thread
fn saved(image: &Image, storage: &MemoryStorage, seen: &Seen, allowed: &Allowed<'_>) -> Outcome {
    let say = |error: moraine_core::error::Error| format!("{error}");
    let to = MemoryStorage::default();
    let mut store = salvage::begin(storage, Arc::new(to), clock(image), &image.options, &mut Vec::new(), &mut |_| {}).map_err(say)?;
    let salvaged = salvage::salvage(storage, &mut store, &mut |_| {}).map_err(say)?;
    let mut scanner = moraine_core::engine::Scanner::new(store.reader().log(), 0, u64::MAX);
    let mut found = Vec::new();
    while let Some(item) = scanner.next_item().map_err(say)? {
        if matches!(item, moraine_core::engine::ScanItem::Message { .. }) {
            found.push(scanner.message().to_vec());
        }
    }
    let mut numbers = BTreeSet::new();
    for bytes in &found {
        let born = Record::parse(bytes).map_err(|flaw| format!("{flaw}"))?;
        let is = |original: &[u8]| {
            let mut moved = original.to_vec();
            move_to(&mut moved, born.physical_offset() as u64);
            moved == *bytes
        };
        let number = (0..image.model.messages.len()).filter(|number| !numbers.contains(number)).find(|&number| {
            is(&image.model.messages[number].bytes) || allowed.altered.is_some_and(|(altered, bytes)| altered == number && is(bytes))
        });
        numbers.insert(number.ok_or("saves what was not put")?);
    }
    let known_lost = |number: &usize| allowed.lost.contains(number);
    match (0..image.model.messages.len()).find(|number| !(numbers.contains(number) || known_lost(number) && seen.lost.contains(number))) {
        None if salvaged.messages == found.len() as u64 => Ok(()),
        None => Err(format!("says that it saved {} messages, there are {}", salvaged.messages, found.len())),
        Some(number) => Err(format!("message {number} is whole and not saved")),
    }
}

/// A message whose header says something else now, which no checksum sees: all others are in the log.
pub fn judge_others(image: &Image, storage: &MemoryStorage, number: usize, now: &[u8]) -> Outcome {
    for read_only in [true, false] {
        let options = Options { read_only, create: false, ..image.options.clone() };
        let store = open_at(&storage.snapshot(), options, &clock(image)).map_err(|error| format!("refused: {error}"))?;
        let (log, mut bytes) = (store.reader().log(), Vec::new());
        for (other, message) in image.model.messages.iter().enumerate() {
            match log.record_at(message.physical, &mut bytes) {
                Ok(Some(size)) if bytes[..size] == message.bytes => {}
                Ok(Some(size)) if other == number && bytes[..size] == *now => {}
                _ if other == number => {}
                outcome => return Err(format!("message {number} is damaged, message {other} is lost: {outcome:?}")),
            }
        }
    }
    verified(storage, &image.options).map(drop)
}

/// Opens it in both ways, if it can be opened: what is shown was put.
pub fn shows_nothing_wrong(image: &Image, storage: &MemoryStorage) -> Outcome {
    for read_only in [true, false] {
        let options = Options { read_only, create: false, ..image.options.clone() };
        match open_at(&storage.snapshot(), options, &clock(image)) {
            Ok(store) => _ = look(&store, &image.model, None)?,
            Err(error) if error.message.is_empty() => return Err(String::from("refused without a word")),
            Err(_) => {}
        }
    }
    verified(storage, &image.options).map(drop)
}
