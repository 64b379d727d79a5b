//! Lookups of several keys: what is asked is checked, an answer comes in pieces, and has an end.

use crate::support::*;
use moraine_core::engine::lookup::{Lookup, Wanted, asked, keys_in};
use moraine_core::engine::{LogView, Search};
use moraine_core::error::{Code, Error};
use moraine_core::format::record::Record;
use moraine_core::limits::MAX_LOOKUP_BYTES;
use moraine_core::memory::{MemorySegment, MemoryStorage};
use moraine_core::options::Options;

type Answer = (Vec<String>, Vec<f64>);

/// Bodies that a lookup finds, in pieces of at least `most` bytes, and the counts of its keys.
fn look_up(store: &Store, asked: &[u8], max: usize, most: usize) -> Result<Answer, Error> {
    let mut lookup = Lookup::<MemorySegment>::default();
    lookup.begin(asked, 0, i64::MAX, max)?;
    let (mut bodies, mut piece, mut done) = (Vec::new(), Vec::new(), false);
    while !done {
        piece.clear();
        done = lookup.go_on(|wanted, search| look(store, wanted, search), &mut piece, most)?;
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            bodies.push(String::from_utf8_lossy(Record::parse(&rest[..size]).unwrap().body()).into_owned());
            rest = &rest[size..];
        }
    }
    Ok((bodies, lookup.counts().to_vec()))
}

fn look(store: &Store, wanted: &Wanted<'_>, search: &mut Search) -> Result<LogView<MemorySegment>, Error> {
    store.reader().lookup_on(wanted.topic, wanted.key, search)
}

fn keys(keys: &[&'static str]) -> Vec<u8> {
    asked(b"T", keys.iter().map(|key| key.as_bytes()))
}

#[test]
fn pieces_of_any_size_are_one_answer() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    for n in 0..90 {
        let (body, properties) = (format!("m{n}"), format!("KEYS\u{1}k{} all\u{2}UNIQ_KEY\u{1}u{n}\u{2}", n % 3));
        put(&mut store, &[message(body.as_bytes(), properties.as_bytes())]).unwrap();
    }
    let asked = keys(&["k1", "none", "", "u7", "all", "k1"]);
    assert_eq!(keys_in(&asked), 6);
    let whole = look_up(&store, &asked, 40, usize::MAX).unwrap();
    assert_eq!(whole.1, [30.0, 0.0, 0.0, 1.0, 40.0, 30.0]);
    assert_eq!((&whole.0[0][..], &whole.0[29][..], &whole.0[30][..], &whole.0[31][..]), ("m88", "m1", "m7", "m89"));
    for most in [1, 100, 1000, 5000] {
        let answer = look_up(&store, &asked, 40, most).unwrap();
        assert_eq!(answer, whole, "in pieces of {most} bytes");
    }
    assert_eq!(look_up(&store, &keys(&[]), 40, usize::MAX).unwrap(), (vec![], vec![]));
}

#[test]
fn what_is_no_topic_with_keys_is_refused() {
    let store = open(&MemoryStorage::default(), small()).unwrap();
    let whole = keys(&["k1", "k2"]);
    for bytes in 0..whole.len() {
        let ends_a_key = [5, 11].contains(&bytes);
        let outcome = look_up(&store, &whole[..bytes], 1, 1);
        assert_eq!(
            outcome.map_err(|error| error.code),
            if ends_a_key { Ok((vec![], vec![0.0; bytes / 6])) } else { Err(Code::InvalidArgument) }
        );
    }
    let mut long = whole;
    long[5..9].fill(0xff);
    assert_eq!(look_up(&store, &long, 1, 1).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn an_answer_ends_at_a_gibibyte() {
    const BODY: usize = 4 << 20;
    let mut store = open(&MemoryStorage::default(), Options { segment_bytes: 8 << 20, ..small() }).unwrap();
    put(&mut store, &[message(&vec![b'x'; BODY], b"KEYS\x01k\x02")]).unwrap();
    let enough = (MAX_LOOKUP_BYTES as usize / BODY) - 1;
    let mut lookup = Lookup::<MemorySegment>::default();
    lookup.begin(&keys(&vec!["k"; enough + 2]), 0, i64::MAX, 1).unwrap();
    let mut pieces = 0;
    let error = loop {
        let mut piece = Vec::new();
        match lookup.go_on(|wanted, search| look(&store, wanted, search), &mut piece, 1) {
            Ok(done) => assert!(!done),
            Err(error) => break error,
        }
        pieces += 1;
    };
    assert_eq!((pieces, error.code), (enough, Code::InvalidArgument));
    assert!(error.to_string().contains("1073741824 bytes"), "{error}");
}
