"""Make an environment smaller: what runs nothing goes, what is left works.

Run by the Python of the environment, while the image is built. Removes the packages' own tests, the sources
of what is compiled, and the symbols that only a debugger reads. A library that cannot be loaded without them
is put back: some are patched in a way that ``strip`` breaks.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCES = {".a", ".c", ".cpp", ".h", ".pxd", ".pyi", ".pyx", ".tp"}
LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"


def loads(library: Path) -> bool:
    """Whether the system can load ``library``; in a process of its own, since that may crash."""
    return subprocess.run([sys.executable, "-c", LOAD, library], capture_output=True).returncode == 0


def strip(library: Path) -> bool:
    """Take the symbols out of ``library`` if it then still loads. Returns whether it was changed."""
    kept = library.with_name(library.name + ".kept")
    shutil.copy2(library, kept)
    done = subprocess.run(["strip", "--strip-unneeded", library], capture_output=True).returncode == 0
    if done and loads(library):
        kept.unlink()
        return True
    kept.replace(library)
    return False


def main() -> int:
    """Make the environment of this Python smaller, and say by how much."""
    packages = Path(sysconfig.get_path("purelib"))
    before = size(packages)
    for folder in sorted(packages.rglob("*")):
        if folder.name in ("test", "tests") and folder.is_dir():
            shutil.rmtree(folder)
    for path in sorted(packages.rglob("*")):
        if path.suffix in SOURCES and path.is_file():
            path.unlink()
    # Bundled libraries, in folders *.libs, are such patched ones without exception.
    libraries = [path for path in packages.rglob("*.so") if not path.parent.name.endswith(".libs")]
    stripped = sum([strip(library) for library in libraries])
    after = size(packages)
    print(
        f"{before / 1e6:.0f} MB are {after / 1e6:.0f} MB; stripped {stripped} of {len(libraries)} libraries"
    )
    return 0


def size(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    sys.exit(main())
