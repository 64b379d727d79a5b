// Who can be opened in a process of Node.js.

const MODULES = {
  moraine: "./moraine.mjs",
  floor: "../floor/contestant.mjs",
  lmdb: "../peers/lmdb.mjs",
  "classic-level": "../peers/classic-level.mjs",
  "better-sqlite3": "../peers/sqlite.mjs",
  "rocksdb-native": "../peers/rocksdb.mjs",
  fs: "../peers/append-file.mjs",
};

/** Opens the contestant of a job in its directory. */
export async function openContestant(job) {
  const { open } = await import(MODULES[job.contestant]);
  return open(job);
}
