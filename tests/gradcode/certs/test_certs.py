"""An authority, what it issues, and what it does not."""

from __future__ import annotations

import datetime
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.errors import InvalidSpec
from common.tls import Roles, check_server, own_roles, tls_files
from gradcode.certs import authority
from gradcode.certs.authority import (
    Authority,
    Wanted,
    is_due,
    make_authority,
    names_in,
    read_certificate,
    role_of,
)
from gradcode.commands_certs import certs

DAY = datetime.timedelta(days=1)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    make_authority(tmp_path / "ca", "an authority", 100 * DAY)
    return tmp_path / "ca"


def files_in(folder: Path):
    found = tls_files(folder, None, None, None)
    assert found is not None
    return found


def run(*arguments: object):
    return CliRunner().invoke(certs, [str(each) for each in arguments])


def test_the_three_commands_make_a_cluster(tmp_path):
    ca = tmp_path / "ca"
    for arguments in (
        ("init", ca),
        (
            "issue",
            ca,
            "--role",
            "master",
            "--host",
            "train.example.org",
            "--host",
            "10.0.0.5",
            "--out",
            tmp_path / "m",
        ),
        ("issue", ca, "--role", "worker", "--out", tmp_path / "w"),
        ("issue", ca, "--role", "operator", "--name", "operator-anna", "--out", tmp_path / "o"),
    ):
        done = run(*arguments)
        assert done.exit_code == 0, done.output
    check_server(files_in(tmp_path / "m"))
    assert own_roles(files_in(tmp_path / "w")) == Roles(("worker-*",))
    assert own_roles(files_in(tmp_path / "o")) == Roles((), True)
    names = names_in(read_certificate(tmp_path / "m"))
    assert names == ["master", "train.example.org", "10.0.0.5", "localhost", "127.0.0.1", "::1"]
    assert {path.name for path in (tmp_path / "w").iterdir()} == {"ca.pem", "cert.pem", "key.pem"}


def test_keys_are_for_their_owner_and_that_of_the_authority_stays(ca, tmp_path):
    Authority(ca).issue(Wanted("worker", "worker-1", DAY), tmp_path / "w")
    for path in (ca / "ca-key.pem", tmp_path / "w" / "key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = (ca / "ca-key.pem").read_bytes()
    assert all(path.read_bytes() != key for path in (tmp_path / "w").iterdir())


def test_rotation_keeps_names_and_lifetime_and_changes_the_key(ca, tmp_path):
    out = tmp_path / "w"
    old = Authority(ca).issue(Wanted("worker", "worker-*", 3 * DAY), out)
    key = (out / "key.pem").read_bytes()
    new = Authority(ca).rotate(out)
    assert read_certificate(out) == new
    assert (names_in(new), role_of(new)) == (names_in(old), "worker")
    assert new.serial_number != old.serial_number
    assert (
        new.not_valid_after_utc - new.not_valid_before_utc
        == old.not_valid_after_utc - old.not_valid_before_utc
    )
    assert (out / "key.pem").read_bytes() != key
    assert own_roles(files_in(out)) == Roles(("worker-*",))


def test_only_what_is_due_is_rotated_when_so_asked(ca, tmp_path, monkeypatch):
    out = tmp_path / "w"
    old = Authority(ca).issue(Wanted("worker", "worker-1", 9 * DAY), out)
    begin = old.not_valid_after_utc - 9 * DAY
    assert [is_due(old, begin + days * DAY) for days in (5.9, 6.1, 10.0)] == [False, True, True]
    assert "not due before" in run("rotate", ca, out, "--due").output
    assert read_certificate(out) == old
    monkeypatch.setattr(authority, "now", lambda: begin + 7 * DAY)
    assert run("rotate", ca, out, "--due").exit_code == 0
    assert read_certificate(out).not_valid_after_utc == begin + 16 * DAY


def test_show_tells_who_and_how_long_and_warns(ca, tmp_path, monkeypatch):
    for role, name in (("worker", "worker-1"), ("master", "master")):
        Authority(ca).issue(Wanted(role, name, 9 * DAY), tmp_path / role)
    folders = (tmp_path / "worker", tmp_path / "master" / "cert.pem")
    done = run("show", *folders, "--format", "json")
    shown = json.loads(done.stdout)["certificates"]
    assert [each["role"] for each in shown] == ["worker", "master"]
    assert [each["state"] for each in shown] == ["valid", "valid"]
    assert shown[0]["days_left"] == pytest.approx(9.0, abs=0.01)
    assert done.stderr == ""
    from gradcode.certs import table

    later = datetime.datetime.now(datetime.UTC) + 7 * DAY
    monkeypatch.setattr(table, "now", lambda: later)
    done = run("show", *folders)
    assert "worker-1" in done.stdout
    assert done.stderr.count("is due: 2.0 days left; gradcode certs rotate") == 2
    monkeypatch.setattr(table, "now", lambda: later + 7 * DAY)
    assert run("show", *folders).stderr.count("has expired") == 2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("boss", "boss", DAY), "--role: must be one of"),
        (Wanted("worker", "rack3", DAY), "--name: must begin with worker-"),
        (Wanted("worker", "worker-*-a", DAY), r"--name: may have a \* only at the end"),
        (Wanted("operator", "operator-*", DAY), r"--name: may have a \* only at the end"),
        (Wanted("operator", "operators", DAY), "--name: must be operator"),
        (Wanted("worker", "worker-a\nb", DAY), "--name: must be letters"),
        (Wanted("worker", "worker-1", DAY, ("a.example",)), "--host: is for a master"),
        (Wanted("master", "master", DAY, ("a b",)), "--host: must be letters"),
        (Wanted("worker", "worker-1", datetime.timedelta(0)), "--days: must be above 0"),
    ],
)
def test_what_no_master_would_take_is_not_issued(ca, tmp_path, wanted, said):
    with pytest.raises(InvalidSpec, match=said):
        Authority(ca).issue(wanted, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_authority_is_not_made_over_another(ca, tmp_path):
    before = (ca / "ca.pem").read_bytes()
    with pytest.raises(InvalidSpec, match="must not hold an authority already"):
        make_authority(ca, "another", DAY)
    assert (ca / "ca.pem").read_bytes() == before
    with pytest.raises(InvalidSpec, match="gradcode certs init"):
        Authority(tmp_path / "nowhere")
    (ca / "ca-key.pem").write_text("no key")
    with pytest.raises(InvalidSpec, match="must hold PEM"):
        Authority(ca)
    with pytest.raises(InvalidSpec, match="must be a file that can be read"):
        read_certificate(tmp_path / "none")
    with pytest.raises(InvalidSpec, match="must be one that gradcode certs issued"):
        read_certificate(ca / "ca.pem")


def test_nothing_beyond_reason_is_asked_for(ca, tmp_path):
    for days in ("0", "-1", "nan", "1e9"):
        done = run("issue", ca, "--role", "worker", "--out", tmp_path / "w", f"--days={days}")
        assert isinstance(done.exception, InvalidSpec)
