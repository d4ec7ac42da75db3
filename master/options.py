"""The master's options that are about security: on the command line, and what they come to."""

from __future__ import annotations

import argparse
from pathlib import Path

from common.options import add_tls_options, tls_of
from common.tls import tls_files
from master.page_security import PageSecurity
from master.securing import Security


def add_security_options(parser: argparse.ArgumentParser) -> None:
    """All of them; those who are not given leave a master for this machine only."""
    group = parser.add_argument_group("security", "docs/security.md says who can do what with which of these")
    add_tls_options(group, "the master")
    add = group.add_argument
    add("--token-file", type=Path, metavar="FILE", help="token that workers and operators must know")
    add(
        "--token-grace",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="when the token file changes, the token before still counts for so long (default %(default)g)",
    )
    add(
        "--insecure-network",
        action="store_true",
        help="listen beyond 127.0.0.1 without TLS; whoever is on the network can read and change everything",
    )
    add(
        "--metrics-tls",
        type=Path,
        metavar="DIR",
        help="serve page and metrics over TLS, with this certificate",
    )
    add(
        "--metrics-password-file",
        type=Path,
        metavar="FILE",
        help="ask who looks at page or metrics for this password; the user is gradcode",
    )


def security_of(given: argparse.Namespace) -> Security:
    """Whom the master lets in.

    Raises:
        InvalidSpec: files are missing.
    """
    return Security(
        tls=tls_of(given),
        token_file=given.token_file,
        token_grace_seconds=given.token_grace,
        insecure_network=given.insecure_network,
    )


def page_security_of(given: argparse.Namespace) -> PageSecurity:
    """Who may look at page and metrics.

    Raises:
        InvalidSpec: the folder is none, or the password cannot be read.
    """
    return PageSecurity(tls_files(given.metrics_tls, None, None, None), given.metrics_password_file)
