// ConvexClient and BaseConvexClient, the clients of the sync protocol.

import { BaseConvexClient, ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import { jsonToConvex } from "convex/values";
import { WebSocket } from "ws";
import { command, emit, failure, failureOf, Inbox, options, run, url, watch, wire } from "./harness.mjs";

const { room } = options;
const quiet = { logger: false };
const elsewhere = () => new ConvexHttpClient(url, quiet);

async function functions() {
  const client = new ConvexClient(url, quiet);
  emit("query", { count: await client.query(anyApi.messages.count, { room }) });
  const seen = watch(client, anyApi.messages.listBodies, { room });
  await seen.until(({ value }) => value.length === 0);
  const id = await client.mutation(anyApi.messages.send, { room, body: "own" });
  emit("visible when the mutation resolved", { bodies: seen.values.at(-1).value });
  await elsewhere().mutation("messages:send", { room, body: "other", number: 1 });
  await seen.until(({ value }) => value.includes("other"));
  const count = await client.action(anyApi.relay.relay, { room, bodies: ["third"] });
  await seen.until(({ value }) => value.includes("third"));
  emit("values", { id, count, values: seen.values.map(({ value }) => value) });
  emit("document", { document: await client.query("messages:get", { id }) });
  await client.close();
}

async function unsubscribe() {
  const client = new ConvexClient(url, quiet);
  const [stopped, kept] = [0, 1].map(() => watch(client, "messages:listBodies", { room }));
  const other = watch(client, "messages:count", { room });
  await Promise.all([stopped.until(() => true), kept.until(() => true), other.until(() => true)]);
  stopped.unsubscribe();
  other.unsubscribe();
  await client.mutation("messages:send", { room, body: "after" });
  emit("values", {
    stopped: stopped.values.length,
    other: other.values.length,
    kept: kept.values.map(({ value }) => value),
  });
  const again = watch(client, "messages:count", { room });
  emit("again", await again.until(() => true));
  await client.close();
}

// A query whose result a write does not change must not be pushed again.
async function quietness() {
  const client = new ConvexClient(url, quiet);
  const here = watch(client, "messages:listBodies", { room });
  await here.until(() => true);
  for (let number = 0; number < 5; number++) {
    await client.mutation("messages:send", { room: `${room} elsewhere`, body: "x", number });
  }
  emit("pushes", { count: here.values.length });
  await client.close();
}

async function failures() {
  const client = new ConvexClient(url, quiet);
  const report = async (event, promise) => emit(event, await failureOf(promise));
  await report("unknown function", client.query("messages:nope", {}));
  await report("unknown mutation", client.mutation("messages:nope", {}));
  await report("unknown action", client.action("nowhere:nope", {}));
  await report("internal function", client.query("messages:hidden", {}));
  await report("bad arguments", client.query("messages:count", { room: 5 }));
  await report("bad arguments of a mutation", client.mutation("messages:send", { room, body: 1 }));
  for (const kind of ["query", "mutation", "action"]) {
    const args = kind === "mutation" ? { room } : {};
    await report(`${kind} fails`, client[kind](`failures:${kind}Fails`, args));
    const data = { code: 7, nested: ["x"], big: 5n };
    await report(`${kind} refuses`, client[kind](`failures:${kind}Refuses`, { data }));
  }
  const subscription = watch(client, "failures:queryRefuses", { data: "why" });
  const { error } = await subscription.until(() => true);
  emit("subscription fails", failure(error));
  emit("still alive", { count: await client.query("messages:count", { room }) });
  await client.close();
}

// A subscribed query that fails and recovers, as the data changes.
async function recovery() {
  const client = new ConvexClient(url, quiet);
  const seen = watch(client, "accounts:balance", { group: room, owner: "left" });
  const { error } = await seen.until(() => true);
  emit("at first", failure(error));
  await client.mutation("accounts:openPair", { group: room, amount: 10 });
  emit("then", await seen.until(({ value }) => value !== undefined));
  await client.close();
}

async function logs() {
  const lines = [];
  const level = (name) => (...parts) => lines.push([name, ...parts].join(" "));
  const logger = { log: level("log"), warn: level("warn"), error: level("error"), logVerbose() {} };
  const client = new ConvexClient(url, { logger });
  await client.query("failures:logs", {});
  emit("lines", { lines });
  await client.close();
}

async function values() {
  const client = new ConvexClient(url, quiet);
  for (const [name, encoded] of options.cases) {
    const value = jsonToConvex(encoded);
    const seen = watch(client, "values:kept", { name: room + name });
    await seen.until(() => true);
    const returned = await client.mutation("values:keep", { name: room + name, value });
    const pushed = seen.values.at(-1).value;
    seen.unsubscribe();
    const echoed = await client.query("values:echo", { value });
    const acted = await client.action("values:echoFromAction", { value });
    emit("value", { name, seen: [returned, pushed, echoed, acted].map(wire) });
  }
  await client.close();
}

async function fields() {
  const client = new ConvexClient(url, quiet);
  const describe = async (event, id) =>
    emit(event, {
      document: await client.query("values:profile", { id }),
      python: await client.query("values:profileAsSeenInPython", { id }),
    });
  const create = (fields) => client.mutation("values:createProfile", { name: "n", ...fields });
  await describe("never set", await create({}));
  await describe("undefined", await create({ nickname: undefined }));
  const withNull = await create({ nickname: null, shoeSize: 44 });
  await describe("null", withNull);
  await client.mutation("values:forgetNickname", { id: withNull });
  await describe("null removed", withNull);
  await describe("set", await create({ nickname: "nick", color: "red" }));
  emit("null where only absent is allowed", await failureOf(create({ shoeSize: null })));
  await client.close();
}

async function typed() {
  const client = new ConvexClient(url, quiet);
  const parcel = {
    label: "fragile ☂", weightGrams: 250, serial: 2n ** 62n + 1n, ratio: 0.1, fragile: true,
    content: new Uint8Array([0, 255, 128]).buffer, nothing: null, kind: "box", tags: ["a", "b"],
    prices: { "one way": 1.5, return: 2 }, destination: { latitude: -0, longitude: 1e-300 }, either: "x",
  };
  const id = await client.mutation("values:post", parcel);
  const stored = await client.query("values:parcel", { id });
  emit("parcel", { sent: wire(parcel), stored: wire(stored) });
  const report = async (event, change) =>
    emit(event, await failureOf(client.mutation("values:post", { ...parcel, ...change })));
  await report("float for an int64", { serial: 5 });
  await report("int64 for a float", { ratio: 5n });
  await report("fraction for an int", { weightGrams: 2.5 });
  await report("unknown literal", { kind: "crate" });
  await report("nested mistake", { destination: { latitude: 1, longitude: "east" } });
  await report("id of another table", { sender: id });
  await client.close();
}

// Two queries whose sum never changes, under writes from two other clients: the application must
// never be handed a pair of different timestamps.
async function pairs() {
  const group = room;
  await elsewhere().mutation("accounts:openPair", { group, amount: 1000 });
  const sides = ["left", "right"].map((owner) => ({ group, owner }));
  const seen = [];
  const arrived = new Inbox();
  const base = new BaseConvexClient(
    url,
    () => {
      const pair = sides.map((side) => base.localQueryResult("accounts:balance", side));
      if (pair.includes(undefined)) return;
      seen.push(pair);
      arrived.push(pair);
    },
    { ...quiet, webSocketConstructor: WebSocket },
  );
  const callbackPairs = [];
  const client = new ConvexClient(url, quiet);
  for (const side of sides) {
    base.subscribe("accounts:balance", side);
    client.onUpdate("accounts:balance", side, () => {
      const pair = sides.map((each) => client.client.localQueryResult("accounts:balance", each));
      if (!pair.includes(undefined)) callbackPairs.push(pair);
    });
  }
  await arrived.until(() => true);
  const writers = [new ConvexClient(url, quiet), new ConvexClient(url, quiet)];
  await Promise.all(
    writers.map(async (writer, number) => {
      const [source, target] = number === 0 ? ["left", "right"] : ["right", "left"];
      for (let round = 0; round < options.rounds; round++) {
        const amount = number === 0 ? 3 : 2;
        await writer.mutation("accounts:transfer", { group, source, target, amount });
      }
    }),
  );
  const left = 1000 - options.rounds;
  await arrived.until((pair) => pair[0] === left);
  emit("pairs", { seen, callbackPairs });
  await Promise.all([base.close(), client.close(), ...writers.map((writer) => writer.close())]);
}

const shown = (seen) => seen.values.map(({ value }) => value);

async function optimistic() {
  const client = new ConvexClient(url, quiet);
  const seen = watch(client, "messages:listBodies", { room });
  await seen.until(() => true);
  const optimisticUpdate = (store, { body }) => {
    const query = anyApi.messages.listBodies;
    store.setQuery(query, { room }, [...store.getQuery(query, { room }), `${body} …`]);
  };
  await client.mutation("messages:send", { room, body: "one" }, { optimisticUpdate });
  emit("applied", { values: shown(seen) });
  const before = seen.values.length;
  const refused = client.mutation("messages:sendAndRefuse", { room, body: "no" }, { optimisticUpdate });
  emit("refused", { failure: await failureOf(refused), values: shown(seen).slice(before) });
  await client.close();
}

// Writes without a pause while the test stops and starts the server, until it says that it is enough;
// every write must be applied exactly once, and the subscription must go on.
async function reconnect() {
  const client = new ConvexClient(url, quiet);
  const halves = watch(client, "ledger:halves", { client: room });
  await halves.until(() => true);
  emit("subscribed");
  let [sent, acknowledged, enough] = [0, 0, false];
  command("enough").then(() => (enough = true));
  const write = async () => {
    while (!enough) {
      const sequence = sent++;
      const result = await client.mutation("ledger:record", { client: room, sequence });
      if (result !== sequence) throw new Error(`${sequence} was answered by ${result}`);
      emit("acknowledged", { sequence, acknowledged: ++acknowledged });
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, write));
  await halves.until(({ value }) => value === 2 * sent);
  const records = await client.query("ledger:records", { client: room });
  emit("records", { records, sent, connections: client.client.connectionState().connectionCount });
  await client.close();
}

// A subscription and a mutation on both sides of a restart.
async function restart() {
  const client = new ConvexClient(url, quiet);
  const seen = watch(client, "messages:listBodies", { room });
  await client.mutation("messages:send", { room, body: "before" });
  await seen.until(({ value }) => value?.length === 1);
  emit("ready");
  await command("restarted");
  await client.mutation("messages:send", { room, body: "after", number: 1 });
  emit("values", { last: seen.values.at(-1).value, pushes: seen.values.length });
  await client.close();
}

await run({
  functions, unsubscribe, quietness, failures, recovery, logs, values, fields, typed, pairs,
  optimistic, reconnect, restart,
});
