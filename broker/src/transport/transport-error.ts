export type TransportErrorCode = "CONNECTION_CLOSED" | "CONNECTION_REFUSED" | "REQUEST_TIMEOUT" | "TOO_MANY_REQUESTS";

/** A request of ours got no answer. */
export class TransportError extends Error {
  readonly code: TransportErrorCode;

  static {
    Object.defineProperty(TransportError.prototype, "name", {
      value: "TransportError",
      configurable: true,
      writable: true,
    });
  }

  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
