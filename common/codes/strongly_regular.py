"""Workers are the vertices of a strongly regular graph and hold the chunks of their neighbours."""

from __future__ import annotations

from collections.abc import Callable

from common.codes.approximate_decoders import NormalEquations
from common.codes.base import GradientCode
from common.codes.designs import (
    Placement,
    nearest,
    paley_graph,
    petersen_graph,
    rook_graph,
    sizes,
    triangular_graph,
)
from common.codes.parameters import canonical, whole
from common.codes.signed import check_parts, check_solvable, draw_signs, folded_code, folded_messages
from common.errors import InvalidSpec

GRAPHS: dict[str, Callable[[int], Placement]] = {
    "petersen": lambda order: petersen_graph(),
    "paley": paley_graph,
    "triangular": triangular_graph,
    "rook": rook_graph,
}


def strongly_regular(
    n_workers: int,
    graph: str = "paley",
    n_parts: int = 1,
    n_stragglers: int = 0,
    signs: str = "balanced",
    seed: int = 0,
) -> GradientCode:
    """Workers send the sum of their chunks, its m parts added up with signs into one short message.

    Approximate, decoded by least squares: with one part the error is zero if all answer and nearly the same
    whoever does not; with more parts messages are m times shorter and nothing is ever exact
    (``n_stragglers`` of the code is 0 and promises nothing). As many chunks as workers:

    * ``petersen``: 10 workers, load 3.
    * ``paley``: n a power of a prime with n mod 4 = 1 (5, 9, 13, 17, 25, ...), load (n - 1) / 2.
    * ``triangular``: n = k (k - 1) / 2 (6, 10, 15, 21, ...), load 2 (k - 2).
    * ``rook``: n = k^2 (4, 9, 16, 25, ...), load 2 (k - 1).

    Args:
        n_workers: n, as the graph demands.
        graph: its name.
        n_parts: m, at least 1; a message has 1/m of the gradient's numbers.
        n_stragglers: messages that a round does not wait for, 0 to n - 1.
        signs: ``balanced`` (better) or ``random``; with one part there are none to choose.
        seed: of the signs, at least 0.

    Raises:
        InvalidSpec: there is no such graph with n vertices (names the nearest n), or a parameter is out of
            range, or decoding would take longer than 50 ms.

    Cost: O(n x load x m) to build; decoding is least squares over n messages.

    Source: Kadhe et al. 2019 for one part; Munim and Ramamoorthy 2025, the construction from strongly
        regular graphs with random diagonal matrices, for more.

    >>> strongly_regular(13).assignment.orders[0]
    (1, 3, 4, 9, 10, 12)
    """
    n = whole("n_workers", n_workers, least=4)
    m = check_parts(n_parts)
    ignored = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    seed = whole("seed", seed, least=0)
    if graph not in GRAPHS:
        raise InvalidSpec("graph", f"must be one of {', '.join(GRAPHS)}", graph)
    orders = sizes(graph)
    if n not in orders:
        rule = f"must be the number of vertices of a {graph} graph, such as {nearest(list(orders), n)}"
        raise InvalidSpec("n_workers", rule, n)
    placement = GRAPHS[graph](orders[n])
    check_solvable(n, len(placement[0]), m)
    return folded_code(
        spec=canonical(strongly_regular, n, graph, m, ignored, signs, seed),
        n_chunks=n,
        placement=placement,
        messages=folded_messages(placement, draw_signs(signs, m, n, seed)),
        decoder=NormalEquations(),
        n_survived=0,
        n_ignored=ignored,
        n_parts=m,
        ever_exact=m == 1,
    )
