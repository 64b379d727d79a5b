// The CRC of RocketMQ and zlib.
import zlib from "node:zlib";
import { bodyOf } from "../load/messages.mjs";

export function crcCases(floor) {
  return [128, 1024, 65_536].flatMap((bytes) => {
    const body = bodyOf(bytes);
    // Older versions of Node.js have none.
    const node = zlib.crc32 === undefined ? [] : [{ name: `zlib.crc32 of ${bytes} B`, call: () => zlib.crc32(body) }];
    return floor === undefined ? node : [{ name: `the floor, ${bytes} B`, call: () => floor.crc32(body) }, ...node];
  });
}
