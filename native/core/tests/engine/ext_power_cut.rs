//! Extension files on a disk that loses its power, or its process, at any call: what is missing or torn is made again from the log.

use std::sync::Arc;

use crate::support::*;
use moraine_core::batch;
use moraine_core::engine::{BehindPlan, Engine};
use moraine_core::format::ext_unit::{ExtUnit, offset_of};
use moraine_core::format::hash::tags_code;
use moraine_core::format::queue_entry::QueueEntry;
use moraine_core::options::{FlushMode, Options};
use moraine_core::sim::{RandomChoices, SimClock, SimDisk, SimState};

type SimStore = Engine<SimDisk, SimClock>;

/// Three units of 20 bytes, the mark and two bytes.
const FILE_BYTES: u64 = 66;
/// What is tried of each call at which the power is cut.
const CHOICES: u64 = 12;

/// A store whose topic T has extension files, with what is known of it at every call that changes its disk.
struct Run {
    disk: SimDisk,
    clock: SimClock,
    options: Options,
    store: SimStore,
    put: usize,
    points: Vec<Point>,
}

struct Point {
    state: SimState,
    /// Messages that were acknowledged as durable, that had been put, and that there may be.
    durable: usize,
    put: usize,
    most: usize,
}

#[allow(clippy::arc_with_non_send_sync)] // one thread
fn opened(disk: &SimDisk, clock: &SimClock, options: &Options) -> SimStore {
    Engine::open(Arc::new(disk.clone()), clock.clone(), options.clone(), &mut |_| {}).unwrap_or_else(|error| panic!("open: {error}"))
}

fn put_one(store: &mut SimStore, clock: &SimClock, n: usize) {
    clock.set(NOW + n as i64);
    let (body, properties) = (format!("m{n}"), format!("TAGS\u{1}tag{}\u{2}", n % 7));
    let (mut bytes, mut results) = (Vec::new(), [0.0; 16]);
    batch::encode(&message(body.as_bytes(), properties.as_bytes()), &mut bytes);
    store.writer().unwrap().put(&bytes, &mut results).unwrap();
}

impl Run {
    fn new(flush: FlushMode) -> Self {
        let (disk, clock, options) = (SimDisk::new(7), SimClock::at(NOW), Options { flush, ..small() });
        disk.place(&format!("consumequeue_ext/T/0/{:020}", 0), &[0; FILE_BYTES as usize]);
        disk.keep_versions();
        disk.record();
        let store = opened(&disk, &clock, &options);
        let mut run = Self { disk, clock, options, store, put: 0, points: Vec::new() };
        run.note(0, 0);
        run
    }

    /// Takes over the calls since the last time.
    fn note(&mut self, durable: usize, put: usize) {
        let most = self.put;
        self.points.extend(self.disk.take_points().into_iter().map(|point| Point { state: point.state, durable, put, most }));
    }

    fn put(&mut self, count: usize, durable: usize) {
        for _ in 0..count {
            put_one(&mut self.store, &self.clock, self.put);
            self.put += 1;
            self.note(durable, self.put - 1);
        }
    }

    fn flush(&mut self, durable: usize) {
        let Some(plan) = self.store.writer().unwrap().plan_flush() else { return };
        plan.run(&self.disk).unwrap();
        self.store.writer().unwrap().flushed(plan);
        self.note(durable, self.put);
    }

    fn write_behind(&mut self, durable: usize) {
        while let Some(plan) = self.store.writer().unwrap().plan_behind() {
            BehindPlan::run(&plan, &self.disk).unwrap();
            self.store.writer().unwrap().wrote_behind(plan);
        }
        self.note(durable, self.put);
    }

    fn checkpoint(&mut self, durable: usize) {
        self.store.writer().unwrap().begin_checkpoint();
        self.put(2, durable);
        self.flush(durable);
        let durable = self.put;
        self.write_behind(durable);
        let mut plan = self.store.writer().unwrap().plan_checkpoint().unwrap().expect("everything is in files");
        plan.run(&self.disk, &mut || {}).unwrap();
        self.store.writer().unwrap().checkpointed(plan).unwrap();
        self.note(durable, self.put);
    }

    fn close(&mut self, durable: usize) {
        self.store.writer().unwrap().close().unwrap();
        self.note(durable, self.put);
    }

    fn reopen(&mut self) {
        self.store = opened(&self.disk, &self.clock, &self.options);
        self.note(self.put, self.put);
    }

    fn die(&mut self) {
        self.disk = self.disk.kill();
        self.disk.keep_versions();
        self.disk.record();
    }
}

/// Puts, writes behind, queue checkpoints, a close and a death, over the ends of files of every sort.
fn everything(flush: FlushMode) -> Run {
    let mut run = Run::new(flush);
    run.put(4, 0);
    run.flush(0);
    run.write_behind(4);
    run.put(9, 4);
    run.write_behind(4);
    run.checkpoint(4);
    let durable = run.put;
    run.put(8, durable);
    run.write_behind(durable);
    run.put(3, durable);
    run.close(durable);
    run.reopen();
    let durable = run.put;
    run.put(7, durable);
    run.checkpoint(durable);
    let durable = run.put;
    run.put(5, durable);
    run.flush(durable);
    run.write_behind(run.put);
    run.die();
    run.reopen();
    let durable = run.put;
    run.put(4, durable);
    run.close(durable);
    run
}

fn code(n: usize) -> i64 {
    tags_code(format!("tag{}", n % 7).as_bytes())
}

