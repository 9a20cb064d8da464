// ConvexHttpClient, the request-response client.

import { ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import { jsonToConvex } from "convex/values";
import { emit, failureOf, options, run, url, wire } from "./harness.mjs";

const client = new ConvexHttpClient(url, { logger: false });

async function functions() {
  const { room } = options;
  const id = await client.mutation(anyApi.messages.send, { room, body: "first", number: 1 });
  emit("mutation", { id });
  emit("query", { documents: await client.query(anyApi.messages.listMessages, { room }) });
  emit("by string path", { count: await client.query("messages:count", { room }) });
  emit("action", { count: await client.action(anyApi.relay.relay, { room, bodies: ["a", "b"] }) });
  const consistent = [];
  for (let round = 0; round < 3; round++) {
    consistent.push(await client.consistentQuery(anyApi.messages.count, { room }));
    await client.mutation(anyApi.messages.send, { room, body: "later" });
  }
  emit("consistent", { consistent, now: await client.query("messages:count", { room }) });
}

async function failures() {
  const { room } = options;
  const report = async (event, promise) => emit(event, await failureOf(promise));
  await report("unknown function", client.query("messages:nope", {}));
  await report("internal function", client.query("messages:hidden", {}));
  await report("wrong type", client.query("messages:send", { room, body: "x" }));
  await report("malformed path", client.query("../messages:send", {}));
  await report("missing argument", client.query("messages:count", {}));
  await report("extra argument", client.query("messages:count", { room, extra: 1 }));
  await report("argument of the wrong type", client.query("messages:count", { room: 5 }));
  await report("argument out of bounds", client.query("failures:limited", { text: "a", amount: 11 }));
  await report("wrong return value", client.query("failures:returnsWrongly", {}));
  for (const kind of ["query", "mutation", "action"]) {
    const args = kind === "mutation" ? { room } : {};
    await report(`${kind} fails`, client[kind](`failures:${kind}Fails`, args));
    const data = { code: 7, nested: ["x", { deep: null }], big: 9007199254740993n };
    await report(`${kind} refuses`, client[kind](`failures:${kind}Refuses`, { data }));
    await report(`${kind} refuses with null`, client[kind](`failures:${kind}Refuses`, { data: null }));
  }
  await report("rolled back", client.mutation("messages:sendAndRefuse", { room, body: "never" }));
  await report("action that met a failure", client.action("relay:relayToAFailure", { room }));
  emit("left over", { count: await client.query("messages:count", { room }) });
  emit("hidden by action", { value: await client.action("relay:askForTheHidden", {}) });
}

// Sends every value as an argument; `cases` maps names to the wire encoding.
async function values() {
  for (const [name, encoded] of options.cases) {
    const value = jsonToConvex(encoded);
    const returned = await client.mutation("values:keep", { name: options.room + name, value });
    const kept = await client.query("values:kept", { name: options.room + name });
    const echoed = await client.query("values:echo", { value });
    const acted = await client.action("values:echoFromAction", { value });
    emit("value", { name, seen: [returned, kept, echoed, acted].map(wire) });
  }
}

await run({ functions, failures, values });
