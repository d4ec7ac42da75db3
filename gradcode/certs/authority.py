"""A certificate authority in a folder, and the certificates that it issues.

Who may do what stands in a certificate's DNS names: ``worker-*`` may work, ``operator`` and ``operator-*``
may operate. A master's certificate carries the names by which it is dialed. Only a master's certificate may
serve, and it may not dial; those of workers and operators may dial, and not serve.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.errors import InvalidSpec
from common.tls import CA, CERTIFICATE, KEY, OPERATOR, WORKER_PREFIX, Roles

AUTHORITY_KEY = "ca-key.pem"
"""The authority's own key; it never leaves the authority's folder."""

ROLES = ("master", "worker", "operator")
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
BACKDATED = datetime.timedelta(minutes=5)
"""Clocks of two machines may differ by so much."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9*])?")
_EXTENDED = {
    "master": ExtendedKeyUsageOID.SERVER_AUTH,
    "worker": ExtendedKeyUsageOID.CLIENT_AUTH,
    "operator": ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate that is wanted.

    Attributes:
        role: master, worker or operator.
        name: of a worker ``worker-...``, where a last ``*`` stands for any rest; of an operator ``operator``
            or ``operator-...``; of a master a name that it is dialed by.
        lifetime: from now on.
        hosts: further names and IP addresses that a master is dialed by.
    """

    role: str
    name: str
    lifetime: datetime.timedelta
    hosts: Sequence[str] = ()

    def check(self) -> None:
        """Refuse what no master would accept.

        Raises:
            InvalidSpec: another role, a name that does not fit the role, a lifetime that is none.
        """
        if self.role not in ROLES:
            raise InvalidSpec("--role", f"must be one of {', '.join(ROLES)}", self.role)
        star = self.name.find("*")
        if star >= 0 and (self.role != "worker" or star != len(self.name) - 1):
            raise InvalidSpec("--name", "may have a * only at the end of a worker's name", self.name)
        for option, each in (("--name", self.name), *(("--host", host) for host in self.hosts)):
            if not _is_address(each) and not (_NAME.fullmatch(each) and len(each) <= 200):
                raise InvalidSpec(option, "must be letters, digits, dots, colons and hyphens", each)
        if self.role == "worker" and not self.name.startswith(WORKER_PREFIX):
            raise InvalidSpec("--name", f"must begin with {WORKER_PREFIX} for a worker", self.name)
        if self.role == "operator" and self.name.partition("-")[0] != OPERATOR:
            raise InvalidSpec("--name", "must be operator or begin with operator- for an operator", self.name)
        if self.hosts and self.role != "master":
            raise InvalidSpec("--host", "is for a master's certificate", self.hosts[0])
        if self.lifetime <= datetime.timedelta(0):
            raise InvalidSpec("--days", "must be above 0", self.lifetime / datetime.timedelta(days=1))


def now() -> datetime.datetime:
    """The time, with its zone."""
    return datetime.datetime.now(datetime.UTC)


def make_authority(folder: Path, name: str, lifetime: datetime.timedelta) -> None:
    """Make an authority in ``folder``: ``ca.pem`` for everybody, and ``ca-key.pem`` for nobody else.

    Raises:
        InvalidSpec: there is one already, or the folder cannot be written to.
    """
    if (folder / AUTHORITY_KEY).exists() or (folder / CA).exists():
        raise InvalidSpec("DIR", "must not hold an authority already", str(folder))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _usage(signs=True)
    certificate = (
        _builder(subject, subject, key.public_key(), lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder, {AUTHORITY_KEY: _key_bytes(key), CA: _pem(certificate)})


class Authority:
    """The authority in a folder.

    Args:
        folder: as `make_authority` leaves it.

    Raises:
        InvalidSpec: there is none in it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._pem = (folder / CA).read_bytes()
            self._certificate = x509.load_pem_x509_certificate(self._pem)
            key = serialization.load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), None)
        except OSError as error:
            rule = f"must be a folder made by gradcode certs init ({error.strerror})"
            raise InvalidSpec("DIR", rule, str(folder)) from None
        except (ValueError, TypeError):
            raise InvalidSpec("DIR", f"must hold PEM in {CA} and {AUTHORITY_KEY}", str(folder)) from None
        if key.public_key() != self._certificate.public_key() or not isinstance(
            key, ec.EllipticCurvePrivateKey
        ):
            raise InvalidSpec("DIR", f"must hold the key of {CA} in {AUTHORITY_KEY}", str(folder))
        self._key = key

    def issue(self, wanted: Wanted, out: Path) -> x509.Certificate:
        """Write ``ca.pem``, ``cert.pem`` and ``key.pem`` of a new certificate into ``out``.

        Raises:
            InvalidSpec: what is wanted cannot be, or ``out`` cannot be written to.
        """
        wanted.check()
        names = [wanted.name, *wanted.hosts]
        if wanted.role == "master":
            names += [each for each in LOCAL_HOSTS if each not in names]
        usage = x509.ExtendedKeyUsage([_EXTENDED[wanted.role]])
        return self._sign(wanted.name, [_general(each) for each in names], usage, wanted.lifetime, out)

    def rotate(self, out: Path) -> x509.Certificate:
        """Issue anew what is in ``out``, with a new key and the same names and lifetime, from now on.

        Raises:
            InvalidSpec: there is no certificate in it, or it cannot be written to.
        """
        old = read_certificate(out)
        names = list(old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        usage = old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        common = old.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(common[0].value) if common else str(names[0].value)
        return self._sign(name, names, usage, lifetime_of(old), out)

    def _sign(
        self,
        name: str,
        names: Sequence[x509.GeneralName],
        usage: x509.ExtendedKeyUsage,
        lifetime: datetime.timedelta,
        out: Path,
    ) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        ours = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            _builder(subject, self._certificate.subject, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        _write(out, {KEY: _key_bytes(key), CERTIFICATE: _pem(certificate), CA: self._pem})
        return certificate


def read_certificate(folder: Path) -> x509.Certificate:
    """The certificate in a folder that `Authority.issue` wrote, or in a file.

    Raises:
        InvalidSpec: there is none.
    """
    path = folder / CERTIFICATE if folder.is_dir() else folder
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except OSError as error:
        raise InvalidSpec(
            "certificate", f"must be a file that can be read ({error.strerror})", str(path)
        ) from None
    except (ValueError, x509.ExtensionNotFound):
        raise InvalidSpec(
            "certificate", "must be one that gradcode certs issued, in PEM", str(path)
        ) from None
    return certificate


def issue_into(folder: Path, wanted: Wanted, out: Path) -> str:
    """Issue a certificate by the authority in ``folder``; says what, in one line.

    Raises:
        InvalidSpec: as `Authority` and `Authority.issue`.
    """
    return _told(Authority(folder).issue(wanted, out), out)


def rotate_in(folder: Path, out: Path, only_due: bool) -> str:
    """Issue anew what is in ``out``, or only if that is due; says what, in one line.

    Raises:
        InvalidSpec: as `Authority` and `Authority.rotate`.
    """
    authority, old = Authority(folder), read_certificate(out)
    if only_due and not is_due(old, now()):
        return f"{out}: not due before {due_at(old):%Y-%m-%d %H:%M} UTC"
    return _told(authority.rotate(out), out)


def _told(certificate: x509.Certificate, out: Path) -> str:
    until = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    return f"{out}: {', '.join(names_in(certificate))}, until {until}"


def names_in(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a certificate is for."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(each.value) for each in found]


def role_of(certificate: x509.Certificate) -> str:
    """Master, worker or operator; several with a plus, or a dash for none."""
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    roles = Roles.of(names_in(certificate))
    is_client = ExtendedKeyUsageOID.CLIENT_AUTH in usage
    found = [
        ("master", ExtendedKeyUsageOID.SERVER_AUTH in usage),
        ("worker", is_client and bool(roles.worker_names)),
        ("operator", is_client and roles.operator),
    ]
    return "+".join(role for role, holds in found if holds) or "-"


def lifetime_of(certificate: x509.Certificate) -> datetime.timedelta:
    """For how long it was issued."""
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc - BACKDATED


def due_at(certificate: x509.Certificate) -> datetime.datetime:
    """When a third of its lifetime will be left."""
    return certificate.not_valid_after_utc - lifetime_of(certificate) / 3


def is_due(certificate: x509.Certificate, at: datetime.datetime) -> bool:
    """Whether less than a third of its lifetime is left."""
    return at > due_at(certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    begin = now().replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - BACKDATED)
        .not_valid_after(begin + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _general(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(text)) if _is_address(text) else x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files one by one, each at once; keys for the owner only."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            fresh = folder / f".{name}.new"
            fresh.unlink(missing_ok=True)
            mode = 0o600 if "key" in name else 0o644
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(folder / name)
    except OSError as error:
        rule = f"must be a folder that can be written to ({error.strerror})"
        raise InvalidSpec("--out", rule, str(folder)) from None
