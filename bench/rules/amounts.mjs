// How much a contestant of a row puts or reads, and what memory and disk that takes.

/** What a message has beside its body: header, topic, tag and key, its place in a queue and in the index. */
const BESIDE_BODY_BYTES = 256;
/** What a run has beside its messages: code, heaps, of which Java's is the largest, and files that are made whole. */
const BESIDE_MESSAGES_BYTES = 1.25e9;
/** A warm-up, of a quarter at most. */
const WITH_WARM_UP = 1.25;
/** Shares of what is free, and of what could be had: a small machine is not driven to its end. */
const OF_FREE = 0.8;
const OF_AVAILABLE = 0.5;
/** A process has so many mappings at most that more cannot be held. */
const MOST_WARM_BYTES = 24e9;
/** What of a disk stays free. */
const ROOM_BYTES = 2e9;

/**
 * Messages of a contestant: as many as the command line says, or as few as a smoke run has, or as many as take its family a
 * while, since what counts is messages a second; else the row's.
 */
export function messagesOf(row, { messages, smoke }, contestant) {
  return messages ?? (smoke ? (row.smoke ?? 2048) : (row.amounts?.[contestant?.family] ?? row.messages));
}

/** A job may have an amount of its own, but in a smoke run. */
export const amountFor = (job, messages, smoke) => (smoke ? messages : (job.messages ?? messages));

/** How much a row measures: figures of another amount are others. */
export function amountOf(row, settings) {
  if (row.gigabytes) return `${settings.gigabytes} GB`;
  const all = row.contestants.map((contestant) => messagesOf(row, settings, contestant));
  const [least, most] = [Math.min(...all), Math.max(...all)].map((count) => count.toLocaleString("en"));
  return least === most ? `${most} messages` : `${least} to ${most} messages`;
}

const jobsOf = ({ job }) => (job === undefined ? [] : Array.isArray(job) ? job : [job]);

/** Bytes that the store of a contestant comes to. The floor's goes around in its own. */
export function bytesOf(row, contestant, settings) {
  if (contestant.kind === "floor") return 0;
  if (contestant.bytes !== undefined) return settings.smoke ? 0 : contestant.bytes;
  if (row.gigabytes) return settings.gigabytes * 1e9;
  const messages = messagesOf(row, settings, contestant);
  const sizes = [{}, ...jobsOf(contestant)].map(
    (job) => amountFor(job, messages, settings.smoke) * ((job.bodyBytes ?? row.bodyBytes ?? 0) + BESIDE_BODY_BYTES),
  );
  return Math.max(...sizes) * WITH_WARM_UP;
}

/**
 * Memory that is touched before a row is run, the same for all of its contestants: as much as the one takes that takes most. The
 * stores of a `kept` row stay in memory beside each other.
 */
export function bytesToWarm(row, settings) {
  if (settings.smoke) return 0;
  const stores = row.contestants.map((contestant) => bytesOf(row, contestant, settings));
  const put = row.kept ? stores.reduce((sum, bytes) => sum + bytes, 0) : Math.max(...stores);
  return put + BESIDE_MESSAGES_BYTES;
}

/** What of `wanted` bytes may be touched where so many are `free`, and `available` without anybody's files being dropped. */
export function boundedBy(wanted, { free, available }) {
  return Math.max(0, Math.floor(Math.min(wanted, free * OF_FREE, available * OF_AVAILABLE, MOST_WARM_BYTES)));
}

/** Why a disk that has so many bytes `free` does not do for a contestant; undefined where it does. */
export function roomLacking(row, contestant, settings, free) {
  const wanted = bytesOf(row, contestant, settings) + ROOM_BYTES;
  if (wanted <= free) return undefined;
  const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  return `it takes ${gigabytes(wanted)} of the disk, of which ${gigabytes(free)} are free`;
}
