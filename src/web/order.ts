/** The order in which filters see a reply, from the handler to the socket. */
import { notModified } from "./modules/not_modified.ts";
import { range } from "./modules/range.ts";
import type { Filter } from "./pipeline.ts";

/** For files: what the client has already needs no ranges (RFC 9110 13.2.2: preconditions before Range). */
export const staticFilters: readonly Filter[] = [notModified, range];
