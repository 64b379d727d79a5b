/** What the broker as a whole allows, whatever its topics say. */
import type { BrokerConfig } from "../config/broker-config.ts";
import { Permission } from "../protocol/bodies/topic-config.ts";

export function isReadable({ brokerPermission }: BrokerConfig): boolean {
  return (brokerPermission & Permission.READ) !== 0;
}

export function isWritable({ brokerPermission }: BrokerConfig): boolean {
  return (brokerPermission & Permission.WRITE) !== 0;
}

/** The permissions of a topic as clients are told of them. */
export function permissionWithin(config: BrokerConfig, perm: number): number {
  return isReadable(config) && isWritable(config) ? perm : perm & config.brokerPermission;
}
