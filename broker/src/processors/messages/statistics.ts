/** What the processors of messages count. */
export interface MessageStatistics {
  /** Messages that were stored, and the bytes of their records. */
  put(topic: string, messages: number, bytes: number): void;
  /** Messages that a group has got. */
  get(group: string, topic: string, messages: number, bytes: number): void;
  /** A message that a group has sent back. */
  sendBack(group: string, topic: string): void;
}
