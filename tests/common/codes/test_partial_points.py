from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from common.codes.bounds import least_partial_load
from common.codes.partial_points import Point, partial_points, undominated
from common.errors import InvalidSpec
from common.spec import make_code


def test_golden_menu_of_twelve_workers_five_stragglers_and_four_fifths():
    """Loads of 2, 4 and 6 twelfths; pairs of workers that hold the same are worse than the cyclic scheme."""
    found = {point.spec: (point.load * 12, point.n_messages) for point in partial_points(12, 5, 0.8)}
    assert found["all_subsets(12, 5, 2)"] == (2, 11)
    assert found["sum_and_non_owned(12, 5, 2)"] == (2, 7)
    assert found["cyclic_partial(12, 5, 10)"] == (4, 2)
    assert found["all_subsets(12, 5, 2, group_size=2)"] == (4, 5)
    assert found["fractional_repetition(12, 5)"] == (6, 1)
    best = [point.spec for point in undominated(partial_points(12, 5, 0.8))]
    assert best == [
        "sum_and_non_owned(12, 5, 2)",
        "cyclic_partial(12, 5, 10)",
        "fractional_repetition(12, 5)",
    ]


@pytest.mark.parametrize(
    ("n", "s", "share"), [(12, 5, 0.8), (8, 3, 0.9), (9, 4, 7 / 9), (7, 5, 1.0), (6, 0, 0.5)]
)
def test_every_point_is_a_code_with_this_load_and_traffic_that_recovers_enough(n, s, share):
    for point in partial_points(n, s, share):
        code = make_code(point.spec, n)
        assert Fraction(code.assignment.max_load, code.n_chunks) == point.load
        assert max(len(own) for own in code.messages_of) == point.n_messages
        assert code.enough_recovered >= share - 1e-9
        assert point.load >= least_partial_load(n, s, share) / n


def test_what_remains_is_better_in_one_way_and_worse_in_the_other():
    for n, s, share in ((12, 5, 0.8), (10, 4, 0.9), (16, 6, 0.75)):
        points = partial_points(n, s, share)
        best = undominated(points)
        for one, other in pairwise(best):
            assert one.load < other.load
            assert one.n_messages > other.n_messages
        for point in points:
            assert any(b.load <= point.load and b.n_messages <= point.n_messages for b in best)


def test_of_equal_points_one_remains():
    points = [Point("a", Fraction(1, 2), 1), Point("b", Fraction(1, 2), 1), Point("c", Fraction(1, 2), 2)]
    assert [point.spec for point in undominated(points)] == ["a"]


@pytest.mark.parametrize(("arguments", "field"), [((4, 4, 0.5), "n_stragglers"), ((4, 1, 0), "recovered")])
def test_impossible_parameters_are_refused(arguments, field):
    with pytest.raises(InvalidSpec) as caught:
        partial_points(*arguments)
    assert caught.value.field == field
