/** A peer sent what is no frame. Nothing behind it can be trusted: the connection is closed, with the message in the log. */
export class ProtocolError extends Error {
  static {
    Object.defineProperty(ProtocolError.prototype, "name", {
      value: "ProtocolError",
      configurable: true,
      writable: true,
    });
  }
}
