/** ngx_http_auth_basic_module: users and passwords from a file (RFC 7617). */
import { dirname, join } from "node:path";
import type { Reply } from "../../http/message.ts";
import { CryptError, verifyPassword } from "../../net/crypt.ts";
import { failureText } from "../../net/libc.ts";
import { type BasicCredentials, basicCredentials } from "../basic_credentials.ts";
import { context, type Directive, duplicate, everywhere, template } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { passwordHashes } from "../password_file.ts";
import type { AccessHandler, Verdict } from "../pipeline.ts";
import type { Template } from "../template.ts";

const contexts = everywhere | context.limitExcept;

interface UserFile {
  readonly path: Template;
  /** Where relative paths begin. */
  readonly directory: string;
}

const userFile: Directive<UserFile | undefined> = {
  summary: "The file of users and the hashes of their passwords; a relative path begins beside the configuration file.",
  syntax: "file",
  contexts,
  args: 1,
  initial: undefined,
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const { file, prefix } = setup.configuration;
    const directory = file === "" ? prefix : dirname(file);
    return { path: setup.template(statement.args[0] ?? "", statement.at), directory };
  },
};

const directives = {
  auth_basic: template({
    contexts,
    initial: undefined,
    initialText: "off",
    syntax: "string | off",
    summary: "Asks for user and password; the text tells the user what for.",
  }),
  auth_basic_user_file: userFile,
};

/** Asks for credentials. The realm may be made of what clients send: it must not end the field (RFC 9110 5.5). */
function challenge({ method }: Exchange, realm: string): Reply {
  const value = `Basic realm="${realm.replace(/[\x00-\x1f\x7f]/g, " ")}"`;
  // RFC 9110 11.7
  return method === "CONNECT"
    ? errorReply(407, ["Proxy-Authenticate", value])
    : errorReply(401, ["WWW-Authenticate", value]);
}

function authenticate(realmOf: Template, { path: pathOf, directory }: UserFile): AccessHandler {
  return (exchange) => {
    const realm = realmOf.value(exchange);
    if (realm === "off") return undefined;
    const credentials = basicCredentials(
      exchange.request.headers.get(exchange.method === "CONNECT" ? "proxy-authorization" : "authorization"),
    );
    if (credentials === undefined) {
      exchange.log("info", "no user/password was provided for basic authentication");
      return challenge(exchange, realm);
    }
    const given = pathOf.value(exchange);
    const path = given.startsWith("/") ? given : join(directory, given);
    const hash = hashOf(exchange, path, credentials.user);
    if (typeof hash !== "string") return hash ?? challenge(exchange, realm);
    return verified(exchange, credentials, hash, realm);
  };
}

/** A user's hash; undefined: there is no such user; a Reply where the file cannot be read. */
function hashOf(exchange: Exchange, path: string, user: string): string | undefined | Reply {
  try {
    const hash = passwordHashes(path).get(user);
    if (hash === undefined) exchange.log("error", `user "${user}" was not found in "${path}"`);
    return hash;
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    exchange.log(isMissing ? "error" : "crit", `open() "${path}" failed (${failureText(error)})`);
    return errorReply(isMissing ? 403 : 500);
  }
}

function verified(
  exchange: Exchange,
  { user, password }: BasicCredentials,
  hash: string,
  realm: string,
): Verdict | Promise<Verdict> {
  const judge = (right: boolean): Verdict => {
    if (right) return "allow";
    exchange.log("error", `user "${user}": password mismatch`);
    return challenge(exchange, realm);
  };
  try {
    const right = verifyPassword(password, hash);
    return right instanceof Promise ? right.then(judge) : judge(right);
  } catch (error) {
    if (!(error instanceof CryptError)) throw error;
    exchange.log("crit", error.message);
    return errorReply(500);
  }
}

export const authBasicModule = defineModule({
  name: "auth_basic",
  directives,
  compile({ auth_basic: realm, auth_basic_user_file: file }) {
    if (realm === undefined || file === undefined || realm.constant === "off") return {};
    return { access: authenticate(realm, file) };
  },
});
