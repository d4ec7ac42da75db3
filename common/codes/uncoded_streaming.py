"""Every finished chunk is sent at once, so that no work of anybody is lost; the first copy counts."""

from __future__ import annotations

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import FirstOfGroup
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CoverGroups
from common.errors import InvalidSpec

ORDERS = ("cyclic", "staircase")


def uncoded_streaming(n_workers: int, load: int = 2, order: str = "cyclic") -> GradientCode:
    """Chunks on several workers, one message a finished chunk: a worker sends up to ``load`` long messages.

    Worker w starts with chunk w. In ``cyclic`` order all go on upwards, w, w + 1, ...; in ``staircase``
    order the odd workers go downwards, w, w - 1, ..., so that two neighbours meet instead of following each
    other. To end rounds at k distinct chunks, ask for the recovered fraction k / n.

    Args:
        n_workers: n, at least 1; also the number of chunks.
        load: chunks on every worker, 1 to n.
        order: ``cyclic`` or ``staircase``. With an odd n the staircase has a step missing between the last
            worker and the first, so that a chunk there is on fewer workers.

    Raises:
        InvalidSpec: a parameter is out of range.

    Cost: O(n load) to build and to decode.

    Source: Amiri and Gunduz 2019, computation scheduling: cyclic and staircase scheduling.

    >>> uncoded_streaming(4, load=2, order="staircase").assignment.orders
    ((0, 1), (1, 0), (2, 3), (3, 2))
    """
    n = whole("n_workers", n_workers, least=1)
    load = whole("load", load, least=1, most=n, most_is="n_workers")
    if order not in ORDERS:
        raise InvalidSpec("order", f"must be one of {', '.join(ORDERS)}", order)
    check_size(n, load)
    steps = [-1 if order == "staircase" and worker % 2 else 1 for worker in range(n)]
    orders = tuple(tuple((w + step * k) % n for k in range(load)) for w, step in enumerate(steps))
    assignment = Assignment(n, orders)
    return GradientCode(
        spec=canonical(uncoded_streaming, n, load, order),
        assignment=assignment,
        messages=tuple(Message(w, (Term(chunk, 0, 1.0),)) for w, own in enumerate(orders) for chunk in own),
        decoder=FirstOfGroup(),
        stop_rule=CoverGroups(tuple(chunk for own in orders for chunk in own)),
        n_stragglers=assignment.replication - 1,
    )
