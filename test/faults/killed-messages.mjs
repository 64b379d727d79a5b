/** Messages of a process that is killed while it puts them: each follows from its number, so that whoever finds one knows it. */

export const TOPICS = ["orders", "%RETRY%group-a", "payments"];

/** @param {number} seed @param {number} life @param {number} n @param {number} queues */
export function killedMessage(seed, life, n, queues) {
  const name = `${seed}/${life}/${n}`;
  const mixed = Math.imul(n + 1, 0x9e3779b1) >>> 0;
  return {
    topic: /** @type {string} */ (TOPICS[mixed % 7 < 5 ? 0 : (mixed % 7) - 4]),
    queueId: (mixed >>> 8) % queues,
    body: new TextEncoder().encode(`${name} `.repeat(1 + ((mixed >>> 12) % (n % 50 === 49 ? 2000 : 40)))),
    tags: n % 3 === 0 ? undefined : `t${n % 5}`,
    keys: n % 8 === 0 ? [`k-${life}-${n}`] : undefined,
    properties: { n: name },
    bornTimestamp: 1_700_000_000_000 + n,
  };
}
