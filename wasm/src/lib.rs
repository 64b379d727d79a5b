//! The engine as a WebAssembly module.

/// What the TypeScript side and this module agree on: a module of another number is refused (`src/binding/wasm-module.ts`).
/// Goes up with every change of an export, an import or the layout of what they pass.
pub const WASM_ABI: u32 = 1;

/// That number where it can be read before anything runs: in a section of its own, in little-endian order.
#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "moraine")]
#[used]
static ABI_SECTION: [u8; 4] = WASM_ABI.to_le_bytes();
