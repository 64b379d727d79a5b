// Who can be measured here, and why somebody cannot.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import * as rocketmq from "../peers/rocketmq.mjs";
import * as rocketmqRust from "../peers/rocketmq-rust.mjs";

const floorFile = fileURLToPath(new URL("../floor/build/Release/floor.node", import.meta.url));
const known = new Map();

/** Why what a contestant `needs` is not there, in some words; undefined where it is. */
export async function lacking(needs) {
  if (needs === undefined) return undefined;
  if (!known.has(needs)) known.set(needs, await why(needs));
  return known.get(needs);
}

async function why(needs) {
  if (needs === "rocketmq") return rocketmq.missing();
  if (needs === "rocketmq-rust") return rocketmqRust.missing();
  if (needs === "native") return nativeMissing();
  if (needs === "floor")
    return existsSync(floorFile) ? undefined : "bench/floor is not built: it takes cmake and a C++ compiler";
  try {
    // Loaded, not only found: its addon may be missing for this platform.
    await import(needs);
    if (needs === "better-sqlite3") new (createRequire(import.meta.url)("better-sqlite3"))(":memory:").close();
    return undefined;
  } catch (error) {
    return `its package cannot be loaded: ${error.message.split("\n")[0]}`;
  }
}

/** As the library finds it: by opening nothing. */
async function nativeMissing() {
  const { Store } = await import("../../dist/index.js");
  try {
    await Store.open(fileURLToPath(new URL("../no-such-directory", import.meta.url)), {
      create: false,
      engine: "native",
    });
  } catch (error) {
    if (error.code === "STORE_NO_ENGINE") return "no addon is built";
  }
  return undefined;
}
