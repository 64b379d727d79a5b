/** A request that is answered with a code of its own (`ResponseCode`) and the message as remark. */
export class RequestError extends Error {
  readonly code: number;

  static {
    Object.defineProperty(RequestError.prototype, "name", {
      value: "RequestError",
      configurable: true,
      writable: true,
    });
  }

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
