"""What the service `certificates` does at every start of the containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from common.tls import Roles, check_server, own_roles, tls_files

ROOT = Path(__file__).resolve().parents[2]


def test_it_issues_once_and_keeps_what_is_not_due(tmp_path):
    command = tmp_path / "bin" / "gradcode"
    command.parent.mkdir()
    start = "from gradcode.start import main; main()"
    command.write_text(f"#!/bin/sh\nexec {sys.executable} -P -c '{start}' \"$@\"\n")
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CA_DIR": str(tmp_path / "ca"),
        "ISSUED_DIR": str(tmp_path / "issued"),
        "MASTER_HOSTS": "train.example.org 10.0.0.5",
    }
    script = ROOT / "deploy" / "docker" / "certificates.sh"
    seen = []
    for _ in range(2):
        done = subprocess.run(["sh", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        seen.append((tmp_path / "issued" / "worker" / "cert.pem").read_bytes())
    assert seen[0] == seen[1]
    assert done.stdout.count("not due before") == 3
    master, worker, operator = (
        tls_files(tmp_path / "issued" / role, None, None, None) for role in ("master", "worker", "operator")
    )
    check_server(master)
    assert own_roles(worker) == Roles(("worker-*",))
    assert own_roles(operator).operator
