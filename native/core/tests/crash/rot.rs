//! A bit turns over in a record that the store had said on disk to be safe, and then it crashes: that costs this one message,
//! and nothing behind it is cut. No answer ever has other bytes than those that were put.

use moraine_core::engine::{GetRequest, GetStatus, Resolved};
use moraine_core::error::Code;
use moraine_core::format::crc::crc32;
use moraine_core::options::Options;
use moraine_core::sim::{RandomChoices, SimClock, SimDisk, SimRandom, SimSegment};
use moraine_core::storage::Storage;

use super::model::{Model, QUEUES, Stored, queue};
use super::ordering::newest_watermark;
use super::run::{NOW, Point, open};
use super::states::{Expected, Tally, caught, identity};
use super::verify::{Outcome, Store, well};

/// What a power cut leaves at a point, or the death of the process, with a bit turned over in a record of the durable part.
pub fn rot(at_call: usize, point: &Point, choice: u64, options: &Options, tally: &mut Tally) -> Outcome {
    if point.earlier.is_some() {
        return Ok(()); // what is being removed may be there or not
    }
    let random = &mut SimRandom::new(choice);
    let mut choices = RandomChoices::new(random.next_u64());
    let (state, expected) = match random.one_in(2) {
        true => (point.crash.state.power_cut(&mut choices), Expected::after_power_cut(point)),
        false => (point.crash.state.clone(), Expected::after_death(point)),
    };
    let Some(running) = newest_watermark(&state).and_then(|newest| newest.running) else { return Ok(()) };
    let disk = SimDisk::over(state, choice);
    let safe = running.durable.max(written(&disk, running.session));
    // Without the record that it names a watermark is void, as it has to be after a backup was put back.
    let named = running.last.map(|last| last.at);
    let candidates: Vec<&Stored> =
        expected.model.held().map(|message| &**message).filter(|it| it.end() <= safe && Some(it.physical) != named).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    let rotten = *random.pick(&candidates);
    let at = rotten.physical % options.segment_bytes;
    let path = format!("commitlog/{:020}", rotten.physical - at);
    let (byte, bit) = (at + random.below(rotten.bytes.len() as u64), random.below(8));
    if !tally.is_new(identity(&[at_call as u64, choices.signature(), rotten.physical - at + byte, bit])) {
        return Ok(());
    }
    disk.rot(&path, byte, 1 << bit);
    tally.rotten += 1;
    caught(|| check(&disk, expected, safe, rotten, options))
}

/// How far the log was written, as `moraine/live` says to a process of the same boot; 0: it says nothing.
fn written(disk: &SimDisk, session: u64) -> u64 {
    let block = disk.state().contents("moraine/live").unwrap_or_default();
    let identity = disk.identity().ok().flatten();
    let cells = block.as_chunks::<64>().0.iter().take(2).filter_map(|cell| {
        let field = |at: usize| cell[at..at + 8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let crc = cell[60..].iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
        let counts = crc == crc32(&cell[..60]) && Some(field(8)) == identity && field(16) == session;
        counts.then(|| (field(24), field(32)))
    });
    cells.max().map_or(0, |(_, written)| written)
}

fn check(disk: &SimDisk, expected: Expected<'_>, safe: u64, rotten: &Stored, options: &Options) -> Outcome {
    let store = well("open", open(disk, &SimClock::at(NOW), options))?;
    let end = store.reader().positions().end;
    let at_least = expected.at_least.max(safe);
    if end < at_least || end > expected.at_most {
        let said = format!("want {at_least} to {}, the record at {} is rotten", expected.at_most, rotten.physical);
        return Err(format!("a bad record below what was said to be durable: the log ends at {end}, {said}"));
    }
    let kept = expected.model.cut(end).ok_or_else(|| format!("the log ends at {end}, where nothing ends"))?;
    let lost = unserved(&store, &kept)?;
    match lost.iter().find(|&&lost| lost != rotten.physical) {
        Some(lost) => Err(format!("the record at {} is rotten, the message at {lost} is lost", rotten.physical)),
        None => Ok(()),
    }
}

/// Positions of the records that are not found, in the log or in one of their queues. What is found must be what was put.
pub fn unserved(store: &Store, model: &Model) -> Result<Vec<u64>, String> {
    let (mut lost, mut bytes) = (Vec::new(), Vec::new());
    let log = store.reader().log();
    for message in model.held() {
        match log.record_at(message.physical, &mut bytes) {
            Ok(Some(size)) if bytes[..size] == message.bytes => {}
            Ok(Some(_)) => return Err(format!("the record at {} has other bytes", message.physical)),
            Ok(None) => lost.push(message.physical),
            Err(error) if error.code == Code::Corrupt => lost.push(message.physical),
            Err(error) => return Err(format!("the record at {}: {error}", message.physical)),
        }
    }
    for number in 0..QUEUES {
        for (offset, _, message) in model.in_queue(number) {
            if !is_served(store, model, number, offset)? {
                lost.push(message.physical);
            }
        }
    }
    Ok(lost)
}

/// Whether a message is found at a queue offset. Nothing else may be.
fn is_served(store: &Store, model: &Model, number: usize, offset: u64) -> Result<bool, String> {
    let (topic, id) = queue(number);
    let mut resolved: Resolved<SimSegment> = Resolved::default();
    let request = GetRequest { topic: topic.as_bytes(), queue_id: id, offset, max: 1, max_bytes: 1 << 20, filter: &[] };
    let (mut out, mut offsets) = (vec![0; 1 << 16], [0.0; 2]);
    let copied = store.reader().resolve(&request, &mut resolved).and_then(|()| match resolved.status {
        GetStatus::Found => resolved.copy(&mut out, &mut offsets).map(Some),
        _ => Ok(None),
    });
    match copied {
        Ok(Some(copied)) if copied.messages > 0 => {
            let found = model.in_queue(number).find(|(at, _, _)| *at == offsets[0] as u64);
            match found.filter(|(_, _, message)| out.starts_with(&message.bytes)) {
                Some((at, _, _)) => Ok(at == offset),
                None => Err(format!("get {topic} {id} {offset}: at {} stands what nobody put there", offsets[0])),
            }
        }
        Ok(_) => Ok(false),
        Err(error) if error.code == Code::Corrupt => Ok(false),
        Err(error) => Err(format!("get {topic} {id} {offset}: {error}")),
    }
}
