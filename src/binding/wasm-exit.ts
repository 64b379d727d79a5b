/** Stores that are open when a process or a worker thread ends by itself: they are closed, unless a sync is under way. */

const open: Set<() => void> = new Set();

/** `close` is called when the thread ends, unless the returned function was called before. It must not throw. */
export function closeAtExit(close: () => void): () => void {
  if (open.size === 0) process.on("exit", closeAll);
  open.add(close);
  return () => {
    open.delete(close);
    if (open.size === 0) process.off("exit", closeAll);
  };
}

function closeAll(): void {
  for (const close of open) close();
}
