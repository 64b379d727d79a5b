/**
 * A process that attaches to the store of a token, which another process has made, and prints what it is told.
 *
 * node attaching-child.mjs TOKEN
 */
import { Store } from "moraine";

try {
  await Store.attach(process.argv[2]);
  console.log("attached");
} catch (error) {
  console.log(error.code, error.message);
}
