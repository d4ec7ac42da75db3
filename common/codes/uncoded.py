"""Every chunk on one worker: the baseline that waits for everybody."""

from __future__ import annotations

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.decoders import PlainSum
from common.codes.parameters import canonical, check_size, whole
from common.codes.tallies import CountMessages


def uncoded(n_workers: int, chunks_per_worker: int = 1) -> GradientCode:
    """No redundancy: worker w holds its own chunks and sends their sum; all must answer.

    Args:
        n_workers: n, at least 1.
        chunks_per_worker: chunks on every worker, at least 1; N is n times this.

    Raises:
        InvalidSpec: a parameter is out of range.

    >>> uncoded(2, chunks_per_worker=2).assignment.orders
    ((0, 1), (2, 3))
    """
    n = whole("n_workers", n_workers, least=1)
    per_worker = whole("chunks_per_worker", chunks_per_worker, least=1)
    check_size(n, per_worker)
    assignment, messages = own_chunks(n, per_worker)
    return GradientCode(
        spec=canonical(uncoded, n, per_worker),
        assignment=assignment,
        messages=messages,
        decoder=PlainSum(),
        stop_rule=CountMessages(n),
        n_stragglers=0,
    )


def own_chunks(n_workers: int, chunks_per_worker: int) -> tuple[Assignment, tuple[Message, ...]]:
    """The placement without redundancy, and one message a worker: the sum of its chunks."""
    c = chunks_per_worker
    orders = tuple(tuple(range(worker * c, (worker + 1) * c)) for worker in range(n_workers))
    messages = tuple(
        Message(worker, tuple(Term(chunk, 0, 1.0) for chunk in order)) for worker, order in enumerate(orders)
    )
    return Assignment(n_workers * c, orders), messages
