/** All cases, in the order of the report. */
import type { Case, GroupFloor } from "./case.ts";
import { accessLog, gzipJson, limitRequests, manyNames } from "./configured.ts";
import { djangoPage } from "./django.ts";
import { gunicornCases } from "./gunicorn.ts";
import { mixedCase } from "./mixed.ts";
import { proxyCases } from "./proxy.ts";
import { secureCases } from "./secure.ts";
import { slowClients } from "./slow.ts";
import { idleConnections, newConnection, staticSizes, staticTogether } from "./static.ts";
import { body10k, echo, hello, wait } from "./wsgi.ts";

// biome-ignore format: one a line, as in the report
export const cases: Case[] = [
  hello,
  body10k,
  echo,
  wait,
  ...gunicornCases,
  mixedCase,
  djangoPage,
  ...staticSizes,
  newConnection,
  idleConnections,
  slowClients,
  manyNames,
  accessLog,
  gzipJson,
  limitRequests,
  ...proxyCases,
  ...secureCases,
];

export const groupFloors: GroupFloor[] = [staticTogether];
