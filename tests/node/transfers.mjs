// Load for benchmarks/sync_throughput.py: transfers by one unmodified ConvexClient.

import { ConvexClient } from "convex/browser";
import { emit, options, run, url } from "./harness.mjs";

async function transfers() {
  const { accounts, inFlight, seconds } = options;
  const client = new ConvexClient(url, { logger: false });
  let finished = 0;
  const transfer = () => {
    const source = Math.floor(Math.random() * accounts.length);
    const target = (source + 1) % accounts.length;
    const args = { source: accounts[source], target: accounts[target], amount: 1 };
    return client.mutation("bank:transfer", args);
  };
  await transfer();
  const start = performance.now();
  const worker = async () => {
    while (performance.now() - start < 1000 * seconds) {
      await transfer();
      finished++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  emit("rate", { perSecond: (1000 * finished) / (performance.now() - start) });
  await client.close();
}

await run({ transfers });
