/** Free ports of the loopback interface. */
import { createServer } from "node:net";

/** A port P of which P and P + each of `beside` are free. */
export async function freePort(beside: readonly number[] = []): Promise<number> {
  for (;;) {
    // Below the range from which the system gives ports to outgoing connections.
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    const free = await Promise.all([port, ...beside.map((distance) => port + distance)].map(isFree));
    if (free.every(Boolean)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
