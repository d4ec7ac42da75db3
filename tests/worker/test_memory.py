from __future__ import annotations

import pytest

from common.errors import InvalidSpec
from worker import memory


def test_there_is_some_memory():
    available = memory.available_bytes()
    assert available is None or available > 0


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes what the machine and a container say."""
    meminfo, limit, taken = (tmp_path / name for name in ("meminfo", "max", "current"))
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_CGROUPS", ((limit, taken), (tmp_path / "none", tmp_path / "none")))

    def say(available_kb: int | None, container: tuple[str, str] | None) -> None:
        if available_kb is not None:
            meminfo.write_text(f"MemTotal: 999 kB\nMemAvailable:   {available_kb} kB\n")
        if container is not None:
            limit.write_text(container[0] + "\n")
            taken.write_text(container[1] + "\n")

    return say


@pytest.mark.parametrize(
    ("available_kb", "container", "expected"),
    [
        (None, None, None),
        (1000, None, 1_024_000),
        (1000, ("max", "5"), 1_024_000),
        (1000, ("2000", "500"), 1500),
        (1000, ("2000", "2500"), 0),
        (1, ("99999999", "0"), 1024),
        (None, ("2000", "500"), 1500),
    ],
)
def test_the_smaller_of_machine_and_container_counts(machine, available_kb, container, expected):
    machine(available_kb, container)
    assert memory.available_bytes() == expected


def test_what_does_not_fit_is_refused_with_both_numbers(machine):
    memory.require(10**15, "anything, as nobody knows")
    machine(1_000_000, None)
    memory.require(1_024_000_000, "all of it")
    with pytest.raises(InvalidSpec, match="must be at least 2,000 MB for gradients, got '1,024 MB'"):
        memory.require(2_000_000_000, "gradients")
