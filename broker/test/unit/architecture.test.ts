/** The rules of broker/ARCHITECTURE.md that a reader of imports can hold. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const filesBelow = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((path) => `${folder}/${path.replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith(".ts"));

const sources = filesBelow("src");
const dependencies = Object.keys(JSON.parse(read("package.json")).dependencies);

/** What a room may import beside itself and Node's own modules. `.` takes the files that stand in no room. */
const ROOMS: Readonly<Record<string, { readonly rooms: readonly string[]; readonly packages: readonly string[] }>> = {
  protocol: { rooms: [], packages: [] },
  transport: { rooms: ["protocol"], packages: [] },
  "name-server": { rooms: ["transport", "protocol"], packages: ["zod", "properties-file"] },
  config: { rooms: ["protocol"], packages: ["zod", "properties-file"] },
  tables: { rooms: ["protocol"], packages: ["moraine"] },
  services: { rooms: ["config", "tables", "transport", "protocol"], packages: ["moraine"] },
  processors: { rooms: ["config", "services", "tables", "transport", "protocol"], packages: ["moraine"] },
};

const CONFIGURED = ["tables", "services", "processors"];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function imports(from: string): Import[] {
  const text = read(from).replace(/\/\*[\s\S]*?\*\//g, "");
  const statements = /\b(?:import|export)\s+(?:(type\s)?[\w\s{},*$]*?from\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"/g;
  return [...text.matchAll(statements)].map(([, type, named, dynamic]) => {
    const to = named ?? dynamic ?? "";
    const path = normalize(join(dirname(from), to)).replaceAll("\\", "/");
    return { from, to: to.startsWith(".") ? path : to, typeOnly: type !== undefined };
  });
}

const roomOf = (path: string) => /^src\/([^/]+)\//.exec(path)?.[1] ?? ".";
const say = ({ from, to }: Import) => `${from} imports ${to}`;
const all = sources.flatMap(imports);

describe("rooms", () => {
  it("every room has its rules", () => {
    const rooms = new Set(sources.map(roomOf).filter((room) => room !== "."));
    expect([...rooms].filter((room) => ROOMS[room] === undefined)).toEqual([]);
  });

  it("imports point inwards", () => {
    expect(all.length).toBeGreaterThan(0);
    const wrong = all.filter(({ from, to, typeOnly }) => {
      const room = roomOf(from);
      // What a broker is configured with is asked everywhere behind the transport.
      if (typeOnly && to === "src/config/broker-config.ts" && CONFIGURED.includes(room)) return false;
      if (room === "." || !to.startsWith("src/") || to === "src/log.ts") return false;
      return roomOf(to) !== room && !ROOMS[room]?.rooms.includes(roomOf(to));
    });
    expect(wrong.map(say)).toEqual([]);
  });

  it("packages are those of the manifest, each where it belongs", () => {
    const wrong = all.filter(({ from, to }) => {
      if (to.startsWith("src/") || to.startsWith("node:")) return false;
      const room = roomOf(from);
      const name = to.split("/")[0] ?? "";
      return !dependencies.includes(name) || (room !== "." && !ROOMS[room]?.packages.includes(name));
    });
    expect(wrong.map(say)).toEqual([]);
  });

  it("the store is known by its public API alone", () => {
    const wrong = all.filter(({ to }) => to.startsWith("moraine/") || to.startsWith(".."));
    expect(wrong.map(say)).toEqual([]);
  });

  it("only what puts the parts together knows processors", () => {
    const knowing = all.filter(({ from, to }) => roomOf(to) === "processors" && roomOf(from) !== "processors");
    expect(new Set(knowing.map(({ from }) => from))).toEqual(new Set(["src/broker.ts", "src/handlers.ts"]));
  });
});

describe("files", () => {
  it("none has more than 500 lines", () => {
    expect([...sources, ...filesBelow("test")].filter((path) => read(path).split("\n").length > 501)).toEqual([]);
  });

  it("they are named by their subject", () => {
    const vague = /^(utils?|helpers?|common|misc|shared-?utils)$/;
    const words = (path: string) => path.split("/").flatMap((part) => part.split(/[-_.]/));
    expect([...sources, ...filesBelow("test")].filter((path) => words(path).some((word) => vague.test(word)))).toEqual(
      [],
    );
  });
});
