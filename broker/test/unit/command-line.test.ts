import { resolve } from "node:path";
import { CommanderError } from "commander";
import { afterEach, expect, test, vi } from "vitest";
import { parseCommandLine } from "../../src/command-line.ts";

afterEach(() => void vi.restoreAllMocks());

const parse = (...args: string[]) => parseCommandLine(args, "1.2.3");

test("words of the command line are options of the configuration", () => {
  expect(parse()).toEqual({ file: undefined, options: {} });
  const line = "--store data --config broker.conf --port 10921 --name-server-port 9886 --name-servers a:1;b:2";
  expect(parse(...line.split(" "), "-o", "flushDiskType=SYNC_FLUSH", "--option", "brokerName = b=c")).toEqual({
    file: "broker.conf",
    options: {
      storePathRootDir: resolve("data"),
      listenPort: "10921",
      nameServerListenPort: "9886",
      namesrvAddr: "a:1;b:2",
      flushDiskType: "SYNC_FLUSH",
      brokerName: "b=c",
    },
  });
  expect(parse("--no-name-server").options).toEqual({ nameServerEnable: "false" });
});

test("clients are told the address that is listened at, if it is one", () => {
  expect(parse("--host", "10.0.0.1").options).toEqual({ bindAddress: "10.0.0.1", brokerIP1: "10.0.0.1" });
  expect(parse("--host", "0.0.0.0").options).toEqual({ bindAddress: "0.0.0.0" });
  expect(parse("--host", "0.0.0.0", "--advertise", "10.0.0.1").options).toEqual({
    bindAddress: "0.0.0.0",
    brokerIP1: "10.0.0.1",
  });
});

test("what is no option is refused", () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  for (const args of [["--stroe", "x"], ["data"], ["-o", "novalue"], ["-o", "=5"], ["--port"]]) {
    expect(() => parse(...args)).toThrow(CommanderError);
  }
  expect(() => parse("--version")).toThrow(expect.objectContaining({ exitCode: 0 }));
});
