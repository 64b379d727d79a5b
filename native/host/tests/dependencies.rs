//! What a dependency has to be switched to.

#[test]
fn crc32fast_finds_the_processors_instructions_at_run_time() {
    // Without `std` it has a table only, five times slower; the core alone asks for no features.
    let manifest = include_str!("../Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("crc32fast")).unwrap();
    assert!(line.contains("features = [\"std\"]"), "{line}");
}
