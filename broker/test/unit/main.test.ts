/** The command as a process: what it says, how it ends. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { RequestCode } from "../../src/protocol/codes.ts";
import { RemotingClient } from "../../src/transport/client.ts";

const root = join(import.meta.dirname, "../..");
/** Below the package, so that its dependencies are found, with the manifest where `dist` has it. */
const built = join(root, "build", String(process.pid));
const build = join(built, "dist");

let folder: string;

beforeAll(() => {
  const compiler = join(root, "../node_modules/typescript/bin/tsc");
  mkdirSync(built, { recursive: true });
  cpSync(join(root, "package.json"), join(built, "package.json"));
  execFileSync(process.execPath, [compiler, "-p", join(root, "tsconfig.build.json"), "--outDir", build]);
});

afterAll(() => rmSync(built, { recursive: true, force: true }));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "moraine-main-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Small files, and ports that are hardly anybody's. */
const options = (port: number): string[] => [
  "--store",
  join(folder, "store"),
  "--port",
  String(port),
  "--name-server-port",
  "0",
  ..."brokerName=broker-a mappedFileSizeCommitLog=1048576 mappedFileSizeConsumeQueue=2000 maxHashSlotNum=1000 maxIndexNum=1000"
    .split(" ")
    .flatMap((option) => ["-o", option]),
];

class Command {
  readonly #child: ReturnType<typeof spawn>;
  out = "";
  errors = "";
  readonly ended: Promise<[code: number | null, signal: string | null]>;

  /** `errors`: where its standard error goes, if not here. */
  constructor(args: readonly string[], errors: number | "pipe" = "pipe", main = "main.js") {
    this.#child = spawn(process.execPath, [join(build, main), ...args], { stdio: ["ignore", "pipe", errors] });
    this.#child.stdout?.on("data", (chunk) => {
      this.out += chunk;
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.errors += chunk;
    });
    this.ended = once(this.#child, "close") as Promise<[number | null, string | null]>;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async started(): Promise<void> {
    while (!this.out.includes("\n")) {
      const isOver = await Promise.race([
        this.ended.then(() => true),
        new Promise((resolve) => setTimeout(resolve, 20, false)),
      ]);
      if (isOver) throw new Error(this.errors);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("it says how it is reached, logs in JSON, and stops when asked", async () => {
  const port = await freePort();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const command = new Command(options(port));
    await command.started();
    expect(command.out).toMatch(
      new RegExp(
        `^broker broker-a of DefaultCluster listens at 127\\.0\\.0\\.1:${port}, store .*; clients reach it by name server 127\\.0\\.0\\.1:\\d+\n$`,
      ),
    );
    command.kill(signal);
    expect(await command.ended).toEqual([0, null]);
    const lines = command.errors.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
      "the broker has started",
      "the broker stops",
      "the broker has stopped",
    ]);
  }
});

test("what it cannot do is said in a sentence, with a code of its own", async () => {
  const end = async (...args: string[]) => {
    const command = new Command(args);
    const [code] = await command.ended;
    return [code, command.errors.trim()];
  };
  const port = await freePort();
  const wrong = join(folder, "broker.conf");
  writeFileSync(wrong, "flushDiskType=SOMETIMES\n");
  expect(await end("--stroe", "x")).toEqual([2, expect.stringContaining("unknown option '--stroe'")]);
  expect(await end("--config", wrong)).toEqual([2, expect.stringContaining("option flushDiskType is")]);
  expect(await end("--config", join(folder, "nothing.conf"))).toEqual([2, expect.stringContaining("cannot be read")]);
  const taken = createServer().listen(port, "127.0.0.1");
  await once(taken, "listening");
  expect(await end(...options(port))).toEqual([1, expect.stringMatching(/^moraine-broker: .*EADDRINUSE.*$/)]);
  await new Promise((resolve) => taken.close(resolve));
  const command = new Command(options(port));
  await command.started();
  expect(await end(...options(await freePort()))).toEqual([1, expect.stringMatching(/^moraine-broker: .*open.*$/)]);
  command.kill("SIGTERM");
  expect(await command.ended).toEqual([0, null]);
});

test("a name server alone ends with the same codes", async () => {
  const end = async (...args: string[]) => {
    const command = new Command(args, "pipe", "name-server-main.js");
    const [code] = await command.ended;
    return [code, command.errors.trim()];
  };
  const port = await freePort();
  expect(await end("--prot", "1")).toEqual([2, expect.stringContaining("unknown option '--prot'")]);
  expect(await end("--port", "many")).toEqual([2, expect.stringContaining("moraine-name-server: listenPort: ")]);
  expect(await end("--config", join(folder, "nothing.conf"))).toEqual([2, expect.stringContaining("cannot be read")]);
  const taken = createServer().listen(port, "127.0.0.1");
  await once(taken, "listening");
  expect(await end("--port", String(port))).toEqual([1, expect.stringContaining("EADDRINUSE")]);
  await new Promise((resolve) => taken.close(resolve));
  expect(await end("--help")).toEqual([0, ""]);
  const command = new Command(["--port", String(port)], "pipe", "name-server-main.js");
  await command.started();
  command.kill("SIGTERM");
  expect(await command.ended).toEqual([0, null]);
});

test("a log that cannot be written keeps it from nothing", async () => {
  const port = await freePort();
  // Open for reading alone: every line fails, as on a disk that is full.
  const unwritable = openSync(import.meta.filename, "r");
  const command = new Command(options(port), unwritable);
  closeSync(unwritable);
  await command.started();
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const client = new RemotingClient({ log });
  // Each is a line of the log.
  for (let count = 0; count < 30; count++) {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await once(socket, "close");
  }
  const { code } = await client.invoke(`127.0.0.1:${port}`, RequestCode.GET_BROKER_RUNTIME_INFO, {}, undefined, 10_000);
  expect(code).toBe(0);
  client.close();
  command.kill("SIGTERM");
  expect(await command.ended).toEqual([0, null]);
});
