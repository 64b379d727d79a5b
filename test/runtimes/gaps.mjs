/**
 * Tests of the contract suite that a runtime cannot pass, or not each time, and why: the only ones that `npm run runtimes` leaves out.
 *
 * `proof`: a program of this folder that shows the reason without moraine. It leaves with 0 as long as the reason holds; it is
 * run each time, and one that leaves with something else is a failure: the tests pass now, or never were this gap's.
 * `tests`: the names of tests, with ` > ` between the parts, by the names of their files in test/contract.
 */
export const GAPS = [
  {
    runtime: "deno",
    why: "terminate() of a worker thread resolves before the thread has ended: until then it goes on, and its stores are open",
    proof: "terminated-thread.mjs",
    tests: {
      "lifecycle.test.ts": [
        "a thread that is ended with everything in flight > closes the store that it had opened",
        "a thread that is ended with everything in flight > leaves the store to the others, which go on",
      ],
      "share.test.ts": [
        "leaving > a thread that is ended in the middle of its puts leaves the store whole",
        "leaving > a thread that is ended while it reads leaves nothing behind",
        "leaving > the last thread that exits closes what it has open",
        "leaving > gives up what the thread held of the log",
      ],
    },
  },
];

/** Names of the tests of a file that a runtime leaves out. */
export function leftOut(runtime, file) {
  return GAPS.filter((gap) => gap.runtime === runtime).flatMap(({ tests }) => tests[file] ?? []);
}
