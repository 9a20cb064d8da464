// ConvexReactClient and its hooks, under React with a DOM that exists only in memory.

import { Window } from "happy-dom";
import { WebSocket } from "ws";

const window = new Window({ url: "http://127.0.0.1/" });
globalThis.window = window;
globalThis.document = window.document;
globalThis.navigator ??= window.navigator;

const { createElement, Component, useState } = await import("react");
const { createRoot } = await import("react-dom/client");
const { ConvexHttpClient } = await import("convex/browser");
const { ConvexProvider, ConvexReactClient, useAction, useMutation, usePaginatedQuery, useQuery } =
  await import("convex/react");
const { anyApi } = await import("convex/server");
const { command, emit, failure, Inbox, options, run, url } = await import("./harness.mjs");

const { room } = options;
const elsewhere = new ConvexHttpClient(url, { logger: false });

// The public socket option, used to note which queries the client subscribes to, and to hold
// mutations back until `released`, so that React has the time to render what was optimistic.
const modifications = [];
let released = Promise.resolve();
class RecordingSocket extends WebSocket {
  send(data) {
    const message = JSON.parse(data);
    modifications.push(...(message.modifications ?? []));
    if (message.type === "Mutation") released.then(() => super.send(data));
    else super.send(data);
  }
}

class Boundary extends Component {
  state = { error: null };
  static getDerivedStateFromError(error) {
    return { error };
  }
  componentDidCatch(error) {
    this.props.onError(error);
  }
  render() {
    return this.state.error === null ? this.props.children : null;
  }
}

// Renders `useRendered()` (a hook) and collects what it returned at each render.
function mount(useRendered) {
  const client = new ConvexReactClient(url, { logger: false, webSocketConstructor: RecordingSocket });
  const renders = new Inbox();
  const errors = new Inbox();
  const Rendered = () => {
    renders.push(useRendered());
    return null;
  };
  const root = createRoot(document.createElement("div"), { onCaughtError() {} });
  root.render(
    createElement(
      ConvexProvider,
      { client },
      createElement(Boundary, { onError: (error) => errors.push(error) }, createElement(Rendered)),
    ),
  );
  const close = async () => {
    root.unmount();
    await client.close();
  };
  return { client, renders, errors, close };
}

async function hooks() {
  const { renders, close } = mount(() => ({
    bodies: useQuery(anyApi.messages.listBodies, { room }),
    skipped: useQuery(anyApi.messages.listBodies, "skip"),
    send: useMutation(anyApi.messages.send),
    relay: useAction(anyApi.relay.relay),
  }));
  const { send, relay } = await renders.until(({ bodies }) => bodies?.length === 0);
  await send({ room, body: "own" });
  await renders.until(({ bodies }) => bodies?.includes("own"));
  await elsewhere.mutation("messages:send", { room, body: "other", number: 1 });
  await renders.until(({ bodies }) => bodies?.includes("other"));
  const count = await relay({ room, bodies: ["third"] });
  await renders.until(({ bodies }) => bodies?.includes("third"));
  emit("renders", {
    count,
    renders: renders.values.map(({ bodies }) => bodies ?? null),
    skipped: renders.values.every(({ skipped }) => skipped === undefined),
  });
  await close();
}

// Arguments that change: the component switches to another query and back.
async function switching() {
  const rooms = [room, `${room} second`];
  for (const each of rooms) await elsewhere.mutation("messages:send", { room: each, body: each });
  const { renders, close } = mount(() => {
    const [current, choose] = useState(rooms[0]);
    return { current, choose, bodies: useQuery(anyApi.messages.listBodies, { room: current }) };
  });
  const { choose } = await renders.until(({ bodies }) => bodies?.[0] === rooms[0]);
  choose(rooms[1]);
  await renders.until(({ bodies }) => bodies?.[0] === rooms[1]);
  await elsewhere.mutation("messages:send", { room: rooms[1], body: "more", number: 1 });
  await renders.until(({ bodies }) => bodies?.[1] === "more");
  choose(rooms[0]);
  await renders.next(({ current, bodies }) => current === rooms[0] && bodies?.[0] === rooms[0]);
  emit("switched", {
    mixed: renders.values.some(({ current, bodies }) => bodies !== undefined && bodies[0] !== current),
  });
  await close();
}

async function errors() {
  const mounted = mount(() => useQuery(anyApi.failures.queryRefuses, { data: { code: 7 } }));
  emit("with data", failure(await mounted.errors.until(() => true)));
  await mounted.close();
  const second = mount(() => useQuery(anyApi.messages.count, { room: 5 }));
  emit("bad arguments", failure(await second.errors.until(() => true)));
  await second.close();
}

async function optimistic() {
  const { renders, close } = mount(() => ({
    bodies: useQuery(anyApi.messages.listBodies, { room }),
    send: useMutation(anyApi.messages.send).withOptimisticUpdate((store, { body }) => {
      const query = anyApi.messages.listBodies;
      store.setQuery(query, { room }, [...store.getQuery(query, { room }), `${body} …`]);
    }),
  }));
  const { send } = await renders.until(({ bodies }) => bodies?.length === 0);
  let release;
  released = new Promise((resolve) => (release = resolve));
  const sending = send({ room, body: "one" });
  await renders.until(({ bodies }) => bodies?.[0] === "one …");
  release();
  await sending;
  await renders.until(({ bodies }) => bodies?.[0] === "one");
  emit("renders", { renders: renders.values.map(({ bodies }) => bodies ?? null) });
  await close();
}

