/** argv → which process am I: a command line with its master, or a web worker. Each loads only what it needs. */
export {};

const [command = "", ...rest] = process.argv.slice(2);

if (command === "--web-worker") (await import("./worker/worker.ts")).runWebWorker();
else if (command === "nginx") await (await import("./cli/nginx.ts")).main(rest);
else if (command === "gunicorn") await (await import("./cli/gunicorn.ts")).main(rest);
else if (command === "ctl") await (await import("./cli/ctl.ts")).main(rest);
else await (await import("./cli/zero.ts")).main(process.argv.slice(2));
