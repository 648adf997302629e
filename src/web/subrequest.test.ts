import { expect, test } from "bun:test";
import { bareLocation, bareServer, bodyText, exchangeFor } from "../../tests/support/exchange.ts";
import type { Reply } from "../http/message.ts";
import { errorReply } from "./error_page.ts";
import { Exchange } from "./exchange.ts";
import type { Handler, Location } from "./pipeline.ts";
import { textReply } from "./reply.ts";
import { maySubrequest, type SubrequestOptions, subrequest } from "./subrequest.ts";

/** A request whose server has one location, in which `handler` answers. */
function parentOf(handler: Handler, changes: Partial<Location> = {}, log: string[] = []): Exchange {
  const location: Location = {
    ...bareLocation,
    handlers: [handler],
    errorLog: { wants: () => true, log: (level, message) => log.push(`${level}: ${message}`) },
    ...changes,
  };
  const { request, client, body } = exchangeFor("/parent?a=1", { method: "POST" });
  return new Exchange(
    { request, client, body, server: { ...bareServer, root: location }, startedAt: 0 },
    "/parent",
    "a=1",
  );
}

const show: Handler = (exchange) => textReply(exchange, 200, `${exchange.method} ${exchange.uri}?${exchange.args}`);
const textOf = async ({ reply }: { readonly reply: Promise<Reply> }): Promise<string> => bodyText(await reply);

test("it asks the parent's server for another URI, as one that we lead there, with GET unless told otherwise", async () => {
  const parent = parentOf(show);
  const part = subrequest(parent, "/part", "b=2");
  expect(await textOf(part)).toBe("GET /part?b=2");
  expect(await textOf(subrequest(parent, "/part", "", { method: "HEAD" }))).toBe("HEAD /part?");
  expect([part.exchange.internal, part.exchange.main === parent, part.exchange.body]).toEqual([true, true, undefined]);
  expect([parent.uri, parent.args, parent.method]).toEqual(["/parent", "a=1", "POST"]);
});

test("internal locations answer it", async () => {
  const { reply } = subrequest(parentOf(show, { isInternal: true }), "/part", "");
  expect((await reply).head.status).toBe(200);
});

test("the caller sees the reply before its location's filters, and gets it after them; it is logged", async () => {
  const seen: string[] = [];
  const parent = parentOf(show, {
    filters: [({ uri }, reply) => seen.push(`filter ${uri} ${reply.head.status}`)],
    logs: [({ uri, reply }) => seen.push(`log ${uri} ${reply?.head.status}`)],
  });
  const before = (reply: Reply) => {
    seen.push("before");
    reply.head.status = 201;
  };
  await subrequest(parent, "/part", "", { before, prepare: () => seen.push("prepare") }).reply;
  expect(seen).toEqual(["prepare", "before", "filter /part 201", "log /part 201"]);
});

test("the parent's content once more: its method and captures, no filter, and its end is the caller's", async () => {
  const seen: string[] = [];
  const parent = parentOf(show, { filters: [() => seen.push("filter")] });
  parent.captures = ["whole"];
  const part = subrequest(parent, "/parent", "a=1", { again: true, prepare: () => seen.push("prepare") });
  expect(await textOf(part)).toBe("POST /parent?a=1");
  expect([seen, part.exchange.captures]).toEqual([["prepare"], ["whole"]]);
  parent.end();
  expect(part.exchange.hasEnded).toBe(false);
});

test("what it has borrowed is given back at the end of the client's request", async () => {
  let ended = 0;
  const parent = parentOf((exchange) => {
    exchange.atEnd(() => ended++);
    return show(exchange);
  });
  await subrequest(parent, "/part", "").reply;
  expect(ended).toBe(0);
  parent.end();
  expect(ended).toBe(1);
});

test("errors are shown by error_page, unless they are to stay", async () => {
  const errorPage: Location["errorPage"] = (exchange) =>
    exchange.inErrorPage ? undefined : textReply(exchange, 404, "page");
  const ask = (options?: SubrequestOptions) =>
    subrequest(
      parentOf(() => errorReply(404), { errorPage }),
      "/part",
      "",
      options,
    );
  expect(await textOf(ask())).toBe("page");
  expect(await textOf(ask({ keepsErrors: true }))).toContain("404");
});

test("what fails is a 500 and a line in the log, never a rejection", async () => {
  const log: string[] = [];
  const fail: Handler = () => Promise.reject(new Error("no such luck"));
  const { reply } = subrequest(parentOf(fail, {}, log), "/part", "");
  expect((await reply).head.status).toBe(500);
  expect(log).toEqual([
    'error: *1 no such luck, client: 127.0.0.1, server: localhost, request: "POST /parent?a=1 HTTP/1.1", subrequest: "/part"',
  ]);
});

test("a page that includes itself comes to an end after fifty levels", async () => {
  const log: string[] = [];
  let levels = 0;
  const statuses: number[] = [];
  const parent = parentOf(
    async (exchange) => {
      levels++;
      statuses.push((await subrequest(exchange, "/part", "").reply).head.status);
      return show(exchange);
    },
    {},
    log,
  );
  const { reply } = subrequest(parent, "/part", "");
  expect((await reply).head.status).toBe(200);
  expect([levels, statuses[0]]).toEqual([50, 500]);
  expect(log.filter((line) => line.includes('subrequests cycle while processing "/part"'))).toHaveLength(1);
});

test("who would ask for more can know before: levels, and parts of one response", async () => {
  let deep = parentOf(show);
  for (let level = 0; level < 49; level++) ({ exchange: deep } = subrequest(deep, "/part", ""));
  expect(maySubrequest(deep)).toBe(true);
  expect(maySubrequest(subrequest(deep, "/part", "").exchange)).toBe(false);
  const wide = parentOf(show);
  let allowed = 0;
  for (let i = 0; i < 64_535; i++) {
    if (maySubrequest(wide)) allowed++;
    subrequest(wide, "/part", "");
  }
  expect(allowed).toBe(64_535);
  expect(maySubrequest(wide)).toBe(false);
});
