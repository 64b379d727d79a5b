// What RocketMQ (Java or Rust) has put, looked at with our store: every queue dense, and samples whole.
import { Store } from "../../dist/index.js";
import { checkCount, TOPIC } from "./messages.mjs";

const CHECKED = 1000;

export async function verifyRocketmq({ dir, messages, bodyBytes, queues = 8 }) {
  const store = await Store.open(dir, { readOnly: true });
  let found = 0;
  let body;
  for (let queue = 0; queue < queues; queue++) {
    const { min, max } = store.offsets(TOPIC, queue);
    if (min !== 0) throw new Error(`queue ${queue} starts at ${min}`);
    found += max;
    for (let offset = 0; offset < max; offset += Math.max(1, Math.floor((max * queues) / CHECKED))) {
      // `get` compares the CRC of each record with its bytes.
      const [read] = store.get(TOPIC, queue, offset, { max: 1 }).messages;
      body ??= Buffer.from(read?.body ?? []);
      const whole = read?.queueOffset === offset && read.body.length === bodyBytes && body.equals(read.body);
      if (!whole || read.properties.get("UNIQ_KEY")?.length !== 32)
        throw new Error(`queue ${queue} offset ${offset} is wrong`);
    }
  }
  await store.close();
  checkCount(found, messages);
  return { verified: messages };
}