/// How many messages there are; each is in its queue, with its tags code.
fn looked_at(store: &SimStore, case: &str) -> usize {
    let reader = store.reader();
    let entries = reader.entries(b"T", 0, 0, 1000).map(|(_, entries)| entries).unwrap_or_default();
    let shown: Vec<i64> = entries.iter().map(|entry| entry.tags_code).collect();
    assert_eq!(shown, (0..shown.len()).map(code).collect::<Vec<_>>(), "{case}: tags codes");
    let (log, mut bytes) = (reader.log(), Vec::new());
    let whole = entries.iter().filter(|entry| matches!(log.record_at(entry.physical, &mut bytes), Ok(Some(_)))).count();
    assert_eq!(whole, shown.len(), "{case}: entries that lead to a record");
    let last = entries.last().map_or(0, |entry| entry.physical + u64::from(entry.size));
    let end = reader.positions().visible;
    assert!(end == last || end.is_multiple_of(small().segment_bytes) && end > last, "{case}: the log ends at {end}, the queue at {last}");
    shown.len()
}

/// Every entry in the files has a unit with its tags code and store time, and no two share one.
fn assert_files(state: &SimState, count: usize, case: &str) {
    let all = |dir: &str| -> Vec<u8> {
        state.paths().into_iter().filter(|path| path.starts_with(dir)).flat_map(|path| state.contents(&path).unwrap()).collect()
    };
    for path in state.paths().iter().filter(|path| path.starts_with("consumequeue_ext/T/0/")) {
        assert_eq!(state.contents(path).unwrap().len() as u64, FILE_BYTES, "{case}: {path}");
    }
    let (queue, ext) = (all("consumequeue/T/0/"), all("consumequeue_ext/T/0/"));
    let entries: Vec<QueueEntry> = queue.as_chunks::<{ QueueEntry::BYTES }>().0.iter().map_while(QueueEntry::decode).collect();
    assert_eq!(entries.len(), count, "{case}: entries in files");
    let mut last = None;
    for (n, entry) in entries.iter().enumerate() {
        let offset = offset_of(entry.tags_code).unwrap_or_else(|| panic!("{case}: entry {n} has no unit"));
        assert!(last < Some(offset), "{case}: addresses ascend");
        last = Some(offset);
        let unit = ExtUnit::decode(&ext[offset as usize..]).unwrap_or_else(|| panic!("{case}: entry {n} leads to no unit"));
        assert_eq!((unit.tags_code, unit.store_timestamp), (code(n), NOW + n as i64), "{case}: unit of entry {n}");
    }
}

/// Opens what was left, goes on with it, closes it, and opens it again.
fn recovers(state: &SimState, options: &Options, (least, most): (usize, usize), case: &str) {
    let (disk, clock) = (SimDisk::over(state.clone(), 1), SimClock::at(NOW + 1000));
    let read_only = opened(&disk, &clock, &Options { read_only: true, ..options.clone() });
    let count = looked_at(&read_only, &format!("{case}, read-only"));
    assert!((least..=most).contains(&count), "{case}: {count} messages, want {least} to {most}");
    drop(read_only);
    let mut store = opened(&disk, &clock, options);
    assert_eq!(looked_at(&store, case), count, "{case}");
    (count..count + 4).for_each(|n| put_one(&mut store, &clock, n));
    assert_eq!(looked_at(&store, case), if options.flush == FlushMode::Sync { count } else { count + 4 }, "{case}, put to");
    store.writer().unwrap().close().unwrap();
    assert_files(&disk.state(), count + 4, case);
    assert_eq!(looked_at(&opened(&disk, &clock, options), case), count + 4, "{case}, closed");
}

/// Opens what was left while the power is cut again at some call of it.
fn recovers_from_a_cut_within(state: &SimState, options: &Options, range: (usize, usize), seed: u64, case: &str) {
    let (disk, clock) = (SimDisk::over(state.clone(), seed), SimClock::at(NOW + 1000));
    disk.keep_versions();
    disk.record();
    drop(opened(&disk, &clock, options));
    let points = disk.take_points();
    let at = (seed as usize * 7919) % points.len().max(1);
    let Some(point) = points.get(at) else { return };
    let again = point.state.power_cut(&mut RandomChoices::new(seed).with_short_files());
    recovers(&again, options, range, &format!("{case}, cut again at call {at}"));
}

#[test]
fn a_power_cut_at_any_call_costs_no_unit_of_a_message_that_is_left() {
    for flush in [FlushMode::Async, FlushMode::Sync] {
        let run = everything(flush);
        assert!(run.points.len() > 200, "{}", run.points.len());
        for (at, point) in run.points.iter().enumerate() {
            for choice in 0..CHOICES {
                let seed = at as u64 * CHOICES + choice;
                let state = point.state.power_cut(&mut RandomChoices::new(seed).with_short_files());
                let (case, range) = (format!("{flush:?}, cut at call {at}, {choice}"), (point.durable, point.most));
                match choice % 3 {
                    0 => recovers_from_a_cut_within(&state, &run.options, range, seed, &case),
                    _ => recovers(&state, &run.options, range, &case),
                }
            }
        }
    }
}

#[test]
fn the_death_of_the_process_at_any_call_costs_no_unit() {
    let run = everything(FlushMode::Async);
    for (at, point) in run.points.iter().enumerate() {
        recovers(&point.state, &run.options, (point.put, point.most), &format!("dies at call {at}"));
    }
}
