/** argv → which process am I: the command line with its master, or a web worker. */
import { runWebWorker } from "./worker/worker.ts";

if (process.argv[2] === "--web-worker") runWebWorker();
else {
  const { main } = await import("./cli/zero.ts");
  await main(process.argv.slice(2));
}
