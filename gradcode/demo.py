"""The experiment that shows what gradcode is for: one slow worker, one that freezes, one that dies."""

from __future__ import annotations

from collections.abc import Sequence

from common.experiment import Experiment, load_experiment
from common.toml import write_value

CHUNK_SECONDS = 0.015
SLOW_PLACE, SLOW_FACTOR = 2, 5.0
FREEZING_PLACE, FREEZES_AT, FROZEN_FOR = 4, 2.0, 4.0
DYING_PLACE, DIES_AT = 6, 10.0

_ALWAYS = {
    "name": "demo",
    "workers": 8,
    "code": "scheduled(n, 3, 8)",
    "rounds": 100,
    "data.source": "digits",
    "delays.distribution": "constant",
    "delays.seconds": CHUNK_SECONDS,
}


def demo_experiment(overrides: Sequence[str] = ()) -> Experiment:
    """The demo, changed by ``overrides``; with fewer workers, those that are not there trouble nobody.

    Args:
        overrides: texts ``dotted.key=value``, as `load_experiment` takes them; they win over the demo.

    Raises:
        InvalidSpec: a field is unknown or breaks its rule.

    >>> demo_experiment().delays.factors
    {2: 5.0}
    >>> demo_experiment(["workers=2", "code=uncoded(n)"]).delays.factors
    {}
    """
    usual = [f"{key}={write_value(value)}" for key, value in _ALWAYS.items()]
    workers = load_experiment(None, [*usual, *overrides]).workers
    n_places = 1 << 30 if workers == "joined" else workers
    troubles = [
        {"place": FREEZING_PLACE, "kind": "freeze", "at_seconds": FREEZES_AT, "for_seconds": FROZEN_FOR},
        {"place": DYING_PLACE, "kind": "death", "at_seconds": DIES_AT},
    ]
    there = [trouble for trouble in troubles if int(str(trouble["place"])) < n_places]
    slow = {str(SLOW_PLACE): SLOW_FACTOR} if n_places > SLOW_PLACE else {}
    places = [f"delays.factors={write_value(slow)}", f"delays.interruptions={write_value(there)}"]
    return load_experiment(None, [*usual, *places, *overrides])
