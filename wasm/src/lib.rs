//! The engine as a WebAssembly module: one instance is one open store, or one task on a store.
//!
//! Everything here runs in one thread, and each export is one call into the core. Numbers cross as they are; bytes and
//! texts lie in the `inbox`, which JavaScript fills, and in the `outbox`, which it reads; rows of numbers in the
//! `columns`. The world is a handful of imports (`imports`), behind the core's seam (`storage`, `segment`).
//!
//! An export that can fail answers -1, with the failure as a JSON text in the outbox.

mod answers;
mod clock;
mod deferred;
mod imports;
mod options;
mod plans;
mod queries;
mod segment;
mod storage;
mod store;
mod tasks;
mod windows;

/// Which TypeScript side this module fits: raised with every change of what crosses. Read without running the module.
#[used]
#[unsafe(link_section = "moraine")]
static ABI: [u8; 1] = [1];
