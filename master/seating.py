"""Pure: who sits where under another plan, so that few rows have to move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.codes.base import GradientCode
from common.datasets.base import chunk_range
from master.membership import Link

MOST_WORK = 2_000_000_000
"""Links times places times pieces of the data up to which rows are counted: about half a second."""

_SAME_PLACE, _SEATED = 0.5, 0.25
"""Of a row: of places with the same rows the former one is best, and of links one that has a place."""


def seats(links: Sequence[Link], before: GradientCode, after: GradientCode, n_rows: int) -> dict[int, int]:
    """Gives the places of ``after`` to ``links`` such that the rows they lack are as few as possible.

    Args:
        links: those that may have a place; more or fewer than there are places. Each holds the rows of its
            place under ``before``, or as a spare those that it prepares.
        before, after: the codes. n_rows: training rows, R.

    Returns:
        Number of a link -> its place; min(links, places) entries.

    Cost: links x places x (chunks before and after) products and a linear assignment. Beyond ``MOST_WORK``
    links keep their places, and the others get the lowest free ones, without counting rows.
    """
    if not links:
        return {}
    places = [link.place if link.place is not None else link.prepares for link in links]
    if len(links) * after.n_workers * (before.n_chunks + after.n_chunks) > MOST_WORK:
        return _kept(links, after.n_workers)
    edges, held, needed = _pieces(before, after, n_rows)
    none = np.zeros(len(edges) - 1)
    holds = np.array([none if place is None else held[place] for place in places])
    worth = holds @ (needed * np.diff(edges)).T
    for row, link in enumerate(links):
        if link.place is not None:
            worth[row] += _SEATED
            if link.place < after.n_workers:
                worth[row, link.place] += _SAME_PLACE
    # Only runs that are planned anew need it.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(worth, maximize=True)
    return {links[row].number: int(place) for row, place in zip(rows, columns, strict=True)}


def rows_to_move(
    given: dict[int, int], links: Sequence[Link], before: GradientCode, after: GradientCode, n_rows: int
) -> int:
    """How many rows links lack for the places that they are ``given``; arguments as for ``seats``."""
    edges, held, needed = _pieces(before, after, n_rows)
    lacked = 0.0
    for link in links:
        if link.number in given:
            place = link.place if link.place is not None else link.prepares
            there = np.zeros(len(edges) - 1) if place is None else held[place]
            lacked += float((needed[given[link.number]] * (1.0 - there)) @ np.diff(edges))
    return round(lacked)


def _pieces(
    before: GradientCode, after: GradientCode, n_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Edges of the pieces that chunks of both codes consist of, and for every place which pieces it has."""
    ends = {
        edge for code in (before, after) for chunk in range(code.n_chunks)
        for edge in chunk_range(chunk, code.n_chunks, n_rows)
    }  # fmt: skip
    edges = np.array(sorted(ends))
    return edges, _coverage(before, edges, n_rows), _coverage(after, edges, n_rows)


def _coverage(code: GradientCode, edges: NDArray[np.int64], n_rows: int) -> NDArray[np.float64]:
    ranges = [chunk_range(chunk, code.n_chunks, n_rows) for chunk in range(code.n_chunks)]
    spans = np.searchsorted(edges, ranges)
    found = np.zeros((code.n_workers, len(edges) - 1))
    for place, order in enumerate(code.assignment.orders):
        for chunk in order:
            found[place, spans[chunk, 0] : spans[chunk, 1]] = 1.0
    return found


def _kept(links: Sequence[Link], n_places: int) -> dict[int, int]:
    staying = {link.number: link.place for link in links if link.place is not None and link.place < n_places}
    free = iter(sorted(set(range(n_places)) - set(staying.values())))
    moved = sorted(
        (link for link in links if link.number not in staying), key=lambda link: link.place is None
    )
    return staying | {link.number: place for link, place in zip(moved, free, strict=False)}
