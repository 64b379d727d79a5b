// Touches as many bytes of memory as its argument says and gives nearly all of them back, then waits for the end of its input.
// Two pages of each MiB stay: so what was given back lies in pieces too small for a host of virtual machines to take.
// Run with `--expose-gc`, and MALLOC_MMAP_THRESHOLD_ so small that each piece is given back by itself.
const SPAN_BYTES = 2 ** 20;
const PAGE_BYTES = 4096;

const kept = [];
let given = [];
for (let left = Number(process.argv[2]); left > 0; left -= SPAN_BYTES) {
  given.push(touched(SPAN_BYTES - 3 * PAGE_BYTES));
  kept.push(touched(PAGE_BYTES));
}
given = undefined;
globalThis.gc();
process.stdout.write("held\n");
process.stdin.resume().on("end", () => process.exit(kept.length > 0 ? 0 : 1));

function touched(bytes) {
  const piece = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += PAGE_BYTES) piece[at] = 1;
  return piece;
}
