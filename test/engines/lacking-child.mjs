/**
 * A process in whose runtime something is not as it should be. Prints what opening, putting to and closing a store answers.
 *
 * node lacking-child.mjs DIRECTORY LACK: a function that node:fs does not have, or `read-only` for a file system that is.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const [directory, lack] = process.argv.slice(2);
const { O_RDWR, O_WRONLY, O_CREAT } = fs.constants;

function refuse(syscall) {
  throw Object.assign(new Error(`EROFS: read-only file system, ${syscall}`), { errno: -30, code: "EROFS", syscall });
}

if (lack === "read-only") {
  const { openSync } = fs;
  fs.openSync = (path, flags, ...rest) =>
    typeof flags === "number" && (flags & (O_RDWR | O_WRONLY | O_CREAT)) !== 0
      ? refuse("open")
      : openSync(path, flags, ...rest);
  for (const name of ["mkdir", "rmdir", "unlink", "rename", "link", "ftruncate", "write"]) {
    fs[`${name}Sync`] = () => refuse(name);
  }
} else {
  fs[lack] = undefined;
  fs[`${lack}Sync`] = undefined;
}
syncBuiltinESMExports();
const { Store } = await import("moraine");

const message = { topic: "orders", queueId: 0, body: new Uint8Array(1) };
const answers = {};
async function ask(name, call) {
  try {
    const found = await call();
    answers[name] = "ok";
    return found;
  } catch ({ code, message, details }) {
    answers[name] = { code, message, details };
  }
}

for (const readOnly of [true, false]) {
  const store = await ask(`open, readOnly ${readOnly}`, () => Store.open(directory, { engine: "wasm", readOnly }));
  if (store === undefined) continue;
  if (readOnly) await ask("at", () => store.at(0).body);
  else await ask("append", () => store.append(message));
  await ask(`close, readOnly ${readOnly}`, () => store.close());
}
// Beside the calls that are replaced.
console.log(JSON.stringify(answers));
