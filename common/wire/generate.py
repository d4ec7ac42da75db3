"""Generates the protobuf code under ``common/wire/gradcode`` from ``protos``; needs the dev extra.

``python -m common.wire.generate`` writes it, ``--check`` only says whether it is what the protos give.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTOS = tuple(f"common/wire/gradcode/v1/{name}.proto" for name in ("access", "control", "training"))
PACKAGES = ("common/wire/gradcode", "common/wire/gradcode/v1")
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")
PACKAGE_DOC = '"""Generated from protos/gradcode/v1 by ``python -m common.wire.generate``."""\n'


def generate(target: Path) -> None:
    """Write the generated packages below ``target``, which stands for the root of the tree.

    Raises:
        RuntimeError: the compiler refused the protos; it has said why on stderr.
    """
    protoc = importlib.import_module("grpc_tools.protoc")  # the dev extra only, and untyped
    # Mapping the protos to the package's own path makes the imports in the generated code right as they are.
    arguments = ["protoc", f"-Icommon/wire={ROOT / 'protos'}"]
    arguments += [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main([*arguments, *PROTOS]) != 0:
        raise RuntimeError("protoc refused the protos")
    for package in PACKAGES:
        (target / package / "__init__.py").write_text(PACKAGE_DOC)


def stale(root: Path = ROOT) -> list[str]:
    """Paths, relative to the root, whose content differs from what the protos give now."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        paths = [f"{package}/__init__.py" for package in PACKAGES]
        paths += [proto.removesuffix(".proto") + suffix for proto in PROTOS for suffix in SUFFIXES]
        return [path for path in paths if not _same(fresh / path, root / path)]


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 when done or fresh, 1 when ``--check`` finds something stale."""
    parser = argparse.ArgumentParser(prog="python -m common.wire.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    if parser.parse_args(argv).check:
        paths = stale()
        for path in paths:
            print(f"{path} is stale: run python -m common.wire.generate", file=sys.stderr)
        return 1 if paths else 0
    generate(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
