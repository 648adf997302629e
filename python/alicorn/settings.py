"""Gunicorn's settings, one row each: flags, help, checks, defaults and the reference page (docs/gunicorn.md) come from here.

Names, flags and defaults are Gunicorn 26.1's. `note` says what applies instead, where a setting has no effect of its own.
"""

from __future__ import annotations

import os
from typing import Any, Callable, NamedTuple

from . import validators as v


class Setting(NamedTuple):
    name: str
    section: str
    flags: tuple[str, ...]
    validate: Callable[[Any], Any]
    default: Any
    summary: str
    # How the command line reads it: "text", "number", "any_number" (also octal), "flag", "off" (a flag that stores
    # False), "list" (may be repeated), "mode" (a flag whose value may be left out).
    form: str = "text"
    metavar: str | None = None
    note: str = ""

    @property
    def is_hook(self) -> bool:
        return self.section in ("Server Hooks", "Dirty Arbiter Hooks")


class FromEnvironment(NamedTuple):
    """A default that is another one on each machine."""

    read: Callable[[], Any]


ROWS: list[Setting] = []


def _section(section: str) -> Callable[..., None]:
    def row(name: str, flags: str, validate: Any, default: Any, summary: str, *rest: Any, note: str = "") -> None:
        ROWS.append(Setting(name, section, tuple(flags.split()), validate, default, summary, *rest, note=note))

    return row


def _control_socket() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return os.path.join(runtime, "gunicorn.ctl") if runtime else os.path.expanduser("~/.gunicorn/gunicorn.ctl")


def _bind() -> list[str]:
    return [f"0.0.0.0:{os.environ['PORT']}"] if "PORT" in os.environ else ["127.0.0.1:8000"]


BY_WEB_SIDE = "the web side shakes hands as it reads, and no worker waits for it"
H2_OWN = "the web side has its own measure"
LATER_ASGI = "there are no ASGI workers yet"
NO_DIRTY = "there are no dirty arbiters"

row = _section("Config File")
row("config", "-c --config", v.string, "./gunicorn.conf.py", "The configuration file: PATH, file:PATH or python:MODULE.", "text", "CONFIG")  # fmt: skip
row("wsgi_app", "", v.string, None, "The application, MODULE:VARIABLE, if the command line does not name it.")

row = _section("Server Socket")
row("bind", "-b --bind", v.strings, FromEnvironment(_bind), "Where to listen: HOST, HOST:PORT, unix:PATH or fd://N. May be repeated.", "list", "ADDRESS")  # fmt: skip
row("backlog", "--backlog", v.positive, 2048, "How many connections may wait to be accepted.", "number", "INT")

row = _section("Worker Processes")
row("workers", "-w --workers", v.positive, FromEnvironment(lambda: int(os.environ.get("WEB_CONCURRENCY", 1))), "How many processes run the application.", "number", "INT")  # fmt: skip
row("worker_class", "-k --worker-class", v.worker_class, "sync", "How a worker runs requests: sync, gthread, gevent, or the dotted path of a class.", "text", "STRING")  # fmt: skip
row("threads", "--threads", v.positive, 1, "How many requests a worker runs at once, in threads.", "number", "INT")
row("worker_connections", "--worker-connections", v.positive, 1000, "How many requests a gevent worker runs at once.", "number", "INT")  # fmt: skip
row("max_requests", "--max-requests", v.positive, 0, "After how many requests a worker is replaced; 0: never.", "number", "INT")  # fmt: skip
row("max_requests_jitter", "--max-requests-jitter", v.positive, 0, "Up to how many more, by chance.", "number", "INT")
row("timeout", "-t --timeout", v.positive, 30, "After how many silent seconds a worker is aborted; 0: never.", "number", "INT")  # fmt: skip
row("graceful_timeout", "--graceful-timeout", v.positive, 30, "How many seconds requests may take to finish at a stop or reload.", "number", "INT")  # fmt: skip
row("keepalive", "--keep-alive", v.positive, 2, "How many seconds an idle connection stays open for another request.", "number", "INT")  # fmt: skip
row("asgi_loop", "--asgi-loop", v.one_of("ASGI loop", "auto", "asyncio", "uvloop"), "auto", "The event loop of ASGI workers.", "text", "STRING", note=LATER_ASGI)  # fmt: skip
row("asgi_lifespan", "--asgi-lifespan", v.one_of("ASGI lifespan mode", "auto", "on", "off"), "auto", "Whether ASGI applications are told of their start and end.", "text", "STRING", note=LATER_ASGI)  # fmt: skip
row("asgi_disconnect_grace_period", "--asgi-disconnect-grace-period", v.positive, 3, "How long an ASGI application may go on without its client.", "number", "INT", note=LATER_ASGI)  # fmt: skip
row("http_parser", "--http-parser", v.one_of("http_parser", "auto", "fast", "python"), "auto", "Which parser reads requests.", "text", "STRING", note="there is one parser, the web side's")  # fmt: skip

