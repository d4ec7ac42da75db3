"""Certificates for tests, made once a session: an authority, another one, and what they issue."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from unittest import mock

from common.tls import TlsFiles, tls_files
from gradcode.certs import authority
from gradcode.certs.authority import Authority, Wanted, make_authority

DAY = datetime.timedelta(days=1)


class Certificates:
    """Issues certificates below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("ca", "other"):
            make_authority(folder / name, name, 365 * DAY)

    def issue(
        self,
        role: str,
        name: str,
        *hosts: str,
        by: str = "ca",
        lifetime: datetime.timedelta = DAY,
        into: str = "",
    ) -> TlsFiles:
        """The files of a new certificate, trusting the authority that issued it."""
        out = self.folder / (into or f"{by}-{name.replace('*', 'any')}")
        Authority(self.folder / by).issue(Wanted(role, name, lifetime, hosts), out)
        files = tls_files(out, None, None, None)
        assert files is not None
        return files

    def expired(self, role: str, name: str) -> TlsFiles:
        """One that ended yesterday."""
        then = datetime.datetime.now(datetime.UTC) - 2 * DAY
        with mock.patch.object(authority, "now", return_value=then):
            return self.issue(role, name, into=f"expired-{name}")

    def trusting(self, files: TlsFiles, by: str = "ca") -> TlsFiles:
        """The same certificate, trusting an authority that did not issue it."""
        return replace(files, ca=self.folder / by / "ca.pem")
