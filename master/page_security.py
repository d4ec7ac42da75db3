"""TLS and a password for the address of page and metrics."""

from __future__ import annotations

import base64
import binascii
import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from common.errors import InvalidSpec
from common.tls import TlsFiles, check_server
from common.watched import stamp

USER = "gradcode"
OPEN = "/healthz"
"""Whoever starts a master asks there how it is, and has no password."""

log = structlog.get_logger("gradcode.master")


@dataclass(frozen=True)
class PageSecurity:
    """Who may look at page and metrics.

    Attributes:
        tls: the certificate to serve with, or None for plain HTTP; callers need none of their own.
        password_file: with the password of the user ``gradcode``, or None for everybody.
    """

    tls: TlsFiles | None = None
    password_file: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """For the server's socket; looks at the files at every handshake. None for plain HTTP.

        Raises:
            InvalidSpec: the files cannot be used.
        """
        return None if self.tls is None else _Reloading(self.tls).context

    def middlewares(self) -> list[Middleware]:
        """What sees a request first.

        Raises:
            InvalidSpec: the password cannot be read.
        """
        return [] if self.password_file is None else [_asks_for(_Password(self.password_file))]


class _Reloading:
    """A context that passes handshakes on to a fresh one when the files have changed."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamp = files.stamp
        self.context = self._current = self._load()
        self.context.sni_callback = self._begins

    def _load(self) -> ssl.SSLContext:
        check_server(self._files)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._files.certificate, self._files.key)
        return context

    def _begins(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        seen = self._files.stamp
        if seen != self._stamp:
            try:
                self._current = self._load()
                self._stamp = seen
            except InvalidSpec as error:
                log.warning("the new certificate of the page cannot be used", reason=str(error))
        connection.context = self._current


class _Password:
    """The password in a file; when the file changes, so does the password."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp(path)
        self._password = self._read()

    def _read(self) -> bytes:
        try:
            password = self._path.read_bytes().strip()
        except OSError as error:
            rule = f"must be a file that can be read ({error.strerror})"
            raise InvalidSpec("--metrics-password-file", rule, str(self._path)) from None
        if not password or b"\n" in password:
            raise InvalidSpec("--metrics-password-file", "must hold one line", str(self._path))
        return password

    def is_in(self, header: str) -> bool:
        """Whether an Authorization header carries it."""
        if stamp(self._path) != self._stamp:
            self._stamp = stamp(self._path)
            try:
                self._password = self._read()
            except InvalidSpec as error:
                log.warning("the new password of the page cannot be used", reason=str(error))
        scheme, _, given = header.partition(" ")
        try:
            pair = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            return False
        expected = USER.encode() + b":" + self._password
        return scheme.lower() == "basic" and hmac.compare_digest(pair, expected)


def _asks_for(password: _Password) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == OPEN or password.is_in(request.headers.get("Authorization", "")):
            return await handler(request)
        asked = {"WWW-Authenticate": 'Basic realm="gradcode", charset="UTF-8"'}
        return web.Response(status=401, text="the user is gradcode; a password is needed\n", headers=asked)

    return check
