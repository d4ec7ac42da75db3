"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path

from common.errors import InvalidSpec
from common.wire import frames as wire
from worker.compute import needed_bytes

_MEMINFO = Path("/proc/meminfo")
# Limits of a container and what it has taken of them, for both versions of control groups.
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def available_bytes() -> int | None:
    """What the machine and the container leave; None where neither says."""
    found = [_machine(), *(_container(limit, taken) for limit, taken in _CGROUPS)]
    return min((each for each in found if each is not None), default=None)


def require(n_bytes: int, purpose: str) -> None:
    """Raise InvalidSpec, one line with both numbers, when so much is not available."""
    available = available_bytes()
    if available is not None and n_bytes > available:
        rule = f"must be at least {_megabytes(n_bytes)} for {purpose}"
        raise InvalidSpec("available memory", rule, _megabytes(available))


def require_room(welcome: wire.Welcome, order: wire.WorkOrder, missing: list[wire.RowRange]) -> None:
    """Raise InvalidSpec unless rows and finished gradients of the place have room here."""
    n_gradients = len(order.data.ranges)
    require(_needed(order, missing), f"rows and {n_gradients} gradients of place {welcome.place}")


def has_room(order: wire.WorkOrder, missing: list[wire.RowRange]) -> bool:
    """Whether ``require_room`` would not raise."""
    available = available_bytes()
    return available is None or _needed(order, missing) <= available


def _needed(order: wire.WorkOrder, missing: list[wire.RowRange]) -> int:
    load = len(order.data.ranges)
    gradients = max(order.memory_bytes, needed_bytes(load, order.n_parameters, order.compute_dtype))
    n_rows = 0 if order.data.sparse else sum(each.end - each.begin for each in missing)
    return gradients + n_rows * needed_bytes(1, order.data.n_features, order.compute_dtype)


def _machine() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _container(limit: Path, taken: Path) -> int | None:
    try:
        # "max" instead of a number means that there is no limit.
        return max(0, int(limit.read_text()) - int(taken.read_text()))
    except (OSError, ValueError):
        return None


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.0f} MB"
