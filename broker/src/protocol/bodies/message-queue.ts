import { readInt, readMembers, readText } from "./reading.ts";

export interface MessageQueue {
  readonly brokerName: string;
  readonly queueId: number;
  readonly topic: string;
}

export function readMessageQueue(value: unknown): MessageQueue {
  const queue = readMembers(value, "a message queue");
  return {
    brokerName: readText(queue, "brokerName"),
    queueId: readInt(queue, "queueId"),
    topic: readText(queue, "topic"),
  };
}
