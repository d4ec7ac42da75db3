"""Looks up known holes in what the lock files pin, with pip-audit.

Exit codes: 0 there are none, or the data about them cannot be reached, which is said; 1 there are some.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCKS = ("requirements.lock", "build.lock")
FOLDER = Path(__file__).parent


def audit(lock: Path, service: str) -> tuple[int, str]:
    """0, 1 or 2 (nothing could be looked up), and what there is to say."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--require-hashes",
        "--disable-pip",
    ]
    command += ["--format", "json", "--progress-spinner", "off", "--vulnerability-service", service]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return 2, f"{lock.name}: not audited, {service} cannot be reached ({last[:200]})"
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        return 2, f"{lock.name}: not audited, {service} knows nothing of {', '.join(skipped[:5])}"
    holes = [
        f"{lock.name}: {package['name']} {package['version']}: {hole['id']}, mended in "
        f"{', '.join(hole['fix_versions']) or 'no version'}"
        for package in packages
        for hole in package.get("vulns", ())
    ]
    return (
        (1, "\n".join(holes)) if holes else (0, f"{lock.name}: {len(packages)} packages without known holes")
    )


def main() -> int:
    """Audit all lock files."""
    worst = 0
    for name in LOCKS:
        for service in ("pypi", "osv"):
            code, text = audit(FOLDER / name, service)
            if code != 2:
                break
        print(text)
        worst = max(worst, code % 2)
    return worst


if __name__ == "__main__":
    sys.exit(main())
