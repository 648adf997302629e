/** ngx_http_stub_status_module: how many connections and requests there are and were, over all web workers. */
import { Headers } from "../../http/headers.ts";
import type { Reply } from "../../http/message.ts";
import type { Counters } from "../../shm/counters.ts";
import { context, type Directive } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import type { Handler } from "../pipeline.ts";

const stubStatus: Directive<boolean> = {
  summary: "Answers with the numbers of connections and requests.",
  syntax: "",
  contexts: context.server | context.location,
  args: [0, 1],
  initial: false,
  inherit: "unnamed",
  parse: () => true,
};

/** Connections that wait for requests are those of which nothing else is known; one may carry several requests (HTTP/2). */
function connections(counters: Counters) {
  const [active, reading, writing] = [counters.total("active"), counters.total("reading"), counters.total("writing")];
  return { active, reading, writing, waiting: Math.max(active - reading - writing, 0) };
}

function status(counters: Counters): string {
  const { active, reading, writing, waiting } = connections(counters);
  const totals = `${counters.total("accepted")} ${counters.total("handled")} ${counters.total("requests")}`;
  return `Active connections: ${active} \nserver accepts handled requests\n ${totals} \nReading: ${reading} Writing: ${writing} Waiting: ${waiting} \n`;
}

const answerWith =
  (counters: Counters): Handler =>
  ({ method }): Reply => {
    if (method !== "GET" && method !== "HEAD") return errorReply(405);
    const bytes = Buffer.from(status(counters));
    const headers = Headers.of(["Content-Type", "text/plain"], ["Content-Length", String(bytes.length)]);
    return { head: { status: 200, headers }, body: { kind: "bytes", bytes } };
  };

const countersKey = Symbol("stub_status");

const variable = (summary: string, name: keyof ReturnType<typeof connections>) => ({
  summary,
  plain: true,
  get(exchange: Exchange): string | undefined {
    const counters = exchange.location.facts?.get(countersKey) as Counters | undefined;
    return counters === undefined ? undefined : String(connections(counters)[name]);
  },
});

export const stubStatusModule = defineModule({
  name: "stub_status",
  directives: { stub_status: stubStatus },
  variables: {
    connections_active: variable("Connections of clients.", "active"),
    connections_reading: variable("Connections on which a request's head is arriving.", "reading"),
    connections_writing: variable("Requests that are being answered.", "writing"),
    connections_waiting: variable("Connections that wait for a request.", "waiting"),
  },
  compile({ stub_status }, { runtime: { counters } }) {
    return { facts: [countersKey, counters], content: stub_status ? answerWith(counters) : undefined };
  },
});
