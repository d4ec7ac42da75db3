"""What a peer finds out about its own certificate, and why a handshake fails."""

from __future__ import annotations

import shutil
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import InvalidSpec
from common.tls import Roles, check_server, own_roles, tls_files, trouble


def test_a_worker_reads_its_own_name(certificates):
    assert own_roles(certificates.issue("worker", "worker-3")) == Roles(("worker-3",))
    assert own_roles(certificates.issue("operator", "operator-anna")) == Roles((), True)


def test_a_master_may_serve_and_others_may_not(certificates):
    master, worker = certificates.issue("master", "master"), certificates.issue("worker", "worker-3")
    check_server(master)
    with pytest.raises(InvalidSpec, match="unsuitable certificate purpose"):
        check_server(worker)
    with pytest.raises(InvalidSpec, match="unsuitable certificate purpose"):
        own_roles(master)


def test_what_nobody_would_take_is_told_before_anybody_is_asked(certificates, tmp_path):
    worker = certificates.issue("worker", "worker-3")
    for files, said in (
        (certificates.trusting(worker, "other"), "issued by --tls-ca"),
        (certificates.expired("worker", "worker-late"), "certificate has expired"),
        (replace(worker, key=certificates.issue("worker", "worker-4").key), "the certificate of the key"),
        (replace(worker, ca=worker.key), "--tls-ca: must hold certificates in PEM"),
        (replace(worker, key=tmp_path / "none"), "--tls-key: must be a file that can be read"),
        (replace(worker, certificate=worker.key), "--tls-cert: must hold a certificate in PEM"),
    ):
        with pytest.raises(InvalidSpec, match=said):
            own_roles(files)


def test_the_files_of_a_mounted_secret_are_found_by_their_usual_names(certificates, tmp_path):
    worker = certificates.issue("worker", "worker-3")
    for source, name in ((worker.ca, "ca.crt"), (worker.certificate, "tls.crt"), (worker.key, "tls.key")):
        shutil.copy(source, tmp_path / name)
    files = tls_files(tmp_path, None, None, None)
    assert files is not None
    assert files.ca.name == "ca.crt"
    assert own_roles(files) == own_roles(worker)
    apart = tls_files(tmp_path, worker.ca, None, None)
    assert apart == replace(files, ca=worker.ca)


def test_a_secret_whose_link_is_turned_has_changed(certificates, tmp_path):
    for number in ("1", "2"):
        certificates.issue("worker", f"worker-{number}", into=f"link-{number}")
    link = tmp_path / "tls"
    link.symlink_to(certificates.folder / "link-1")
    files = tls_files(link, None, None, None)
    assert files is not None
    before = files.stamp
    assert files.stamp == before
    (tmp_path / "new").symlink_to(certificates.folder / "link-2")
    (tmp_path / "new").replace(link)
    assert files.stamp != before
    assert own_roles(files) == Roles(("worker-2",))


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ((None, Path("a"), None, None), "--tls-cert"),
        ((None, Path("a"), Path("b"), None), "--tls-key"),
        ((None, None, Path("b"), Path("c")), "--tls-ca"),
        ((Path("nowhere"), None, None, None), "--tls"),
        ((None, None, None, None, "name"), "--tls-name"),
    ],
)
def test_half_of_the_options_is_named(given, option):
    with pytest.raises(InvalidSpec, match=f"^{option}: "):
        tls_files(*given)


def test_without_options_there_is_no_tls():
    assert tls_files(None, None, None, None) is None


def test_a_master_that_hangs_up_at_once_is_not_said_to_lack_tls(certificates):
    """It may have too many connections; nothing is known about certificates then."""
    operator = certificates.issue("operator", "operator")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                server.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        assert trouble("127.0.0.1", server.getsockname()[1], operator) is None
        assert trouble("127.0.0.1", server.getsockname()[1], None) is None
        hanging_up.join()
