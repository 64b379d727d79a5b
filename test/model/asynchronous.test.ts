import { test } from "vitest";
import { runSequences, TIMEOUT_MS } from "./sequences.ts";

test(
  "a store that begins asynchronous answers like plain arrays",
  () => runSequences("even", { flush: "async" }),
  TIMEOUT_MS,
);
