/** What is tested: a broker and its name server, as processes. */
export interface Subject {
  readonly kind: "apache" | "moraine";
  /** `host:port` of the name server. */
  readonly nameServer: string;
  /** `host:port` of the broker. */
  readonly brokerAddress: string;
  readonly brokerName: string;
  readonly cluster: string;
  /** Where its logs and its store are. */
  readonly folder: string;
  /** Starts the broker again after `stop` or `kill`, at the same address over the same store. */
  start(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Ends everything and removes the folder. */
  close(): Promise<void>;
}

/** How a subject is started; `settings` are RocketMQ's broker options. */
export type StartSubject = (settings?: Readonly<Record<string, string | number | boolean>>) => Promise<Subject>;
