/**
 * Ordinals of RocketMQ's versions: 3.0.0-SNAPSHOT is 0, each version has one for its snapshot and one for itself. Those
 * that change what an answer looks like have names.
 */
export const Version = {
  /** Clients up to this one do not know that the broker can push an offset reset. */
  V3_0_7_SNAPSHOT: 28,
  V3_0_11: 37,
  /** From here on clients tell their running state, and consume a message directly. */
  V3_1_8_SNAPSHOT: 62,
  /** From here on `maxReconsumeTimes` of a send counts. */
  V3_4_9: 121,
  V4_1_0_SNAPSHOT: 232,
  V4_9_3: 399,
  /** From here on routes are answered in standard JSON. */
  V4_9_4: 401,
  /** From here on brokers register with their mappings of static topics. */
  V5_0_0: 413,
  /** Later clients know what GO_AWAY means. */
  V5_3_1: 475,
  V5_3_3: 479,
} as const;

/** What our own commands say. */
export const OWN_VERSION: number = Version.V5_3_3;

const FIRST_OF_3_0_1 = 16;
const FIRST_OF_3_1_0 = 46;
const FIRST_OF_3_3_1 = 86;
const FIRST_OF_4_0_0 = 212;
const AFTER_5_9_9 = 612;

const FIRST = [
  "V3_0_0_SNAPSHOT",
  "V3_0_0_ALPHA1",
  "V3_0_0_BETA1",
  "V3_0_0_BETA2",
  "V3_0_0_BETA3",
  "V3_0_0_BETA4",
  "V3_0_0_BETA5",
  "V3_0_0_BETA6_SNAPSHOT",
  "V3_0_0_BETA6",
  "V3_0_0_BETA7_SNAPSHOT",
  "V3_0_0_BETA7",
  "V3_0_0_BETA8_SNAPSHOT",
  "V3_0_0_BETA8",
  "V3_0_0_BETA9_SNAPSHOT",
  "V3_0_0_BETA9",
  "V3_0_0_FINAL",
];

/** Such as `V5_3_3` or `V4_9_4_SNAPSHOT`; `HIGHER_VERSION` behind the end of the list. */
export function versionName(ordinal: number): string {
  if (!Number.isInteger(ordinal) || ordinal < 0 || ordinal >= AFTER_5_9_9) return "HIGHER_VERSION";
  const first = FIRST[ordinal];
  if (first !== undefined) return first;
  const [major, minor, patch] = numbersOf(ordinal);
  return `V${major}_${minor}_${patch}${ordinal % 2 === 0 ? "_SNAPSHOT" : ""}`;
}

/** Two ordinals a version: 3.0.1 to 3.0.15, 3.1.0 to 3.2.9, 3.3.1 to 3.9.9 without any .0, 4.0.0 to 5.9.9. */
function numbersOf(ordinal: number): [major: number, minor: number, patch: number] {
  if (ordinal < FIRST_OF_3_1_0) return [3, 0, 1 + ((ordinal - FIRST_OF_3_0_1) >> 1)];
  if (ordinal < FIRST_OF_3_3_1) {
    const index = (ordinal - FIRST_OF_3_1_0) >> 1;
    return [3, 1 + Math.floor(index / 10), index % 10];
  }
  if (ordinal < FIRST_OF_4_0_0) {
    const index = (ordinal - FIRST_OF_3_3_1) >> 1;
    return [3, 3 + Math.floor(index / 9), 1 + (index % 9)];
  }
  const index = (ordinal - FIRST_OF_4_0_0) >> 1;
  return [4 + Math.floor(index / 100), Math.floor(index / 10) % 10, index % 10];
}
