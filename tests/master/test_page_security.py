"""Page and metrics over TLS, and with a password."""

from __future__ import annotations

import base64
import shutil
import ssl
from contextlib import asynccontextmanager

import aiohttp
import pytest

from common.errors import InvalidSpec
from master.http import start_http
from master.metrics import MasterMetrics
from master.page_security import PageSecurity
from master.status import RunStatus

WAITING = RunStatus("waiting", "2 of 4 workers are ready", -1, "", 0, None, 0.0, (), ())


@asynccontextmanager
async def serving(security: PageSecurity):
    server = await start_http(
        "127.0.0.1:0", MasterMetrics(lambda: WAITING), lambda: WAITING, security=security
    )
    try:
        yield server.address
    finally:
        await server.stop()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def get(url: str, *, user: str = "", password: str = "", trust=None) -> int:
    """Status of the answer; every call makes a connection of its own."""
    headers = {"Authorization": basic(user, password)} if user else {}
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=trust) if trust else True)
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers) as session,
        session.get(url) as answer,
    ):
        return answer.status


async def test_without_the_password_only_the_health_is_told(tmp_path):
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    async with serving(PageSecurity(password_file=file)) as address:
        for path in ("/metrics", "/", "/nothing"):
            assert await get(f"http://{address}{path}") == 401
        assert await get(f"http://{address}/healthz") == 200
        assert await get(f"http://{address}/metrics", user="gradcode", password="wrong") == 401
        assert await get(f"http://{address}/metrics", user="admin", password="correct horse") == 401
        assert await get(f"http://{address}/metrics", user="gradcode", password="correct horse") == 200
        file.write_text("another one")
        assert await get(f"http://{address}/metrics", user="gradcode", password="correct horse") == 401
        assert await get(f"http://{address}/metrics", user="gradcode", password="another one") == 200
        file.write_text("")
        assert await get(f"http://{address}/metrics", user="gradcode", password="another one") == 200


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !", "Bearer Z3JhZGNvZGU6eA==", "Basic Z3JhZGNvZGU6\u00e9"]
)
async def test_what_is_no_password_is_refused(tmp_path, header):
    (tmp_path / "password").write_text("x")
    headers = {"Authorization": header}
    async with (
        serving(PageSecurity(password_file=tmp_path / "password")) as address,
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"http://{address}/metrics") as answer,
    ):
        assert answer.status == 401


async def test_over_tls_a_new_certificate_counts_from_the_next_connection(certificates, tmp_path):
    files = certificates.issue("master", "master", into="page")
    ca = files.ca
    trusted, other = tmp_path / "ca.pem", certificates.folder / "other" / "ca.pem"
    shutil.copy(ca, trusted)
    async with serving(PageSecurity(tls=files)) as address:
        assert await get(f"https://{address}/metrics", trust=trusted) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(f"https://{address}/metrics", trust=other)
        with pytest.raises(aiohttp.ClientError):
            await get(f"http://{address}/metrics")
        certificates.issue("master", "master", by="other", into="page")
        assert await get(f"https://{address}/metrics", trust=other) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(f"https://{address}/metrics", trust=trusted)


async def test_what_cannot_be_used_is_told_at_the_start(certificates, tmp_path):
    (tmp_path / "empty").write_text(" \n")
    for security, said in (
        (
            PageSecurity(password_file=tmp_path / "none"),
            "--metrics-password-file: must be a file that can be read",
        ),
        (PageSecurity(password_file=tmp_path / "empty"), "--metrics-password-file: must hold one line"),
        (PageSecurity(tls=certificates.issue("worker", "worker-1")), "unsuitable certificate purpose"),
    ):
        with pytest.raises(InvalidSpec, match=said):
            async with serving(security):
                pass
