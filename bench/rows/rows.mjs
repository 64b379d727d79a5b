// All rows, in the order in which they are run and shown.
import { DISK } from "./disk.mjs";
import { HEADLINE } from "./headline.mjs";
import { READING } from "./reading.mjs";
import { CURVES, SCALE } from "./scale.mjs";
import { WAITING } from "./waiting.mjs";
import { APPENDING, DURABLE, PUTTING } from "./writing.mjs";

export const ROWS = [
  ...PUTTING,
  ...APPENDING,
  ...DURABLE,
  ...WAITING,
  ...READING,
  ...SCALE,
  ...CURVES,
  ...DISK,
  ...HEADLINE,
].toSorted((a, b) => (a.number || Infinity) - (b.number || Infinity));
