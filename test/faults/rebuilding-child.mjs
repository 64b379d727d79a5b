/**
 * A process that makes the queues and the index of a store again, and dies in the middle.
 *
 * node rebuilding-child.mjs DIR FILES: once the rebuild has begun, FILES -1 or less: at once; else when the old queue files are gone and FILES
 * of the new ones are there. One that was too quick ends by itself, and says so.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { rebuildStore } from "moraine";

const [dir, files] = [process.argv[2], Number(process.argv[3])];
const note = join(dir, "moraine/rebuild");

/** Queue files that are there. */
function present() {
  try {
    const paths = readdirSync(join(dir, "consumequeue"), { recursive: true });
    return paths.filter((path) => /\d{20}$/.test(path)).length;
  } catch {
    return 0; // removed while it was listed
  }
}

const before = present();
const rebuilt = rebuildStore(dir, { engine: "native" });
// The work is done by a thread of its own: nobody here waits for it.
const deadline = Date.now() + 60_000;
const waitUntil = (holds) => {
  while (!holds() && Date.now() < deadline && (existsSync(note) || present() >= before));
};
waitUntil(() => existsSync(note));
if (files >= 0) {
  waitUntil(() => present() < before / 10);
  waitUntil(() => present() >= files);
}
if (existsSync(note)) process.kill(process.pid, "SIGKILL");
await rebuilt;
process.stdout.write("too quick\n");
