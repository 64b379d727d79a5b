/** The system's numbers, whoever says them. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { errnoOf } from "../../src/errno.ts";

const ENOENT = 2;
const EIO = 5;

it("is the number of the error, without the sign of libuv", () => {
  const read = () => readFileSync("/nowhere/at all");
  let failure: unknown;
  try {
    read();
  } catch (error) {
    failure = error;
  }
  expect(errnoOf(failure)).toBe(ENOENT);
});

it("is found by its name where the error says that alone, as Deno's do", () => {
  expect(errnoOf(Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" }))).toBe(EIO);
});

it("is undefined for errors that are not the system's", () => {
  expect(errnoOf(new Error("no"))).toBeUndefined();
  expect(errnoOf(Object.assign(new Error("no"), { code: "ERR_INVALID_ARG_TYPE" }))).toBeUndefined();
});
