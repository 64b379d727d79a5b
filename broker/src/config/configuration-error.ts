/** A configuration that cannot be used. The message says of each option what is wrong and what would be right. */
export class ConfigurationError extends Error {
  /** `"forbidden"`: the option may not be changed while the broker runs. */
  readonly reason: "invalid" | "forbidden";

  static {
    Object.defineProperty(ConfigurationError.prototype, "name", { value: "ConfigurationError" });
  }

  constructor(reason: "invalid" | "forbidden", message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}
