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

/// What the TypeScript side and this module agree on: a module of another number is refused (`src/binding/wasm-module.ts`).
/// Goes up with every change of an export, an import or the layout of what they pass.
pub const WASM_ABI: u32 = 2;

/// That number where it can be read before anything runs: in a section of its own, in little-endian order.
#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "moraine")]
#[used]
static ABI_SECTION: [u8; 4] = WASM_ABI.to_le_bytes();
