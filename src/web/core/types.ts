/** Which media type a file's name stands for: `types`, `default_type`. */
import { ConfigError, type Statement } from "../../config/statement.ts";
import { type Conf, type Directive, everywhere, text } from "../directive.ts";

/** Extension, in lower case → media type. */
type Types = ReadonlyMap<string, string>;

// What a server knows that is told nothing.
const initial: Types = new Map([
  ["html", "text/html"],
  ["gif", "image/gif"],
  ["jpg", "image/jpeg"],
]);

const types: Directive<Types> = {
  summary: "Media types and the extensions of file names that stand for them.",
  syntax: "{ type extension …; … }",
  contexts: everywhere,
  args: 0,
  initial,
  initialText: "{ text/html html; image/gif gif; image/jpeg jpg; }",
  ownBlock: true,
  parse({ block = [] }, before = new Map()) {
    const all = new Map(before);
    for (const each of block) addType(all, each);
    return all;
  },
};

function addType(all: Map<string, string>, { name, args, at, block }: Statement): void {
  if (block !== undefined) throw new ConfigError(`unexpected "{"`, at);
  if (args.length === 0) throw new ConfigError("invalid number of arguments in types block", at);
  for (const extension of args) all.set(extension.toLowerCase(), name);
}

export const typeDirectives = {
  types,
  default_type: text({
    contexts: everywhere,
    initial: "text/plain",
    initialText: "text/plain",
    summary: "The media type of names without a known extension.",
    syntax: "mime-type",
  }),
};

/** The media type of a path, by its name's extension. */
export function contentTypes({ types: known, default_type }: Conf<typeof typeDirectives>): (path: string) => string {
  return (path) => {
    const dot = path.lastIndexOf(".");
    // A dot at the beginning of a name makes it hidden; what follows is no extension.
    if (dot < 1 || path[dot - 1] === "/" || path.includes("/", dot)) return default_type;
    return known.get(path.slice(dot + 1).toLowerCase()) ?? default_type;
  };
}
