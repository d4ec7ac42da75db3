from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from common.errors import InvalidSpec
from gradcode.commands_monitor import monitor
from gradcode.monitoring.export import DEPLOY, Places, export, files

ROOT = DEPLOY.parent


def test_the_files_in_deploy_are_fresh():
    for name, text in files().items():
        assert (DEPLOY / name).read_text(encoding="utf-8") == text, (
            "run gradcode monitor export deploy --force"
        )


def test_nothing_stale_lies_beside_them():
    written = {DEPLOY / name for name in files()}
    there = {path for folder in ("prometheus", "grafana") for path in (DEPLOY / folder).rglob("*.*")}
    beside = {path for path in there - written if path.is_file() and path.parent.name != "tests"}
    assert beside == set()


def test_the_command_writes_them_and_says_where(tmp_path):
    folder = tmp_path / "new" / "monitoring"
    arguments = ["export", str(folder), "--master", "10.0.0.1:9100", "--worker", "a:1", "--worker", "b:2"]
    done = CliRunner().invoke(monitor, [*arguments, "--prometheus", "https://prom.example.org"])
    assert done.exit_code == 0, done.output
    assert sorted(done.output.split()) == sorted(str(path) for path in folder.rglob("*.*"))
    text = (folder / "prometheus" / "prometheus.yml").read_text()
    assert 'targets: ["10.0.0.1:9100"]' in text
    assert 'targets: ["a:1", "b:2"]' in text
    assert "dns_sd_configs" not in text
    source = folder / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    assert "url: https://prom.example.org\n" in source.read_text()


def test_prometheus_is_let_in_where_the_master_wants_tls_and_a_password(tmp_path, needs_tool):
    (tmp_path / "ca.pem").write_text("")
    secured = ("--master-ca", str(tmp_path / "ca.pem"), "--master-password-file", str(tmp_path / "password"))
    done = CliRunner().invoke(monitor, ["export", str(tmp_path / "out"), *secured])
    assert done.exit_code == 0, done.output
    file = tmp_path / "out" / "prometheus" / "prometheus.yml"
    text = file.read_text()
    assert f"    scheme: https\n    tls_config: {{ca_file: {tmp_path / 'ca.pem'}}}\n" in text
    assert f"    basic_auth: {{username: gradcode, password_file: {tmp_path / 'password'}}}\n" in text
    subprocess.run([needs_tool("promtool"), "check", "config", "--syntax-only", file], check=True)


def test_files_that_differ_are_kept_unless_forced(tmp_path):
    export(tmp_path)
    export(tmp_path)
    mine = tmp_path / "prometheus" / "rules.yml"
    mine.write_text("mine")
    (tmp_path / "prometheus" / "alerts.yml").unlink()
    with pytest.raises(InvalidSpec, match=r"rules.yml: must not differ .*--force"):
        export(tmp_path)
    assert mine.read_text() == "mine"
    assert not (tmp_path / "prometheus" / "alerts.yml").exists()
    export(tmp_path, force=True)
    assert mine.read_text() == files()["prometheus/rules.yml"]


@pytest.mark.parametrize(
    ("places", "field"),
    [
        (Places(master="nowhere"), "--master"),
        (Places(workers=("a:1", "b")), "--worker"),
        (Places(prometheus="prometheus:9090"), "--prometheus"),
        (Places(prometheus="http://a\nb: c"), "--prometheus"),
        (Places(master='a":1'), "--master"),
        (Places(dashboards="x\ny"), "--dashboards"),
        (Places(master_ca="a b"), "--master-ca"),
        (Places(master_password="{x}"), "--master-password-file"),
    ],
)
def test_addresses_that_are_none_are_refused(tmp_path, places, field):
    with pytest.raises(InvalidSpec, match=f"^{field}: "):
        export(tmp_path, places)
    assert list(tmp_path.iterdir()) == []


def test_grafana_finds_its_source_and_its_dashboards(tmp_path):
    places = Places(prometheus="http://10.0.0.9:9090/prom", dashboards="/srv/boards")
    export(tmp_path, places)
    provisioning = tmp_path / "grafana" / "provisioning"
    source = (provisioning / "datasources" / "prometheus.yml").read_text()
    assert "    uid: prometheus\n" in source
    assert f"    url: {places.prometheus}\n" in source
    provider = (provisioning / "dashboards" / "gradcode.yml").read_text()
    assert "      path: /srv/boards\n" in provider
    assert "    allowUiUpdates: false\n" in provider


def test_the_command_needs_no_file_beside_its_code(tmp_path):
    """As from a wheel: the packages alone, without deploy and docs."""
    for package in ("common", "master", "worker", "gradcode"):
        (tmp_path / package).symlink_to(ROOT / package)
    code = "from gradcode.commands_monitor import monitor; monitor()"
    arguments = [sys.executable, "-P", "-c", code, "export", "out"]
    done = subprocess.run(
        arguments,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = {name: (tmp_path / "out" / name).read_text(encoding="utf-8") for name in files()}
    assert written == files()
