"""What can be wrong with a file, in one line each."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidData

MOST_BYTES = 4 << 30
"""That a data file may hold, unpacked, unless something else is asked for."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn everything that opening and unpacking ``path`` may raise into InvalidData."""
    try:
        if path.stat().st_size == 0:
            raise InvalidData("data file", "must not be empty", str(path))
        yield
    except FileNotFoundError:
        raise InvalidData("data file", "must exist", str(path)) from None
    except UnicodeDecodeError:
        raise InvalidData("data file", "must be text in UTF-8", str(path)) from None
    except (EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InvalidData("data file", f"must be whole ({error})", str(path)) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidData("data file", f"must be readable ({reason})", str(path)) from None


def require_finite(values: NDArray[Any], where: Callable[[int], str]) -> None:
    """Refuse nan and infinities.

    Args:
        values: numbers of any shape.
        where: names the place of the number with this index in ``values.flat``.

    Raises:
        InvalidData: names the first number that is not finite.
    """
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        raise InvalidData(where(first), "must be finite", float(values.reshape(-1)[first]))
