/** What a client may take of our time and memory: the client_*, keepalive_*, lingering_* and send directives. */
import { ConfigError } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import {
  accepted,
  type Conf,
  choice,
  type Directive,
  duplicate,
  everywhere,
  everywhereIf,
  flag,
  number,
  offset,
  size,
  time,
} from "../directive.ts";
import type { ClientLimits } from "../limits.ts";

/** How long, and what the client is told. */
const keepaliveTimeout: Directive<{ readonly ms: number; readonly hint: number }> = {
  summary: "How long an idle connection stays open; a second time goes into a Keep-Alive field.",
  syntax: "timeout [header_timeout]",
  contexts: everywhere,
  args: [1, 2],
  initial: { ms: 75_000, hint: 0 },
  initialText: "75s",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [ms, hint] = [parseTime(statement.args[0] ?? "", "ms"), parseTime(statement.args[1] ?? "0", "s")];
    if (ms === undefined || hint === undefined)
      throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return { ms, hint };
  },
};

/** A path, and how many levels of directories lie below it. */
const tempPath: Directive<string> = {
  summary: "Where bodies go that are too large for memory.",
  syntax: "path [level1 [level2 [level3]]]",
  contexts: everywhere,
  args: [1, 4],
  initial: "",
  initialText: "client_body_temp",
  deviation: "files are made without a name where the system can; the levels mean nothing then",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    return setup.path(statement.args[0] ?? "");
  },
};

const browsers: Directive<readonly string[]> = {
  summary: "Browsers whose POST connections are not kept.",
  syntax: "none | browser …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: ["msie6"],
  initialText: "msie6",
  parse({ args, at }, before = []) {
    for (const each of args)
      if (each !== "none" && each !== "msie6" && each !== "safari")
        throw new ConfigError(`invalid value "${each}"`, at);
    return [...before, ...args.filter((each) => each !== "none")];
  },
};

const kernelMatter = "the runtime and the kernel do what this asks for, or what is better";

export const limitDirectives = {
  client_body_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long a body may pause.",
  }),
  client_max_body_size: offset({
    contexts: everywhereIf,
    initial: 1024 * 1024,
    initialText: "1m",
    summary: "The largest body that is accepted; 0: every one.",
  }),
  client_body_buffer_size: size({
    contexts: everywhere,
    initial: 16 * 1024,
    initialText: "16k",
    summary: "How much of a body is kept in memory.",
  }),
  client_body_in_file_only: choice(["off", "on", "clean"], {
    contexts: everywhere,
    initial: "off",
    summary: "Whether every body goes to a file.",
  }),
  client_body_in_single_buffer: flag({
    contexts: everywhere,
    initial: false,
    summary: "Accepted.",
    deviation: "a body in memory is one buffer always",
  }),
  client_body_temp_path: tempPath,
  send_timeout: time({
    contexts: everywhere,
    initial: 60_000,
    initialText: "60s",
    summary: "How long a client may not read.",
  }),
  keepalive_timeout: keepaliveTimeout,
  keepalive_requests: number({
    contexts: everywhere,
    initial: 1000,
    initialText: "1000",
    summary: "How many requests a connection may make.",
  }),
  keepalive_time: time({
    contexts: everywhere,
    initial: 3_600_000,
    initialText: "1h",
    summary: "How old a connection may get.",
  }),
  keepalive_min_timeout: time({
    contexts: everywhere,
    initial: 0,
    initialText: "0",
    summary: "How long an idle connection stays open during a graceful stop.",
  }),
  keepalive_disable: browsers,
  lingering_close: choice(["off", "on", "always"], {
    contexts: everywhere,
    initial: "on",
    summary: "Whether more data is read before a connection is closed.",
  }),
  lingering_time: time({
    contexts: everywhere,
    initial: 30_000,
    initialText: "30s",
    summary: "How long data is read before closing.",
  }),
  lingering_timeout: time({
    contexts: everywhere,
    initial: 5_000,
    initialText: "5s",
    summary: "How long one waits for more of it.",
  }),
  reset_timedout_connection: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether connections are reset when a client is too slow.",
  }),
  sendfile: flag({
    contexts: everywhereIf,
    initial: true,
    initialText: "off",
    summary: "Whether the kernel copies files into sockets.",
    deviation: "done where it is faster, whatever is said here",
  }),
  sendfile_max_chunk: size({
    contexts: everywhere,
    initial: 2 * 1024 * 1024,
    initialText: "2m",
    summary: "Accepted.",
    deviation: kernelMatter,
  }),
  subrequest_output_buffer_size: size({
    contexts: everywhere,
    initial: 4096,
    initialText: "4k|8k",
    summary: "How large the response of a part may be that is kept in memory.",
  }),
  tcp_nopush: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "on | off",
    deviation: "head and body leave in one write",
  }),
  tcp_nodelay: accepted({ contexts: everywhere, args: 1, syntax: "on | off", deviation: "always on" }),
  send_lowat: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: kernelMatter }),
  postpone_output: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "size",
    deviation: "one write per turn of the event loop",
  }),
  output_buffers: accepted({ contexts: everywhere, args: 2, syntax: "number size", deviation: kernelMatter }),
  aio: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "on | off | threads[=pool]",
    deviation: "reads from a disk happen in the runtime's threads",
  }),
  aio_write: accepted({ contexts: everywhere, args: 1, syntax: "on | off", deviation: kernelMatter }),
  directio: accepted({ contexts: everywhere, args: 1, syntax: "size | off", deviation: kernelMatter }),
  directio_alignment: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: kernelMatter }),
  read_ahead: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: kernelMatter }),
};

/** The limits of a block. `headerTimeoutMs`: client_header_timeout, which servers have; `prefix`: where relative paths begin. */
export function clientLimits(
  conf: Conf<typeof limitDirectives>,
  headerTimeoutMs: number,
  prefix: string,
): ClientLimits {
  return {
    headerTimeoutMs,
    bodyTimeoutMs: conf.client_body_timeout,
    maxBodyBytes: conf.client_max_body_size,
    bodyBufferBytes: conf.client_body_buffer_size,
    bodyInFile: conf.client_body_in_file_only,
    bodyTempPath: conf.client_body_temp_path === "" ? `${prefix}client_body_temp` : conf.client_body_temp_path,
    sendTimeoutMs: conf.send_timeout,
    keepAliveTimeoutMs: conf.keepalive_timeout.ms,
    keepAliveHint: conf.keepalive_timeout.hint,
    keepAliveRequests: conf.keepalive_requests,
    keepAliveMs: conf.keepalive_time,
    keepAliveMinMs: conf.keepalive_min_timeout,
    keepAliveDisabled: conf.keepalive_disable,
    lingeringClose: conf.lingering_close,
    lingeringTimeMs: conf.lingering_time,
    lingeringTimeoutMs: conf.lingering_timeout,
    resetTimedOut: conf.reset_timedout_connection,
    subrequestBytes: conf.subrequest_output_buffer_size,
  };
}
