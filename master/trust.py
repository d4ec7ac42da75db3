"""The master's certificates: what it shows, whom it trusts, and how handshakes that fail are counted."""

from __future__ import annotations

import datetime
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from common.errors import InvalidSpec, ProtocolError
from common.tls import TlsFiles, check_server

HANDSHAKE_SECONDS = 10.0
"""A connection over which no call came for so long has failed its handshake."""
LOOK_SECONDS = 0.5
"""Between two looks at the files for links that are open; at a handshake they are always looked at."""
MAX_KNOWN = 10_000
"""Callers' addresses and certificates that are remembered."""

log = structlog.get_logger("gradcode.master")


def utc_now() -> datetime.datetime:
    """The time that certificates are held against."""
    return datetime.datetime.now(datetime.UTC)


class Trust:
    """What a master shows and trusts, from files that may change while it runs.

    Files that cannot be used are looked past, with a warning, until they can.

    Args:
        files: the master's. begun: told of every handshake that begins, from a thread of gRPC's own.
        clock: monotonic seconds.

    Raises:
        InvalidSpec: a master cannot serve with them.
    """

    def __init__(
        self,
        files: TlsFiles,
        begun: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._clock = clock
        self._looked_at = clock()
        self._begun = begun
        self._lock = threading.Lock()
        self._stamp = files.stamp
        self._failed, self._n_failed = self._stamp, 0
        self._load()
        self._given = self._configuration

    def _load(self) -> None:
        check_server(self._files)
        authority, certificate, key = self._files.read()
        self._authorities = x509.load_pem_x509_certificates(authority)
        self._valid: OrderedDict[bytes, datetime.datetime] = OrderedDict()
        self._configuration = grpc.ssl_server_certificate_configuration([(key, certificate)], authority)

    def credentials(self) -> grpc.ServerCredentials:
        """For a server's port; looks at the files at every handshake."""
        fetch: Any = self._handshake  # None for no change is allowed, though the stubs do not know it
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, fetch, require_client_authentication=True
        )

    def _handshake(self) -> grpc.ServerCertificateConfiguration | None:
        self._begun()
        with self._lock:
            self._refresh()
            if self._configuration is self._given:
                return None
            self._given = self._configuration
            return self._configuration

    def _refresh(self) -> None:
        seen = self._files.stamp
        if seen == self._stamp:
            return
        try:
            self._load()
        except InvalidSpec as error:
            # One of two files may have been written just now and the other not yet: told at the second look.
            self._n_failed = self._n_failed + 1 if seen == self._failed else 1
            self._failed = seen
            if self._n_failed == 2:
                log.warning("the new certificates cannot be used; the former ones go on", reason=str(error))
            return
        self._stamp = seen
        log.info("new certificates are in use")

    def check(self, certificate: bytes) -> None:
        """See whether a caller's certificate, which gRPC took at the handshake, still holds.

        Args:
            certificate: in PEM.

        Raises:
            ProtocolError: ``expired``: it has, or its authority is trusted no more.
        """
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_SECONDS:
                self._looked_at = self._clock()
                self._refresh()
            until = self._valid.get(certificate)
            if until is None:
                until = self._judged(certificate)
        if utc_now() > until:
            raise ProtocolError("expired", "this certificate has expired")

    def _judged(self, pem: bytes) -> datetime.datetime:
        certificate = x509.load_pem_x509_certificate(pem)
        if not any(_issued(certificate, each) for each in self._authorities):
            raise ProtocolError("expired", "the authority of this certificate is trusted no more")
        self._valid[pem] = certificate.not_valid_after_utc
        if len(self._valid) > MAX_KNOWN:
            self._valid.popitem(last=False)
        return certificate.not_valid_after_utc


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


class Handshakes:
    """Counts handshakes that came to nothing. gRPC tells of none that fails: but of each that begins, and of
    calls; a connection that no call follows within HANDSHAKE_SECONDS has failed.

    Args:
        failed: told of every one, in the thread that calls `sweep` or `seen`. clock: monotonic seconds.
    """

    def __init__(self, failed: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._failed = failed
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: deque[float] = deque(maxlen=10 * MAX_KNOWN)
        self._known: OrderedDict[str, None] = OrderedDict()

    def begun(self) -> None:
        """A handshake begins; from any thread."""
        with self._lock:
            self._begun.append(self._clock())

    def seen(self, peer: str) -> None:
        """A call came from this address: the handshake of its connection went well."""
        self.sweep()
        with self._lock:
            if peer in self._known:
                self._known.move_to_end(peer)
                return
            self._known[peer] = None
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            if self._begun:
                self._begun.popleft()

    def sweep(self) -> None:
        """Count those that are overdue."""
        overdue = 0
        with self._lock:
            while self._begun and self._clock() - self._begun[0] > HANDSHAKE_SECONDS:
                self._begun.popleft()
                overdue += 1
        for _ in range(overdue):
            self._failed()
