"""Options on the command line that masters and workers share."""

from __future__ import annotations

import argparse
from pathlib import Path

from common.tls import TlsFiles, tls_files


def add_tls_options(parser: argparse._ActionsContainer, whose: str) -> None:
    """``--tls`` and its likes, for a master's or a worker's own certificates.

    Args:
        whose: for the help: "the master" or "the worker".
    """
    add = parser.add_argument
    folder = (
        f"ca.pem, cert.pem and key.pem of {whose}, as gradcode certs issue writes them; read anew on change"
    )
    add("--tls", type=Path, metavar="DIR", help=f"folder with {folder}")
    add("--tls-ca", type=Path, metavar="FILE", help="whom to trust, instead of the folder's ca.pem")
    add("--tls-cert", type=Path, metavar="FILE", help=f"certificate of {whose}, instead of the folder's")
    add("--tls-key", type=Path, metavar="FILE", help="its key, instead of the folder's")


def tls_of(given: argparse.Namespace) -> TlsFiles | None:
    """What `add_tls_options` has been given.

    Raises:
        InvalidSpec: some are given and others not, or the folder is none.
    """
    return tls_files(given.tls, given.tls_ca, given.tls_cert, given.tls_key, getattr(given, "tls_name", None))
