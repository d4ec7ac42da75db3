"""TLS between master, workers and operators: the files that each holds, who a certificate is for, and why a
handshake fails.

Standard library only: a worker reads its own certificate by shaking hands with itself in memory, which also
tells whether anybody else would take it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.errors import InvalidSpec
from common.watched import Stamp, stamp

CA, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
"""The files of a folder given as ``--tls``, as ``gradcode certs issue`` writes them."""
_NAMES = ((CA, CERTIFICATE, KEY), ("ca.crt", "tls.crt", "tls.key"))
"""The second row is how Kubernetes names the files of a TLS secret."""

WORKER_PREFIX = "worker-"
OPERATOR = "operator"
PROBE_SECONDS = 3.0
"""So long a handshake may take that is made to learn why another one failed."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificates are; the files may change at any time.

    Attributes:
        ca: whom to trust: one certificate or several. certificate, key: one's own.
        expected_name: what a master's certificate must be for, if it is not the host that is dialed.
    """

    ca: Path
    certificate: Path
    key: Path
    expected_name: str | None = None

    @property
    def stamp(self) -> Stamp:
        """Changes when one of the files does."""
        return stamp(self.ca, self.certificate, self.key)

    def read(self) -> tuple[bytes, bytes, bytes]:
        """What is in the three files: authority, certificate, key.

        Raises:
            InvalidSpec: one of them cannot be read.
        """
        return _read("--tls-ca", self.ca), _read("--tls-cert", self.certificate), _read("--tls-key", self.key)


def tls_files(
    folder: Path | None, ca: Path | None, certificate: Path | None, key: Path | None, name: str | None = None
) -> TlsFiles | None:
    """The files that ``--tls DIR`` or ``--tls-ca``, ``--tls-cert`` and ``--tls-key`` name; None without them.

    Args:
        folder: with ``ca.pem``, ``cert.pem`` and ``key.pem``, or ``ca.crt``, ``tls.crt`` and ``tls.key``.
        ca, certificate, key: the three files, instead of those of the folder.
        name: what the master's certificate must be for, if not the host that is dialed.

    Raises:
        InvalidSpec: some are given and others not, or the folder is none.
    """
    if folder is not None:
        if not folder.is_dir():
            raise InvalidSpec("--tls", f"must be a folder with {CA}, {CERTIFICATE} and {KEY}", str(folder))
        known = next((row for row in _NAMES if (folder / row[1]).exists()), _NAMES[0])
        ca, certificate, key = (
            given or folder / usual for given, usual in zip((ca, certificate, key), known, strict=True)
        )
    given = {"--tls-ca": ca, "--tls-cert": certificate, "--tls-key": key}
    if not any(given.values()):
        if name is not None:
            raise InvalidSpec("--tls-name", "needs --tls or --tls-ca, --tls-cert and --tls-key", name)
        return None
    for option, path in given.items():
        if path is None:
            raise InvalidSpec(option, f"is needed beside {_others(given)}", path)
    assert ca is not None
    assert certificate is not None
    assert key is not None
    return TlsFiles(ca, certificate, key, name)


def _others(given: dict[str, Path | None]) -> str:
    return " and ".join(option for option, path in given.items() if path is not None)


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidSpec(option, f"must be a file that can be read ({error.strerror})", str(path)) from None


# ---- who a certificate is for -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Roles:
    """What the names in a certificate allow.

    Attributes:
        worker_names: names of workers; one that ends in ``*`` stands for all that begin as it does.
        operator: whether it may ask and stop.
    """

    worker_names: tuple[str, ...] = ()
    operator: bool = False

    @staticmethod
    def of(names: Iterable[str]) -> Roles:
        """The roles that DNS names stand for.

        >>> Roles.of(["worker-3", "example.org"])
        Roles(worker_names=('worker-3',), operator=False)
        >>> Roles.of(["operator-anna"]).operator, Roles.of(["operators"]).operator
        (True, False)
        """
        known = tuple(names)
        return Roles(
            tuple(each for each in known if each.startswith(WORKER_PREFIX)),
            any(each.partition("-")[0] == OPERATOR for each in known),
        )

    def may_be(self, name: str) -> bool:
        """Whether a worker with this certificate may have this name.

        >>> [Roles(("worker-3",)).may_be(name) for name in ("worker-3", "worker-33")]
        [True, False]
        >>> Roles(("worker-a*",)).may_be("worker-a7"), Roles(("worker-a*",)).may_be("worker-b")
        (True, False)
        """
        return any(
            name.startswith(each[:-1]) if each.endswith("*") else name == each for each in self.worker_names
        )

    def default_name(self, unique: str) -> str | None:
        """A worker's name when none is given; ``unique`` stands for a ``*``. None when it may not work.

        >>> Roles(("worker-*",)).default_name("host:1"), Roles(("worker-7",)).default_name("host:1")
        ('worker-host:1', 'worker-7')
        """
        if not self.worker_names:
            return None
        first = self.worker_names[0]
        return f"{first[:-1]}{unique}" if first.endswith("*") else first


def own_roles(files: TlsFiles) -> Roles:
    """What a worker's or operator's own certificate allows.

    Raises:
        InvalidSpec: a file cannot be read, the key is another one's, or the certificate is not one that this
            authority has issued for this, now.
    """
    return Roles.of(_names(_tried(files, serves=False)))


def check_server(files: TlsFiles) -> None:
    """See whether a master can serve with these files.

    Raises:
        InvalidSpec: as `own_roles`.
    """
    _tried(files, serves=True)


def _names(seen: dict[str, object]) -> list[str]:
    found = seen.get("subjectAltName", ())
    assert isinstance(found, tuple)
    return [str(value) for kind, value in found if kind == "DNS"]


def _tried(files: TlsFiles, serves: bool) -> dict[str, object]:
    """What the other side sees of one's own certificate, after a handshake in memory."""
    files.read()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    checking = client if serves else server
    client.verify_mode = ssl.CERT_REQUIRED if serves else ssl.CERT_NONE
    server.verify_mode = ssl.CERT_NONE if serves else ssl.CERT_REQUIRED
    try:
        checking.load_verify_locations(files.ca)
    except (ssl.SSLError, OSError):
        raise InvalidSpec("--tls-ca", "must hold certificates in PEM", str(files.ca)) from None
    try:
        for context in (server, client):
            context.load_cert_chain(files.certificate, files.key)
    except (ssl.SSLError, OSError) as error:
        rule = "must hold a certificate in PEM, and --tls-key its key"
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            rule = "must be the certificate of the key in --tls-key"
        raise InvalidSpec("--tls-cert", rule, str(files.certificate)) from None
    try:
        return _shaken(server, client, serves)
    except ssl.SSLCertVerificationError as error:
        rule = f"must be valid now, for this use, and issued by --tls-ca ({error.verify_message})"
        raise InvalidSpec("--tls-cert", rule, str(files.certificate)) from None
    except ssl.SSLError as error:
        raise InvalidSpec("--tls-cert", f"must be usable ({error.reason})", str(files.certificate)) from None


