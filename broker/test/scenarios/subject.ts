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
  /** The process of the broker as it runs now. */
  readonly pid?: number | undefined;
  /** Starts the broker again after `stop` or `kill`, at the same address over the same store. */
  start(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Ends everything and removes the folder. */
  close(): Promise<void>;
}

/** RocketMQ's broker options. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** How a subject is started. */
export type StartSubject = (settings?: Settings) => Promise<Subject>;