row = _section("Security")
row(
    "limit_request_line", "--limit-request-line", v.positive, 4094, "The most bytes of a request line.", "number", "INT"
)
row("limit_request_fields", "--limit-request-fields", v.positive, 100, "The most fields of a request.", "number", "INT")
row("limit_request_field_size", "--limit-request-field_size", v.positive, 8190, "The most bytes of a field.", "number", "INT")  # fmt: skip

row = _section("Debugging")
row("reload", "--reload", v.boolean, False, "Restart workers when the code changes.", "flag")
row("reload_engine", "--reload-engine", v.reload_engine, "auto", "How changes are noticed: auto, poll or inotify.", "text", "STRING")  # fmt: skip
row("reload_extra_files", "--reload-extra-file", v.file_names, [], "Further files, or patterns of files, to watch. May be repeated.", "list", "FILES")  # fmt: skip
row("spew", "--spew", v.boolean, False, "Print every line of Python that is executed.", "flag")
row("check_config", "--check-config", v.boolean, False, "Check the configuration and the application, and exit.", "flag")  # fmt: skip
row("print_config", "--print-config", v.boolean, False, "Print all settings, check them, and exit.", "flag")

row = _section("Server Mechanics")
row("preload_app", "--preload", v.boolean, False, "Load the application before the workers are forked.", "flag")
row("sendfile", "--no-sendfile", v.boolean, None, "Do not use sendfile() for files of the application.", "off", note="the web side sends files as it sees fit")  # fmt: skip
row("reuse_port", "--reuse-port", v.boolean, False, "Give each worker a listening socket of its own.", "flag", note="web workers have sockets of their own anyway")  # fmt: skip
row("chdir", "--chdir", v.directory, FromEnvironment(v.working_directory), "The directory to change to before the application is loaded.", "text", "CHDIR")  # fmt: skip
row("daemon", "-D --daemon", v.boolean, False, "Serve in the background.", "flag")
row("raw_env", "-e --env", v.strings, [], "Environment variables, KEY=VALUE. May be repeated.", "list", "ENV")
row("pidfile", "-p --pid", v.string, None, "The file for the master's process number.", "text", "FILE")
row("worker_tmp_dir", "--worker-tmp-dir", v.string, None, "Where the workers' heartbeat files are.", "text", "DIR", note="heartbeats are in shared memory: there are no such files")  # fmt: skip
row("user", "-u --user", v.user, FromEnvironment(os.geteuid), "Whom workers run as.", "text", "USER")
row("group", "-g --group", v.group, FromEnvironment(os.getegid), "… and in which group.", "text", "GROUP")
row("umask", "-m --umask", v.positive, 0, "The mode bits that Unix sockets do not have.", "any_number", "INT")
row("initgroups", "--initgroups", v.boolean, False, "Give workers all groups of their user.", "flag", note="workers always get the groups of their user, and no others")  # fmt: skip
row("tmp_upload_dir", "", v.string, None, "Where uploads are kept.", note="uploads are kept in files without a name")
row("secure_scheme_headers", "", v.dictionary, {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}, "Fields by which a trusted proxy says that its client came over HTTPS.")  # fmt: skip
row("forwarded_allow_ips", "--forwarded-allow-ips", v.networks, FromEnvironment(lambda: v.networks(os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"))), "Which proxies are trusted; * for all.", "text", "STRING")  # fmt: skip
row("pythonpath", "--pythonpath", v.string, None, "Directories for Python's path, comma-separated.", "text", "STRING")
row("paste", "--paste --paster", v.string, None, "A PasteDeploy file, FILE[#NAME], to load the application from.", "text", "STRING")  # fmt: skip
row("proxy_protocol", "--proxy-protocol", v.proxy_mode, "off", "Whether connections may begin with the PROXY protocol: off, v1, v2 or auto.", "mode", "MODE")  # fmt: skip
row("proxy_allow_ips", "--proxy-allow-from", v.addresses, ["127.0.0.1", "::1"], "From whom the PROXY protocol is accepted.", "text", "STRING")  # fmt: skip
row("protocol", "--protocol", v.string, "http", "What the front speaks: http or uwsgi.", "text", "STRING")
row("uwsgi_allow_ips", "--uwsgi-allow-from", v.addresses, ["127.0.0.1", "::1"], "From whom the uwsgi protocol is accepted.", "text", "STRING")  # fmt: skip
row("raw_paste_global_conf", "--paste-global", v.strings, [], "Global variables of the PasteDeploy file, KEY=VALUE.", "list", "CONF")  # fmt: skip
row("permit_obsolete_folding", "--permit-obsolete-folding", v.boolean, False, "Accept fields that are folded over several lines.", "flag")  # fmt: skip
row("strip_header_spaces", "--strip-header-spaces", v.boolean, False, "Accept spaces between a field's name and its colon.", "flag")  # fmt: skip
row("permit_unconventional_http_method", "--permit-unconventional-http-method", v.boolean, False, "Accept every token as a method.", "flag")  # fmt: skip
row("permit_unconventional_http_version", "--permit-unconventional-http-version", v.boolean, False, "Accept other versions than 1.x.", "flag")  # fmt: skip
row("casefold_http_method", "--casefold-http-method", v.boolean, False, "Put methods into upper case.", "flag")
row("forwarder_headers", "--forwarder-headers", v.upper_separated, ["SCRIPT_NAME", "PATH_INFO"], "Fields with underscores that trusted proxies may send.", "text", "STRING")  # fmt: skip
row("header_map", "--header-map", v.one_of("header map behaviour", "drop", "refuse", "dangerous"), "drop", "What happens to other fields with underscores: drop, refuse or dangerous.", "text", "STRING")  # fmt: skip
row(
    "root_path", "--root-path", v.string, "", "Where an ASGI application is mounted.", "text", "STRING", note=LATER_ASGI
)

row = _section("Logging")
row("accesslog", "--access-logfile", v.string, None, "The access log; - is standard output.", "text", "FILE")
row("disable_redirect_access_to_syslog", "--disable-redirect-access-to-syslog", v.boolean, False, "Keep the access log out of syslog.", "flag")  # fmt: skip
row("access_log_format", "--access-logformat", v.string, '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"', "The form of its lines.", "text", "STRING")  # fmt: skip
row("errorlog", "--error-logfile --log-file", v.string, "-", "The error log; - is standard error.", "text", "FILE")
row("loglevel", "--log-level", v.string, "info", "How much the error log says: debug, info, warning, error or critical.", "text", "LEVEL")  # fmt: skip
row("capture_output", "--capture-output", v.boolean, False, "Write standard output and error to the error log.", "flag")
row("logger_class", "--logger-class", v.class_or_name, "gunicorn.glogging.Logger", "The class of the logger.", "text", "STRING")  # fmt: skip
row("logconfig", "--log-config", v.string, None, "A file for logging.config.fileConfig.", "text", "FILE")
row("logconfig_dict", "", v.dictionary, {}, "A dictionary for logging.config.dictConfig.")
row("logconfig_json", "--log-config-json", v.string, None, "A JSON file with such a dictionary.", "text", "FILE")
row("syslog_addr", "--log-syslog-to", v.string, "udp://localhost:514", "Where syslog is.", "text", "SYSLOG_ADDR")
row("syslog", "--log-syslog", v.boolean, False, "Send the logs to syslog.", "flag")
row("syslog_prefix", "--log-syslog-prefix", v.string, None, "The middle of the tag gunicorn.PREFIX.error.", "text", "SYSLOG_PREFIX")  # fmt: skip
row("syslog_facility", "--log-syslog-facility", v.string, "user", "The facility.", "text", "SYSLOG_FACILITY")
row("enable_stdio_inheritance", "-R --enable-stdio-inheritance", v.boolean, False, "Let a daemon keep standard output and error.", "flag", note="a daemon's standard error is its error log, if that is a file")  # fmt: skip
row("statsd_host", "--statsd-host", v.statsd_address, None, "Where StatsD is: HOST:PORT or unix://PATH.", "text", "STATSD_ADDR")  # fmt: skip
row("dogstatsd_tags", "--dogstatsd-tags", v.string, "", "Tags for each metric, comma-separated.", "text", "DOGSTATSD_TAGS")  # fmt: skip
row("statsd_prefix", "--statsd-prefix", v.string, "", "What stands before the names of metrics.", "text", "STATSD_PREFIX")  # fmt: skip
row("enable_backlog_metric", "--enable-backlog-metric", v.boolean, False, "Send how many requests wait for a free worker.", "flag")  # fmt: skip

row = _section("Process Naming")
row("proc_name", "-n --name", v.string, None, "The name in the list of processes.", "text", "STRING")
row("default_proc_name", "", v.string, "gunicorn", "… if there is none: the application's.")

row = _section("SSL")
row(
    "keyfile",
    "--keyfile",
    v.string,
    None,
    "The file with the key; without it, it is in the certificate's.",
    "text",
    "FILE",
)
row(
    "certfile",
    "--certfile",
    v.string,
    None,
    "Speak HTTPS, with the certificate in this file and those behind it.",
    "text",
    "FILE",
)
row("ssl_version", "--ssl-version", v.anything, 2, "Ignored, as by Gunicorn.", "text", "SSL_VERSION", note="TLS 1.2 and 1.3 are spoken, unless the hook ssl_context says otherwise")  # fmt: skip
row("cert_reqs", "--cert-reqs", v.positive, 0, "Whether clients need certificates: 0, 1 (optional) or 2.", "text", "CERT_REQS")  # fmt: skip
row("ca_certs", "--ca-certs", v.string, None, "Who signs clients' certificates.", "text", "FILE")
row("suppress_ragged_eofs", "--suppress-ragged-eofs", v.boolean, True, "Tolerate connections that end without a word.", "flag", note="connections that end without a word are tolerated anyway")  # fmt: skip
row("do_handshake_on_connect", "--do-handshake-on-connect", v.boolean, False, "Shake hands at once.", "flag", note=BY_WEB_SIDE)  # fmt: skip
row(
    "ciphers",
    "--ciphers",
    v.string,
    None,
    "Which ciphers are used up to TLS 1.2, in OpenSSL's notation.",
    "text",
    "CIPHERS",
)

row = _section("HTTP/2")
row("http_protocols", "--http-protocols", v.protocols, ["h1"], "Which protocols are spoken over TLS: h1, h2; h3 is accepted, and not spoken.", "text", "STRING")  # fmt: skip
row("http2_cleartext", "--http2-cleartext", v.one_of("http2_cleartext mode", "off", "prior-knowledge", "upgrade", "both"), "off", "HTTP/2 without TLS: off, prior-knowledge, upgrade (accepted, as by Gunicorn without effect) or both.", "text", "STRING")  # fmt: skip
row("http2_max_concurrent_streams", "--http2-max-concurrent-streams", v.positive, 100, "How many requests of a connection at once.", "number", "INT")  # fmt: skip
row("http2_initial_window_size", "--http2-initial-window-size", v.positive, 65535, "The window of a new stream.", "number", "INT", note=H2_OWN)  # fmt: skip
row("http2_max_frame_size", "--http2-max-frame-size", v.between(16384, 16777215, "http2_max_frame_size"), 16384, "The largest frame.", "number", "INT", note=H2_OWN)  # fmt: skip
row("http2_max_header_list_size", "--http2-max-header-list-size", v.positive, 65536, "The largest head.", "number", "INT", note=H2_OWN)  # fmt: skip

row = _section("Server Hooks")
row("on_starting", "", v.hook(1), None, "on_starting(server): before the first worker is forked.")
row("on_reload", "", v.hook(1), None, "on_reload(server): after SIGHUP, before new workers are forked.")
row("when_ready", "", v.hook(1), None, "when_ready(server): the sockets are bound.")
row("pre_fork", "", v.hook(2), None, "pre_fork(server, worker): before a worker is forked.")
row("post_fork", "", v.hook(2), None, "post_fork(server, worker): in the worker, before the application is loaded.")
row("post_worker_init", "", v.hook(1), None, "post_worker_init(worker): the application is loaded.")
row("worker_int", "", v.hook(1), None, "worker_int(worker): SIGINT or SIGQUIT, or a reload because of changed code.")
row("worker_abort", "", v.hook(1), None, "worker_abort(worker): SIGABRT, after a timeout.")
row("pre_exec", "", v.hook(1), None, "pre_exec(server): before the program starts itself anew (SIGUSR2).")
row("pre_request", "", v.hook(2), None, "pre_request(worker, req): before a request is given to the application.")
row("post_request", "", v.hook(2, 3, 4), None, "post_request(worker, req, environ, resp): after it.")
row("child_exit", "", v.hook(2), None, "child_exit(server, worker): a worker has ended; in the arbiter.")
row("worker_exit", "", v.hook(2), None, "worker_exit(server, worker): a worker is about to end; in itself.")
row("nworkers_changed", "", v.hook(3), None, "nworkers_changed(server, new, old): how many workers there should be.")
row("on_exit", "", v.hook(1), None, "on_exit(server): all workers have ended.")
row(
    "ssl_context",
    "",
    v.hook(2),
    None,
    "ssl_context(config, default_factory): makes the TLS context; called when settings are read.",
)

row = _section("Dirty Arbiters")
row("dirty_apps", "--dirty-app", v.strings, [], "Applications of dirty workers.", "list", "STRING", note=NO_DIRTY)
row("dirty_workers", "--dirty-workers", v.positive, 0, "How many dirty workers there are.", "number", "INT", note=NO_DIRTY)  # fmt: skip
row("dirty_timeout", "--dirty-timeout", v.positive, 300, "How long a task may take.", "number", "INT", note=NO_DIRTY)
row("dirty_threads", "--dirty-threads", v.positive, 1, "Threads of a dirty worker.", "number", "INT", note=NO_DIRTY)
row("dirty_graceful_timeout", "--dirty-graceful-timeout", v.positive, 30, "How long tasks may take at the end.", "number", "INT", note=NO_DIRTY)  # fmt: skip

row = _section("Dirty Arbiter Hooks")
row("on_dirty_starting", "", v.hook(1), None, "on_dirty_starting(arbiter)", note=NO_DIRTY)
row("dirty_post_fork", "", v.hook(2), None, "dirty_post_fork(arbiter, worker)", note=NO_DIRTY)
row("dirty_worker_init", "", v.hook(1), None, "dirty_worker_init(worker)", note=NO_DIRTY)
row("dirty_worker_exit", "", v.hook(2), None, "dirty_worker_exit(arbiter, worker)", note=NO_DIRTY)

row = _section("Control")
row("control_socket", "--control-socket", v.string, FromEnvironment(_control_socket), "The Unix socket for gunicornc and alicorn ctl.", "text", "PATH")  # fmt: skip
row("control_socket_mode", "--control-socket-mode", v.positive, 0o600, "Its mode.", "any_number", "INT")  # fmt: skip
row("control_socket_disable", "--no-control-socket", v.boolean, False, "Have none.", "flag")

row = _section("Alicorn's own")
row("max_worker_memory", "--max-worker-memory", v.memory, 0, "Replace a worker that has more memory (resident bytes, or 300m, 1g); 0: never.", "text", "SIZE")  # fmt: skip
row("max_worker_age", "--max-worker-age", v.positive, 0, "Replace a worker after so many seconds; 0: never.", "number", "INT")  # fmt: skip
row("max_request_time", "--max-request-time", v.positive, 0, "With threads: a request that runs for longer is stuck, and its worker is replaced; 0: never.", "number", "INT")  # fmt: skip
row("client_disconnected", "--client-disconnected", v.boolean, False, 'Let the application ask environ["alicorn.client_disconnected"]() whether its client is gone.', "flag")  # fmt: skip
row("request_start", "--request-start", v.boolean, False, "Tell the application in X-Request-Start when a request arrived, as monitoring tools expect it.", "flag")  # fmt: skip

BY_NAME = {each.name: each for each in ROWS}


def table() -> str:
    """The rows as JSON, for docs/gunicorn.md."""
    import json

    rows = [
        {
            "name": each.name,
            "section": each.section,
            "flags": each.flags,
            "default": None if isinstance(each.default, FromEnvironment) else each.default,
            "summary": each.summary,
            "note": each.note,
        }
        for each in ROWS
    ]
    return json.dumps(rows)
