//! The simulated disk itself: what it keeps, what it may lose, and that a seed says it all.

use moraine_core::error::IoKind;
use moraine_core::sim::{Affected, AllChoices, Failure, RandomChoices, SimDisk, SimState};
use moraine_core::storage::{Segment, Storage};

use super::run::Run;
use super::workload::{Step, Workload};

fn with_file() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.place("d/f", &[b'o'; 8192]);
    disk
}

/// What every combination of old and new leaves, each once.
fn outcomes<T: Ord>(state: &SimState, look: impl Fn(&SimState) -> T) -> Vec<T> {
    let mut choices = AllChoices::new(12);
    let mut found = Vec::new();
    loop {
        found.push(look(&state.power_cut(&mut choices)));
        assert!(!choices.exceeded());
        if !choices.advance() {
            found.sort();
            found.dedup();
            return found;
        }
    }
}

fn first_of_pages(state: &SimState) -> (u8, u8) {
    let bytes = state.contents("d/f").unwrap();
    (bytes[0], bytes[4096])
}

#[test]
fn pages_that_no_sync_covers_are_old_or_new_each_for_itself() {
    let disk = with_file();
    disk.write_at("d/f", 0, &[b'n'; 8192]).unwrap();
    assert_eq!(outcomes(&disk.state(), first_of_pages), [(b'n', b'n'), (b'n', b'o'), (b'o', b'n'), (b'o', b'o')]);
    assert!(!disk.state().is_range_durable("d/f", 0, 1));
    let segment = disk.open_segment("d/f").unwrap();
    segment.sync(4096, 4097).unwrap();
    assert_eq!(outcomes(&disk.state(), first_of_pages), [(b'n', b'n'), (b'o', b'n')]);
    assert!(disk.state().is_range_durable("d/f", 4096, 8192) && !disk.state().is_file_durable("d/f"));
    disk.sync("d/f").unwrap();
    assert_eq!(outcomes(&disk.state(), first_of_pages), [(b'n', b'n')]);
    assert!(disk.state().is_file_durable("d/f"));
}

#[test]
fn a_page_is_torn_between_sectors_and_nowhere_else() {
    let disk = with_file();
    disk.write_at("d/f", 0, &[b'n'; 4096]).unwrap();
    let mut torn = 0;
    for seed in 0..500 {
        let bytes = disk.state().power_cut(&mut RandomChoices::new(seed)).contents("d/f").unwrap();
        assert!(bytes[..4096].chunks(512).all(|sector| sector.iter().all(|byte| byte == &sector[0])));
        torn += u64::from(bytes[..4096].iter().any(|byte| byte != &bytes[0]));
        assert!(bytes[4096..].iter().all(|&byte| byte == b'o'));
    }
    assert!((50..450).contains(&torn), "{torn}");
}

#[test]
fn what_stood_in_a_page_in_between_may_have_been_written_back() {
    let disk = with_file();
    disk.keep_versions();
    disk.write_at("d/f", 0, b"between").unwrap();
    disk.write_at("d/f", 0, b"newest!").unwrap();
    let first = |seed| disk.state().power_cut(&mut RandomChoices::new(seed)).contents("d/f").unwrap()[0];
    let mut found: Vec<u8> = (0..200).map(first).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, [b'b', b'n', b'o']);
}

#[test]
fn a_file_needs_its_own_sync_and_that_of_its_directories() {
    let disk = SimDisk::new(1);
    disk.create_dir("d").unwrap();
    disk.create("d/f", 4096).unwrap();
    disk.write_at("d/f", 0, b"x").unwrap();
    let look = |state: &SimState| state.contents("d/f").map(|bytes| (bytes.len(), bytes.first().copied()));
    let all = [None, Some((0, None)), Some((4096, Some(0))), Some((4096, Some(b'x')))];
    assert_eq!(outcomes(&disk.state(), look), all);
    disk.sync("d/f").unwrap();
    assert_eq!(outcomes(&disk.state(), look), [None, Some((4096, Some(b'x')))]);
    disk.sync_dir("d").unwrap();
    assert_eq!(outcomes(&disk.state(), look), [None, Some((4096, Some(b'x')))], "its directory is in no directory yet");
    assert!(!disk.state().is_file_durable("d/f"));
    disk.sync_dir("").unwrap();
    assert_eq!(outcomes(&disk.state(), look), [Some((4096, Some(b'x')))]);
    assert!(disk.state().is_file_durable("d/f"));
    disk.remove("d/f").unwrap();
    assert_eq!(outcomes(&disk.state(), look), [None, Some((4096, Some(b'x')))], "it may come back");
    assert!(!disk.state().is_entry_durable("d/f"));
    disk.sync_all().unwrap();
    assert_eq!(outcomes(&disk.state(), look), [None]);
    assert!(disk.state().is_entry_durable("d/f"));
}

