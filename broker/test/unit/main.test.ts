/** The command as a process: what it says, how it ends. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
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

interface CommandOptions {
  readonly out?: number | "pipe";
  readonly errors?: number | "pipe";
  readonly main?: string;
}

class Command {
  readonly #child: ReturnType<typeof spawn>;
  out = "";
  errors = "";
  readonly ended: Promise<[code: number | null, signal: string | null]>;

  /** Where its output and its errors go, if not here. */
  constructor(args: readonly string[], { out = "pipe", errors = "pipe", main = "main.js" }: CommandOptions = {}) {
    this.#child = spawn(process.execPath, [join(build, main), ...args], { stdio: ["ignore", out, errors] });
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

  /** Nobody reads its output any more. */
  closeOutput(): void {
    this.#child.stdout?.destroy();
  }

  /** When it has said so in its output, or otherwise. */
  async started(hasSaid = () => this.out.includes("\n")): Promise<void> {
    while (!hasSaid()) {
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

/** Open for reading alone: every line fails, as on a disk that is full. */
function withUnwritable<T>(use: (descriptor: number) => T): T {
  const unwritable = openSync(import.meta.filename, "r");
  try {
    return use(unwritable);
  } finally {
    closeSync(unwritable);
  }
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
    const command = new Command(args, { main: "name-server-main.js" });
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
  const command = new Command(["--port", String(port)], { main: "name-server-main.js" });
  await command.started();
  command.kill("SIGTERM");
  expect(await command.ended).toEqual([0, null]);
});

test("a log that cannot be written keeps it from nothing", async () => {
  const port = await freePort();
  const command = withUnwritable((errors) => new Command(options(port), { errors }));
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

test("an output that cannot be written, or that nobody reads any more, ends nothing", async () => {
  const port = await freePort();
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const unwritable = () => withUnwritable((out) => new Command(options(port), { out }));
  const unread = () => {
    const command = new Command(options(port));
    command.closeOutput();
    return command;
  };
  for (const make of [unread, unwritable]) {
    const command = make();
    await command.started(() => command.errors.includes("the broker has started"));
    const client = new RemotingClient({ log });
    const asked = client.invoke(`127.0.0.1:${port}`, RequestCode.GET_BROKER_RUNTIME_INFO, {}, undefined, 10_000);
    expect(await asked).toMatchObject({ code: 0 });
    client.close();
    command.kill("SIGTERM");
    expect(await command.ended).toEqual([0, null]);
    expect(command.errors).toContain("the broker has stopped");
    expect(existsSync(join(folder, "store", "abort"))).toBe(false);
  }
});

test("what it ends with is the same where it cannot say why", async () => {
  for (const main of ["main.js", "name-server-main.js"]) {
    const command = withUnwritable((errors) => new Command(["--config", join(folder, "none")], { errors, main }));
    expect(await command.ended).toEqual([2, null]);
  }
});
