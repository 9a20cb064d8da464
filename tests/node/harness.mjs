// What every script shares: how it is called, how it reports, how it waits.
//
//   node <script>.mjs <url> <scenario> '<JSON options>'
//
// Each observation is one line of JSON with an `event`. A script ends with exit code 0 when its
// scenario has run, and with 1 and an `error` observation when it failed or took too long.
// A scenario that needs the test to do something (kill the server, write from elsewhere) waits for a
// line on standard input with `command`.

import { createInterface } from "node:readline";
import { convexToJson } from "convex/values";

export const url = process.argv[2];
export const scenario = process.argv[3];
export const options = JSON.parse(process.argv[4] ?? "{}");

const DEADLINE_MS = 60_000;

export function emit(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

// A Convex value in its wire encoding, so that bigint, bytes, NaN and -0 survive the report.
export function wire(value) {
  return value === undefined ? null : convexToJson(value);
}

// What a failed call looks like to an application.
export function failure(error) {
  return {
    name: error.constructor.name,
    message: error.message,
    hasData: "data" in error,
    data: "data" in error ? wire(error.data) : null,
  };
}

export async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    return failure(error);
  }
  throw new Error("expected a failure, but the call succeeded");
}

// A queue of values to await: `push` from a callback, `await until(predicate)` in the scenario.
export class Inbox {
  values = [];
  #waiting = new Set();

  push(value) {
    this.values.push(value);
    for (const check of [...this.#waiting]) check(value);
  }

  // The first value, seen already or still to come, for which the predicate holds.
  until(predicate) {
    const seen = this.values.find((value) => predicate(value));
    if (seen !== undefined) return Promise.resolve(seen);
    return this.next(predicate);
  }

  // The next value still to come for which the predicate holds.
  next(predicate = () => true) {
    return new Promise((resolve) => {
      const check = (value) => {
        if (!predicate(value)) return;
        this.#waiting.delete(check);
        resolve(value);
      };
      this.#waiting.add(check);
    });
  }
}

// Subscribes and collects every value that the client hands to the application.
export function watch(client, path, args) {
  const inbox = new Inbox();
  inbox.unsubscribe = client.onUpdate(
    path,
    args,
    (value) => inbox.push({ value }),
    (error) => inbox.push({ error }),
  );
  return inbox;
}

const commands = new Inbox();
let consumed = 0;

// Waits for the test to write the line `name`, each line being used once and in order.
export async function command(name) {
  const position = consumed++;
  while (commands.values.length <= position) await commands.next();
  if (commands.values[position] !== name) {
    throw new Error(`expected the command ${name}, received ${commands.values[position]}`);
  }
}

export async function run(scenarios) {
  const input = createInterface({ input: process.stdin });
  input.on("line", (line) => commands.push(line));
  const timer = setTimeout(() => {
    emit("error", { message: `the scenario ${scenario} took longer than ${DEADLINE_MS} ms` });
    process.exit(1);
  }, DEADLINE_MS);
  process.on("uncaughtException", (error) => fail(error));
  try {
    if (!(scenario in scenarios)) throw new Error(`no scenario ${scenario}`);
    await scenarios[scenario]();
    clearTimeout(timer);
    emit("done");
    await new Promise((resolve) => process.stdout.write("", resolve));
    process.exit(0);
  } catch (error) {
    fail(error);
  }
}

function fail(error) {
  emit("error", { message: error.message, stack: error.stack });
  process.exit(1);
}
