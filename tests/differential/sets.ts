/** Configurations (sets/NAME.conf, on a port of its own each) and what is asked of each. */
import type { Probe } from "./probe.ts";
import { fields } from "./sets/fields.ts";
import { filters } from "./sets/filters.ts";
import { locations } from "./sets/locations.ts";
import { malformed } from "./sets/malformed.ts";
import { proxy } from "./sets/proxy.ts";
import { rewriting } from "./sets/rewriting.ts";
import { staticFiles } from "./sets/static.ts";
import { uris } from "./sets/uris.ts";

export const sets: readonly { readonly name: string; readonly probes: readonly Probe[] }[] = [
  { name: "static", probes: staticFiles },
  { name: "uris", probes: uris },
  { name: "locations", probes: locations },
  { name: "rewriting", probes: rewriting },
  { name: "fields", probes: fields },
  { name: "filters", probes: filters },
  { name: "proxy", probes: proxy },
  { name: "malformed", probes: malformed },
];