def _shaken(server: ssl.SSLContext, client: ssl.SSLContext, serves: bool) -> dict[str, object]:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True))
    open_ends = list(ends)
    while open_ends:
        for end in tuple(open_ends):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                open_ends.remove(end)
    seen = ends[0 if serves else 1].getpeercert()
    assert seen is not None
    return dict(seen)


# ---- why a handshake fails --------------------------------------------------------------------------------

_EXPIRED, _NOT_YET, _WRONG_HOST = (10,), (9,), (62, 64)
_REFUSED = (
    "the master refuses this certificate: it trusts another authority, "
    "or by its clock the certificate has expired"
)
_WANTED = "the master speaks TLS: give --tls, with a certificate that its authority issued"


def trouble(host: str, port: int, files: TlsFiles | None, seconds: float = PROBE_SECONDS) -> str | None:
    """Why no handshake with the master comes about, in one line; None if that is not the trouble.

    gRPC tells only that nobody is available, whatever was wrong with a certificate. Blocks, for at most
    ``seconds``.

    Args:
        host, port: where the master listens.
        files: what was shown to it; None for a call without TLS.
    """
    if files is None:
        return _speaks_tls(host, port, seconds)
    try:
        own_roles(files)
    except InvalidSpec as error:
        return str(error)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.ca)
    context.load_cert_chain(files.certificate, files.key)
    return _handshake(host, port, context, files.expected_name or host, seconds)


def _handshake(host: str, port: int, context: ssl.SSLContext, name: str, seconds: float) -> str | None:
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            return _REFUSED if _hangs_up(secured) else None
    except ssl.SSLCertVerificationError as error:
        return _mistrust(error, name)
    except ssl.SSLError as error:
        return _broken(error)
    except OSError:
        return None


def _hangs_up(secured: ssl.SSLSocket) -> bool:
    """Whether a server refuses: it just hangs up, after the client has taken the handshake for done; one that
    does not refuse has settings to send."""
    try:
        return not secured.recv(1)
    except (ConnectionResetError, ssl.SSLError):
        return True


def _mistrust(error: ssl.SSLCertVerificationError, name: str) -> str:
    if error.verify_code in _EXPIRED:
        return "the master's certificate has expired"
    if error.verify_code in _NOT_YET:
        return "the master's certificate is not valid yet: look at the clocks"
    if error.verify_code in _WRONG_HOST:
        return f"the master's certificate is not for {name}: dial a name that it has, or give --tls-name"
    return f"the master's certificate is not of the authority in --tls-ca ({error.verify_message})"


def _broken(error: ssl.SSLError) -> str | None:
    reason = error.reason or ""
    if "EOF" in reason:
        return None  # too busy, or on its way out
    if "WRONG_VERSION_NUMBER" in reason or "HTTP" in reason:
        return "what listens there speaks no TLS"
    return f"the TLS handshake fails ({reason.lower().replace('_', ' ') or error})"


def _speaks_tls(host: str, port: int, seconds: float) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return _WANTED
    except OSError:
        return None
