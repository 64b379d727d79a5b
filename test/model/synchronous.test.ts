import { test } from "vitest";
import { runSequences, TIMEOUT_MS } from "./sequences.ts";

test(
  "a store that begins synchronous answers like plain arrays",
  () => runSequences("odd", { flush: "sync" }),
  TIMEOUT_MS,
);
