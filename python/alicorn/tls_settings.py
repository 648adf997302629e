"""TLS of a drop-in: the SSL settings, and what the hook `ssl_context` makes of them, in words that the web side knows.

The web side does the handshakes, without Python. So the hook is called once, when settings are read, and what it asks
of the context is written down: certificates, authorities, ciphers, versions.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from typing import Any, Callable, Iterator

from .config import Config, ConfigFailure
from .log import short_traceback

_VERIFY = {ssl.CERT_NONE: "off", ssl.CERT_OPTIONAL: "optional", ssl.CERT_REQUIRED: "on"}
_VERSIONS = (
    ("TLSv1", ssl.TLSVersion.TLSv1, ssl.OP_NO_TLSv1),
    ("TLSv1.1", ssl.TLSVersion.TLSv1_1, ssl.OP_NO_TLSv1_1),
    ("TLSv1.2", ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2),
    ("TLSv1.3", ssl.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3),
)


def read(cfg: Config) -> dict[str, Any] | None:
    """None: plain HTTP. Raises ConfigFailure."""
    if not cfg.is_ssl:
        return None
    if cfg.certfile is None and cfg.hook("ssl_context") is None:
        raise ConfigFailure("keyfile needs certfile: the certificate of that key")
    if cfg.cert_reqs not in _VERIFY:
        raise ConfigFailure(f"cert_reqs must be 0, 1 or 2, not {cfg.cert_reqs}")
    if cfg.hook("ssl_context") is None:
        if cfg.cert_reqs and cfg.ca_certs is None:
            raise ConfigFailure("cert_reqs needs ca_certs: the authorities that clients' certificates may come from")
        return {
            "certificates": [[_absolute(cfg.certfile), _absolute(cfg.keyfile or cfg.certfile)]],
            "authorities": _absolute(cfg.ca_certs),
            "verify": _VERIFY[ssl.VerifyMode(cfg.cert_reqs)],
            "ciphers": cfg.ciphers,
            "protocols": [],
            "curves": None,
            "tickets": True,
            "notes": [],
        }
    return _of_hook(cfg)


def _absolute(path: Any) -> str | None:
    return None if path is None else os.path.abspath(os.fspath(path))


class _Notebook:
    """What was asked of contexts, by context."""

    def __init__(self) -> None:
        self.entries: list[tuple[ssl.SSLContext, str, tuple[Any, ...]]] = []

    def of(self, context: ssl.SSLContext, name: str) -> list[tuple[Any, ...]]:
        return [arguments for owner, called, arguments in self.entries if owner is context and called == name]


_WATCHED = {
    "load_cert_chain": ("certfile", "keyfile", "password"),
    "load_verify_locations": ("cafile", "capath", "cadata"),
    "set_ciphers": ("cipherlist",),
    "set_ecdh_curve": ("name",),
}


@contextlib.contextmanager
def _watching() -> Iterator[_Notebook]:
    """Contexts do not tell afterwards which files they have read: while the hook runs, they are watched."""
    notebook = _Notebook()

    def watch(name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
        original = getattr(ssl.SSLContext, name)

        def watched(context: ssl.SSLContext, *values: Any, **named: Any) -> Any:
            result = original(context, *values, **named)
            given = dict(zip(parameters, values), **named)
            notebook.entries.append((context, name, tuple(given.get(each) for each in parameters)))
            return result

        return watched

    for name, parameters in _WATCHED.items():
        setattr(ssl.SSLContext, name, watch(name, parameters))
    try:
        yield notebook
    finally:
        for name in _WATCHED:
            delattr(ssl.SSLContext, name)


def _of_hook(cfg: Config) -> dict[str, Any]:
    def default_factory() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=cfg.ca_certs)
        context.load_cert_chain(certfile=cfg.certfile, keyfile=cfg.keyfile)
        context.verify_mode = cfg.cert_reqs
        if cfg.ciphers:
            context.set_ciphers(cfg.ciphers)
        return context

    try:
        with _watching() as notebook:
            context = cfg.ssl_context(cfg, default_factory)
    except Exception as error:
        raise ConfigFailure(f"ssl_context: {short_traceback(error)}") from None
    if not isinstance(context, ssl.SSLContext):
        raise ConfigFailure(f"ssl_context must return an ssl.SSLContext, not {type(context).__name__}")
    return _described(context, notebook)


def _described(context: ssl.SSLContext, notebook: _Notebook) -> dict[str, Any]:
    chains = notebook.of(context, "load_cert_chain")
    if not chains:
        raise ConfigFailure("ssl_context: the context has no certificate; call its load_cert_chain")
    if any(password is not None for _, _, password in chains):
        raise ConfigFailure("ssl_context: keys behind a pass phrase cannot be handed to the web side; use one without")
    trusted = notebook.of(context, "load_verify_locations")
    files = [cafile for cafile, _, _ in trusted if cafile is not None]
    if len(files) > 1 or any(capath or cadata for _, capath, cadata in trusted):
        raise ConfigFailure("ssl_context: put the authorities of clients' certificates into one file (cafile)")
    verify = _VERIFY[context.verify_mode]
    if verify != "off" and not files:
        raise ConfigFailure("ssl_context: to verify clients' certificates the context needs load_verify_locations")
    ciphers, curves = notebook.of(context, "set_ciphers"), notebook.of(context, "set_ecdh_curve")
    notes = []
    if context.sni_callback is not None:
        notes.append(
            "ssl_context: its sni_callback is not called: list certificates in an nginx.conf to choose by name"
        )
    return {
        "certificates": [[_absolute(certificate), _absolute(key or certificate)] for certificate, key, _ in chains],
        "authorities": _absolute(files[0]) if files else None,
        "verify": verify,
        "ciphers": ciphers[-1][0] if ciphers else None,
        "protocols": _versions(context),
        "curves": curves[-1][0] if curves else None,
        "tickets": not context.options & ssl.OP_NO_TICKET,
        "notes": notes,
    }


def _versions(context: ssl.SSLContext) -> list[str]:
    """Those between the context's least and most that are not switched off."""
    least, most = context.minimum_version, context.maximum_version
    return [
        name
        for name, version, off in _VERSIONS
        if (least == ssl.TLSVersion.MINIMUM_SUPPORTED or version >= least)
        and (most == ssl.TLSVersion.MAXIMUM_SUPPORTED or version <= most)
        and not context.options & off
    ]