#[test]
fn a_moved_file_is_never_lost_under_both_names() {
    let disk = with_file();
    disk.place("d/g", b"older");
    disk.rename("d/f", "d/g").unwrap();
    let look = |state: &SimState| (state.contents("d/f").map(|bytes| bytes.len()), state.contents("d/g").map(|bytes| bytes.len()));
    let found = [(None, Some(8192)), (Some(8192), Some(5)), (Some(8192), Some(8192))];
    assert_eq!(outcomes(&disk.state(), look), found);
    disk.sync_dir("d").unwrap();
    assert_eq!(outcomes(&disk.state(), look), [(None, Some(8192))]);
}

#[test]
fn after_a_failed_sync_the_next_one_says_that_all_is_well() {
    let disk = with_file();
    disk.write_at("d/f", 0, &[b'n'; 8192]).unwrap();
    disk.fail(Some(Failure { call: 0, always: false, kind: IoKind::Other, affected: Affected::Syncs }));
    assert_eq!(disk.sync("d/f").unwrap_err().kind, IoKind::Other);
    disk.sync("d/f").unwrap();
    assert!(!disk.state().is_range_durable("d/f", 0, 1));
    assert_eq!(outcomes(&disk.state(), first_of_pages).len(), 4);
    disk.write_at("d/f", 4096, b"!").unwrap();
    disk.sync("d/f").unwrap();
    assert_eq!(outcomes(&disk.state(), first_of_pages), [(b'n', b'!'), (b'o', b'!')], "only what was changed again is written");
}

#[test]
fn a_dead_process_changes_nothing_and_leaves_what_it_saw() {
    let disk = with_file();
    disk.write_at("d/f", 0, b"n").unwrap();
    let next = disk.kill();
    assert_eq!(disk.write_at("d/f", 0, b"z").unwrap_err().kind, IoKind::Other);
    assert_eq!(disk.state().contents("d/f").unwrap()[0], b'n');
    assert_eq!(next.state().contents("d/f").unwrap()[0], b'n');
    assert_eq!(outcomes(&next.state(), first_of_pages).len(), 2, "a power cut may still take it");
}

#[test]
fn a_full_disk_takes_what_was_reserved_and_a_failed_write_is_short() {
    let disk = SimDisk::new(1);
    let segment = disk.create_segment("f", 16384).unwrap();
    disk.set_room(Some(2));
    segment.reserve(8192).unwrap();
    assert_eq!(segment.reserve(8193).unwrap_err().kind, IoKind::Full);
    segment.fill(0, 8192, |bytes| bytes.fill(1)).unwrap();
    assert_eq!(segment.fill(8192, 1000, |bytes| bytes.fill(2)).unwrap_err().kind, IoKind::Full);
    let written = disk.state().contents("f").unwrap().iter().filter(|&&byte| byte == 2).count();
    assert!(written < 1000, "{written}");
    disk.set_room(None);
    segment.fill(8192, 1000, |bytes| bytes.fill(2)).unwrap();
    assert!(disk.rot("f", 8192, 0x10) && !disk.rot("f", 1 << 20, 1));
    assert_eq!(disk.state().contents("f").unwrap()[8192], 0x12);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let traced = |seed| {
        let mut workload = Workload::random(seed);
        workload.steps.retain(|step| !matches!(step, Step::Kill | Step::PowerCut(_) | Step::Rebuild { .. })); // they go on on another disk
        let mut run = Run::new(&workload).unwrap();
        run.disk.trace_calls();
        run.carry_out_all(&workload).unwrap();
        (run.disk.trace(), run.points.len())
    };
    let (trace, points) = traced(11);
    assert!(trace.lines().count() > 100 && trace.contains("write commitlog/"), "{trace}");
    assert_eq!((trace.clone(), points), traced(11));
    assert_ne!(trace, traced(12).0);
}
