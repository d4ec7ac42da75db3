"""Workers are the blocks of a design: any two share equally many chunks, so all stragglers cost the same."""

from __future__ import annotations

from common.codes.approximate_decoders import NormalEquations, SymmetricDesign
from common.codes.base import Decoder, GradientCode
from common.codes.designs import (
    Placement,
    affine_classes,
    difference_set_blocks,
    nearest,
    projective_plane,
    sizes,
)
from common.codes.parameters import Value, canonical, whole
from common.codes.signed import (
    check_parts,
    check_solvable,
    check_terms,
    draw_signs,
    folded_code,
    folded_messages,
    rows_of,
)
from common.errors import InvalidSpec

DESIGNS = ("fano", "projective", "affine")


def block_design(
    n_workers: int,
    design: str | list[int] = "projective",
    n_parts: int = 1,
    n_stragglers: int = 0,
    signs: str = "balanced",
    seed: int = 0,
) -> GradientCode:
    """Workers send the sum of their chunks, its m parts added up with signs into one short message.

    Approximate: with one part the error is zero if all answer, and depends only on how many do not, not on
    who; the weights are one constant. With more parts messages are m times shorter and nothing is ever
    exact (``n_stragglers`` of the code is 0 and promises nothing). The order of a plane follows from
    n_workers:

    * ``projective``: n = N = q^2 + q + 1, load q + 1 (7, 13, 21, 31, 57, ...); ``fano`` is the one of 7.
    * ``affine``: n = q^2 + q workers, N = q^2 chunks, load q (6, 12, 20, 30, 56, ...). Lines of a parallel
      class hold every chunk once, so with one part any q workers may be absent and the sum is exact.
    * a list: a difference set modulo n, such as ``[0, 1, 3, 9]`` for 13; n = N, load = its length.

    Args:
        n_workers: n, as the design demands.
        design: its name, or the difference set.
        n_parts: m, at least 1; a message has 1/m of the gradient's numbers.
        n_stragglers: messages that a round does not wait for, 0 to n - 1.
        signs: ``balanced`` (better) or ``random``; with one part there are none to choose.
        seed: of the signs, at least 0.

    Raises:
        InvalidSpec: there is no such design for n workers (names the nearest n), or a parameter is out of
            range, or decoding would take longer than 50 ms.

    Cost: O(n x load x m) to build; decoding is a system of m equations (affine: least squares).

    Source: Kadhe et al. 2019 for one part; Munim and Ramamoorthy 2025, the construction from block designs
        with random diagonal matrices, for more.

    >>> block_design(7, "fano", n_parts=2).assignment.orders[:2]
    ((0, 1, 3), (1, 2, 4))
    """
    n = whole("n_workers", n_workers, least=3)
    m = check_parts(n_parts)
    ignored = whole("n_stragglers", n_stragglers, least=0, most=n - 1, most_is="n_workers - 1")
    seed = whole("seed", seed, least=0)
    placement, shared = _blocks(n, design)
    load = len(placement[0])
    columns = draw_signs(signs, m, n, seed)
    written: Value = [*design] if isinstance(design, list) else design
    decoder: Decoder
    if design == "affine":
        check_solvable(n, load, m)
        decoder = NormalEquations()
    else:
        check_terms(n * load * m)
        decoder = SymmetricDesign(load, shared, rows_of(columns))
    return folded_code(
        spec=canonical(block_design, n, written, m, ignored, signs, seed),
        n_chunks=load**2 if design == "affine" else n,
        placement=placement,
        messages=folded_messages(placement, columns),
        decoder=decoder,
        n_survived=load if design == "affine" and m == 1 else 0,
        n_ignored=ignored,
        n_parts=m,
        ever_exact=m == 1,
    )


def _blocks(n: int, design: str | list[int]) -> tuple[Placement, int]:
    """The blocks, and how many chunks any two share (for the affine plane: at most)."""
    if isinstance(design, list):
        residues = [
            whole("design", residue, least=0, most=n - 1, most_is="n_workers - 1") for residue in design
        ]
        return difference_set_blocks(n, residues)
    if design not in DESIGNS:
        raise InvalidSpec("design", f"must be {', '.join(DESIGNS)} or a difference set modulo n", design)
    orders = sizes(design)
    if n not in orders:
        rule = f"must be the number of blocks of a {design} plane, such as {nearest(list(orders), n)}"
        raise InvalidSpec("n_workers", rule, n)
    if design == "affine":
        return tuple(line for parallel in affine_classes(orders[n]) for line in parallel), 1
    return difference_set_blocks(7, (0, 1, 3)) if design == "fano" else (projective_plane(orders[n]), 1)
