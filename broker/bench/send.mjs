/**
 * Sends over one socket as Java's client does: code 310, JSON header, so many outstanding. Says messages a second and CPU of the
 * broker's process for each.
 *
 * node bench/send.mjs --port 10911 --pid PID [--messages 500000] [--outstanding 64] [--bytes 1024] [--connections 1] [--topic T]
 */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "10911" },
    pid: { type: "string" },
    messages: { type: "string", default: "500000" },
    outstanding: { type: "string", default: "64" },
    bytes: { type: "string", default: "1024" },
    connections: { type: "string", default: "1" },
    topic: { type: "string", default: "BenchmarkTest" },
    queues: { type: "string", default: "8" },
    warmup: { type: "string", default: "50000" },
  },
});
const number = (name) => Number(values[name]);

/** Numbers of as many digits as the frame has room for. */
const FIRST_OPAQUE = 1_000_000_000;

function template(queueId) {
  const separators = ["\\u0001", "\\u0002"];
  const properties = ["UNIQ_KEY", "7F0000010F1818B4AAC2", "WAIT", "true", "TAGS", "TagA", "KEYS", "OrderID00000188"]
    .map((text, i) => text + (i === 1 ? "00000000XXXX" : "") + separators[i % 2])
    .join("");
  const header =
    `{"code":310,"extFields":{"a":"benchmark_producer","b":"${values.topic}","c":"TBW102","d":"4","e":"${queueId}",` +
    `"f":"0","g":"${Date.now()}","h":"0","i":"${properties}","j":"0","k":"false","m":"false","n":"broker-a"},"flag":0,` +
    `"language":"JAVA","opaque":${FIRST_OPAQUE},"serializeTypeCurrentRPC":"JSON","version":479}`;
  const head = Buffer.from(header);
  const body = randomBytes(number("bytes"));
  const frame = Buffer.alloc(8 + head.length + body.length);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeInt32BE(head.length, 4);
  head.copy(frame, 8);
  body.copy(frame, 8 + head.length);
  return { frame, opaqueAt: 8 + header.indexOf(String(FIRST_OPAQUE)), keyAt: 8 + header.indexOf("00000000XXXX") };
}

const templates = Array.from({ length: number("queues") }, (_, queueId) => template(queueId));

/** Sends so many, resolves when all are answered. */
function run(socket, messages, outstanding, times) {
  let sent = 0;
  let answered = 0;
  let refused = 0;
  let rest = Buffer.alloc(0);
  const fill = () => {
    const count = Math.min(outstanding - (sent - answered), messages - sent);
    if (count <= 0) return;
    const pieces = [];
    for (let i = 0; i < count; i++, sent++) {
      const { frame, opaqueAt, keyAt } = templates[sent % templates.length];
      const copy = Buffer.from(frame);
      copy.latin1Write(String(FIRST_OPAQUE + sent), opaqueAt);
      copy.latin1Write((FIRST_OPAQUE + sent).toString(16).padStart(12, "0"), keyAt);
      pieces.push(copy);
    }
    times.push(performance.now());
    socket.write(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
  };
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let at = 0;
      while (at + 4 <= bytes.length) {
        const end = at + 4 + bytes.readInt32BE(at);
        if (end > bytes.length) break;
        if (bytes[at + 8] !== 0x7b || bytes[at + 16] !== 0x30 || bytes[at + 17] !== 0x2c) {
          if (refused++ === 0) console.error(bytes.toString("latin1", at + 8, end));
        }
        answered++;
        at = end;
      }
      rest = bytes.subarray(at);
      if (answered === messages) {
        socket.removeAllListeners("data");
        resolve(refused);
      } else fill();
    });
    fill();
  });
}

/** Microseconds that the process has run, all of its threads. */
function cpuOf(pid) {
  if (pid === undefined) return 0;
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1000;
}

const sockets = await Promise.all(
  Array.from({ length: number("connections") }, () => {
    const socket = connect({ host: values.host, port: number("port"), noDelay: true });
    return new Promise((resolve, reject) => {
      socket.once("connect", () => resolve(socket));
      socket.once("error", reject);
    });
  }),
);
const share = Math.ceil(number("messages") / sockets.length);
const outstanding = Math.max(Math.floor(number("outstanding") / sockets.length), 1);
await Promise.all(sockets.map((socket) => run(socket, Math.ceil(number("warmup") / sockets.length), outstanding, [])));
const cpu = cpuOf(values.pid);
const own = process.cpuUsage();
const start = performance.now();
const refused = await Promise.all(sockets.map((socket) => run(socket, share, outstanding, [])));
const seconds = (performance.now() - start) / 1000;
const used = process.cpuUsage(own);
const count = share * sockets.length;
const refusedCount = refused.reduce((sum, one) => sum + one, 0);
console.log(
  JSON.stringify({
    messages: count,
    perSecond: Math.round(count / seconds),
    brokerMicroseconds: Number(((cpuOf(values.pid) - cpu) / count).toFixed(2)),
    clientMicroseconds: Number(((used.user + used.system) / count).toFixed(2)),
    refused: refusedCount,
  }),
);
for (const socket of sockets) socket.destroy();