// Every render must show both balances at one timestamp.
async function pairs() {
  const group = room;
  await elsewhere.mutation("accounts:openPair", { group, amount: 1000 });
  const { renders, close } = mount(() => [
    useQuery(anyApi.accounts.balance, { group, owner: "left" }),
    useQuery(anyApi.accounts.balance, { group, owner: "right" }),
  ]);
  await renders.until((pair) => !pair.includes(undefined));
  await Promise.all(
    [0, 1].map(async () => {
      const writer = new ConvexHttpClient(url, { logger: false });
      for (let round = 0; round < options.rounds; round++) {
        const args = { group, source: "left", target: "right", amount: 1 };
        await writer.mutation("accounts:transfer", args);
      }
    }),
  );
  await renders.until((pair) => pair[0] === 1000 - 2 * options.rounds);
  emit("pairs", { seen: renders.values.filter((pair) => !pair.includes(undefined)) });
  await close();
}

const ascending = (left, right) => left - right;

// Follows what a paginated list shows while rows come and go in the middle of its pages. `states`
// keeps every state of the room that ever existed: whatever is rendered must be the beginning of
// one of them, or a page overlapped its neighbour or left a gap.
class PaginatedRoom {
  states = [];
  numbers = [];

  // A list that is mounted while the room is empty has reached the end, and then grows for ever: fill
  // the room first to get pages.
  mount() {
    const mounted = mount(() => {
      const options = { initialNumItems: 5 };
      const list = usePaginatedQuery(anyApi.messages.page, { room }, options);
      return { ...list, numbers: list.results.map(({ number }) => number) };
    });
    Object.assign(this, mounted);
  }

  async add(...numbers) {
    this.#become([...this.numbers, ...numbers]);
    await elsewhere.mutation("messages:fill", { room, numbers });
  }

  async remove(...numbers) {
    this.#become(this.numbers.filter((number) => !numbers.includes(number)));
    await elsewhere.mutation("messages:remove", { room, numbers });
  }

  #become(numbers) {
    this.numbers = numbers.sort(ascending);
    this.states.push(this.numbers);
  }

  // Waits until exactly the rows up to `boundary` are shown.
  shows(boundary, status = "CanLoadMore") {
    const expected = this.numbers.filter((number) => number <= boundary).join();
    return this.renders.until(
      (render) => render.status === status && render.numbers.join() === expected,
    );
  }

  report() {
    const beginnings = new Set();
    for (const state of this.states) {
      for (let length = 0; length <= state.length; length++) {
        beginnings.add(state.slice(0, length).join());
      }
    }
    const rendered = this.renders.values.filter(({ status }) => status !== "LoadingFirstPage");
    const torn = rendered.filter(({ numbers }) => !beginnings.has(numbers.join()));
    const split = modifications.filter(
      ({ type, args }) => type === "Add" && args[0].paginationOpts?.endCursor != null,
    );
    emit("pages", {
      renders: rendered.length,
      torn: torn.map(({ numbers }) => numbers),
      statuses: [...new Set(this.renders.values.map(({ status }) => status))],
      splits: split.length,
      last: this.renders.values.at(-1).numbers,
      all: this.numbers,
    });
  }
}

const tens = (count) => Array.from({ length: count }, (_, position) => 10 * (position + 1));

async function pagination() {
  const pages = new PaginatedRoom();
  await pages.add(...tens(20));
  pages.mount();
  const { loadMore } = await pages.renders.until(({ status }) => status === "CanLoadMore");
  const shown = pages.renders.values.at(-1).numbers.length;
  loadMore(5);
  await pages.renders.until(({ status, numbers }) => status === "CanLoadMore" && numbers.length > shown);
  const boundary = pages.renders.values.at(-1).numbers.at(-1);
  await pages.add(15, 25);
  await pages.shows(boundary);
  await pages.remove(20, 70);
  await pages.shows(boundary);
  await pages.remove(boundary, 50, 60);
  await pages.shows(boundary);
  await pages.add(50, 55, 5);
  await pages.shows(boundary);
  await growUntilSplit(pages, boundary);
  await pages.remove(...pages.numbers.filter((number) => number < 20));
  await pages.shows(boundary);
  await exhaust(pages);
  await pages.add(1000);
  await pages.shows(Infinity, "Exhausted");
  await pages.remove(1000, 200);
  await pages.shows(Infinity, "Exhausted");
  pages.report();
  await pages.close();
}

// More than twice the initial number of rows makes the client split the page at its splitCursor.
async function growUntilSplit(pages, boundary) {
  for (let number = 31; number < 40; number++) {
    await pages.add(number, number + 0.5);
    await pages.shows(boundary);
  }
}

async function exhaust(pages) {
  for (;;) {
    const { status, loadMore, numbers } = pages.renders.values.at(-1);
    if (status === "Exhausted") break;
    if (status === "CanLoadMore") loadMore(5);
    await pages.renders.next(
      (render) => render.status === "Exhausted" || render.numbers.length > numbers.length,
    );
  }
}

// A list that was empty at first is one page without an end.
async function growing() {
  const list = new PaginatedRoom();
  list.mount();
  await list.renders.until(({ status }) => status === "Exhausted");
  await list.add(...tens(8));
  await list.shows(Infinity, "Exhausted");
  list.report();
  await list.close();
}

// Pages keep their boundaries over a restart of the server, because the client returns the journals.
async function restart() {
  const list = new PaginatedRoom();
  await list.add(...tens(12));
  list.mount();
  const { loadMore } = await list.renders.until(({ numbers }) => numbers.length === 5);
  loadMore(5);
  await list.renders.until(({ numbers }) => numbers.length === 10);
  await list.add(51);
  await list.shows(100);
  emit("ready");
  await command("restarted");
  await list.add(11, 52, 101);
  await list.shows(100);
  await list.remove(10, 50, 100);
  await list.shows(100);
  list.report();
  await list.close();
}

await run({ hooks, switching, errors, optimistic, pairs, pagination, growing, restart });
