from __future__ import annotations

import numpy as np
import pytest

from common.codes.base import Assignment, GradientCode, Message, Term
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.decoders import LeastSquares
from common.codes.partial_stragglers import partial_stragglers
from common.codes.tallies import CountMessages
from common.codes.uncoded import uncoded
from master import commands as cmd
from master import events as ev
from master.arithmetic import REMEMBERED_PATTERNS, Arithmetic
from master.optimizers import ConstantRate, make_optimizer


def arithmetic(start, n_rows=10, l2=0.0, regularised=None, wire_dtype="float64", code=None) -> Arithmetic:
    point = np.asarray(start, dtype=np.float64)
    mask = np.ones(len(point), dtype=bool) if regularised is None else np.array(regularised)
    made = Arithmetic(
        make_optimizer("gradient_descent", point, ConstantRate(1.0)),
        n_rows,
        l2,
        mask,
        score=lambda parameters: float(parameters.sum()),
        wire_dtype=wire_dtype,
    )
    made.plan(code or uncoded(2))
    return made


def test_a_gradient_is_the_weighted_sum_divided_by_the_rows_with_l2_once():
    made = arithmetic([1.0, 2.0, 3.0], n_rows=10, l2=0.5, regularised=[True, True, False])
    made.receive(1, np.array([1.0, 2.0, 3.0]).tobytes())
    made.receive(2, np.array([10.0, 20.0, 30.0]).tobytes())
    norm, culprit = made.combine(((1, (1.0,)), (2, (0.5,))))
    expected = np.array([6.0, 12.0, 18.0]) / 10 + 0.5 * np.array([1.0, 2.0, 0.0])
    assert culprit is None
    assert norm == pytest.approx(np.linalg.norm(expected))
    assert made.step()
    assert made.optimizer.parameters == pytest.approx(np.array([1.0, 2.0, 3.0]) - expected)


def test_parts_are_put_together_and_the_padding_is_cut_off():
    """d = 3 in two parts: messages of two numbers, of which the last one of the second part is a zero."""
    halves = (Message(0, (Term(0, 0, 1.0),)), Message(1, (Term(0, 1, 1.0),)))
    code = GradientCode(
        "halves", Assignment(1, ((0,), (0,))), LeastSquares(), CountMessages(2), 0, halves, n_parts=2
    )
    made = arithmetic([0.0, 0.0, 0.0], n_rows=1, code=code)
    assert made.message_length(2) == 2
    made.receive(1, np.array([1.0, 2.0]).tobytes())
    made.receive(2, np.array([3.0, 0.0]).tobytes())
    weights = made.solve(halves).weights
    made.combine(tuple((number + 1, tuple(row)) for number, row in enumerate(weights)))
    made.step()
    assert made.optimizer.parameters == pytest.approx([-1.0, -2.0, -3.0])


@pytest.mark.parametrize("wire_dtype", ["float32", "float64"])
def test_the_point_travels_in_the_wire_dtype(wire_dtype):
    made = arithmetic([1 / 3, 2.0], wire_dtype=wire_dtype)
    sent = np.frombuffer(made.point_bytes(), np.dtype(wire_dtype).newbyteorder("<"))
    assert sent.tolist() == np.array([1 / 3, 2.0]).astype(wire_dtype).tolist()


def test_float32_messages_are_added_up_in_float64():
    made = arithmetic([0.0], n_rows=1, wire_dtype="float32")
    made.receive(1, np.array([2.0**25], dtype="<f4").tobytes())
    made.receive(2, np.array([1.0], dtype="<f4").tobytes())
    made.combine(((1, (1.0,)), (2, (1.0,))))
    made.step()
    assert made.optimizer.parameters[0] == -(2.0**25 + 1.0)


def test_payloads_are_forgotten_when_combined_or_discarded():
    made = arithmetic([0.0])
    for payload in (1, 2, 3):
        made.receive(payload, np.array([1.0]).tobytes())
    made.discard(3)
    made.discard(3)
    assert made.n_kept == 2
    made.combine(((1, (1.0,)),))
    assert made.n_kept == 0


def test_the_payload_that_is_not_finite_is_named():
    made = arithmetic([0.0, 0.0])
    made.receive(1, np.array([1.0, 1.0]).tobytes())
    made.receive(2, np.array([1.0, np.inf]).tobytes())
    norm, culprit = made.combine(((1, (1.0,)), (2, (1.0,))))
    assert culprit == 2
    assert not np.isfinite(norm)


def test_parameters_that_leave_the_numbers_are_noticed():
    made = arithmetic([1e308])
    made.receive(1, np.array([-1.7e308]).tobytes())
    made.combine(((1, (10.0,)),))
    assert not made.step()


def test_decodings_of_fixed_codes_are_remembered_by_pattern():
    code = cyclic_repetition(4, 1)
    made = arithmetic([0.0], code=code)
    first, other = code.messages[:3], code.messages[1:]
    assert made.solve(first) is made.solve(first)
    assert made.solve(first) is not made.solve(other)
    made.plan(code)
    assert made.solve(first).exact


def test_memory_of_patterns_is_bounded():
    code = uncoded(300)
    made = arithmetic([0.0], code=code)
    kept = made.solve(code.messages[:1])
    for n in range(2, REMEMBERED_PATTERNS + 2):
        made.solve(code.messages[:n])
    assert made.solve(code.messages[:1]) is not kept


def test_messages_on_request_are_solved_each_time():
    code = partial_stragglers(2, 2)
    made = arithmetic([0.0], code=code)
    received = (Message(0, (Term(0, 0, 1.0), Term(1, 0, 1.0))),)
    assert made.solve(received).exact
    assert made.solve(received) is not made.solve(received)


def test_commands_are_answered_with_their_time():
    made = arithmetic([1.0, 2.0])
    ticks = iter(range(100))
    made.receive(1, np.array([10.0, 0.0]).tobytes())
    solved = made.answer(cmd.Solve(3, uncoded(2).messages), lambda: next(ticks))
    assert isinstance(solved, ev.Solved)
    assert (solved.round, solved.seconds, solved.decoding.exact) == (3, 1, True)
    assert made.answer(cmd.Combine(3, ((1, (1.0,)),)), lambda: next(ticks)) == ev.Combined(3, 1.0, None, 1)
    assert made.answer(cmd.Step(3), lambda: next(ticks)) == ev.Stepped(3, True, 1)
    assert made.answer(cmd.Evaluate(3), lambda: next(ticks)) == ev.Evaluated(3, 2.0)
