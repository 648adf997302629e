/** How files are looked up: `disable_symlinks`, `open_file_cache` and what belongs to it, `etag`. */
import { ConfigError } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import { type Conf, type Directive, duplicate, everywhere, flag, number, seconds } from "../directive.ts";
import { type FileAccess, type LinkRule, linklessAccess, plainAccess } from "../file_access.ts";
import { cachedAccess, OpenFileCache } from "../open_file_cache.ts";
import type { Template } from "../template.ts";

interface LinksConf {
  readonly refuses: LinkRule["refuses"] | "none";
  readonly from: Template | undefined;
}

const disableSymlinks: Directive<LinksConf> = {
  summary: "Whether files are refused that symbolic links lead to: all, or those whose link belongs to somebody else.",
  syntax: "off | on | if_not_owner [from=part]",
  contexts: everywhere,
  args: [1, 2],
  initial: { refuses: "none", from: undefined },
  initialText: "off",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { name, args, at } = statement;
    let refuses: LinksConf["refuses"] | undefined;
    let from: Template | undefined;
    for (const word of args) {
      if (word === "off") refuses = "none";
      else if (word === "on") refuses = "all";
      else if (word === "if_not_owner") refuses = "foreign";
      else if (word.startsWith("from=")) from = setup.template(word.slice("from=".length), at);
      else throw new ConfigError(`invalid parameter "${word}"`, at);
    }
    if (refuses === undefined) throw new ConfigError(`"${name}" must have "off", "on" or "if_not_owner" parameter`, at);
    if (args.length === 2 && from === undefined) throw new ConfigError(`duplicate parameters "${args.join(" ")}"`, at);
    if (from !== undefined && refuses === "none")
      throw new ConfigError('"from=" cannot be used with "off" parameter', at);
    return { refuses, from };
  },
};

/** undefined: off. */
const openFileCache: Directive<OpenFileCache | undefined> = {
  summary: "Whether what was found out about files, directories and missing names is remembered, and for how many.",
  syntax: "off | max=number [inactive=time]",
  contexts: everywhere,
  args: [1, 2],
  initial: undefined,
  initialText: "off",
  deviation:
    "the content of small files is kept in memory as well; without this directive for a second after a look at the file",
  parse(statement, before) {
    if (before !== undefined || statement.args.filter((word) => word === "off").length > 1) throw duplicate(statement);
    let max = 0;
    let inactive = 60;
    let isOff = false;
    for (const word of statement.args) {
      const [, key, value = ""] = /^(max|inactive)=(.*)$/s.exec(word) ?? [];
      if (word === "off") isOff = true;
      else if (key === "max" && /^\d{1,9}$/.test(value) && Number(value) > 0) max = Number(value);
      else {
        const time = key === "inactive" ? parseTime(value, "s") : undefined;
        if (time === undefined) throw new ConfigError(`invalid "open_file_cache" parameter "${word}"`, statement.at);
        inactive = time;
      }
    }
    if (isOff) return undefined;
    if (max === 0) throw new ConfigError('"open_file_cache" must have the "max" parameter', statement.at);
    return new OpenFileCache(max, inactive * 1000);
  },
};

export const openFileDirectives = {
  disable_symlinks: disableSymlinks,
  open_file_cache: openFileCache,
  open_file_cache_valid: seconds({
    contexts: everywhere,
    initial: 60,
    initialText: "60s",
    summary: "How long what is remembered is believed.",
  }),
  open_file_cache_min_uses: number({
    contexts: everywhere,
    initial: 1,
    initialText: "1",
    summary: "How often a file must have been asked for before that.",
  }),
  open_file_cache_errors: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether failures are remembered as well.",
  }),
  open_file_cache_events: flag({
    contexts: everywhere,
    initial: false,
    summary: "Accepted.",
    deviation: "means a way of the kernel's to tell of changes that Linux does not have",
  }),
  etag: flag({ contexts: everywhere, initial: true, summary: "Whether files have an ETag field." }),
};

/** `Location.fileAccess` of a block. */
export function compileFileAccess(conf: Conf<typeof openFileDirectives>): FileAccess {
  const { refuses, from } = conf.disable_symlinks;
  const rule = refuses === "none" ? undefined : { refuses, from: from?.value ?? (() => "") };
  const access = rule === undefined ? plainAccess : linklessAccess(rule);
  const { open_file_cache: cache } = conf;
  if (cache === undefined) return access;
  return cachedAccess(
    access,
    cache,
    {
      validMs: conf.open_file_cache_valid * 1000,
      minUses: conf.open_file_cache_min_uses,
      errors: conf.open_file_cache_errors,
    },
    rule === undefined ? (_, path) => path : (exchange, path) => `${path}\0${rule.refuses}\0${rule.from(exchange)}`,
  );
}
