from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ProtocolError
from common.models import ModelShape, make_model
from common.wire.frames import MessageOrder, Terms
from worker.compute import Computer, needed_bytes

MODEL = make_model(ModelShape("softmax", n_features=3, n_outputs=2, intercept=True))
RANDOM = np.random.default_rng(3)
PARAMETERS = RANDOM.normal(size=8)
ROWS = {
    chunk: (RANDOM.normal(size=(4 + chunk, 3)), RANDOM.integers(0, 2, size=4 + chunk)) for chunk in range(4)
}


def computed(n_parts=1, wire_dtype="float64", compute_dtype="float64", messages=(), chunks=range(4)):
    computer = Computer(MODEL, n_parts, compute_dtype, wire_dtype, messages)
    for chunk in chunks:
        computer.compute(chunk, PARAMETERS.astype(compute_dtype), *ROWS[chunk])
    return computer


def gradient(chunk):
    return MODEL.loss_and_gradient(PARAMETERS, *ROWS[chunk])[1]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.data())
def test_a_message_is_the_sum_of_coefficient_times_part(n_parts, data):
    term = st.tuples(st.integers(0, 3), st.integers(0, n_parts - 1), st.sampled_from([1.0, -0.5, 3.0, 0.0]))
    terms = data.draw(st.lists(term, min_size=1, max_size=6))
    length = -(-8 // n_parts)
    expected = np.zeros(length)
    for chunk, part, coefficient in terms:
        padded = np.concatenate([gradient(chunk), np.zeros(n_parts * length - 8)])
        expected += coefficient * padded[part * length : (part + 1) * length]
    computer = computed(n_parts)
    found = np.frombuffer(computer.combine(Terms.of(terms)), "<f8")
    assert computer.message_length == length
    # A request may cut gradients otherwise than the work order does.
    assert bytes(computed(8).combine(Terms.of(terms), n_parts)) == found.tobytes()
    assert np.allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n_parts", [1, 3])
def test_a_partial_sum_is_one_number_of_a_message(n_parts):
    computer = computed(n_parts)
    terms = Terms.of([(0, 0, 2.0), (1, n_parts - 1, -0.5), (3, 0, 1.0)])
    message = np.frombuffer(computer.combine(terms), "<f8")
    found = [computer.partial_sum(terms, index) for index in range(len(message))]
    assert np.allclose(found, message, rtol=1e-13, atol=1e-13)
    assert computed(8).partial_sum(terms, 0, n_parts) == found[0]
    for index in (-1, len(message)):
        with pytest.raises(ProtocolError, match="bad_terms: number"):
            computer.partial_sum(terms, index)
    with pytest.raises(ProtocolError, match="not_finished"):
        computed(n_parts, chunks=[0]).partial_sum(terms, 0)


def test_messages_are_rounded_once_at_the_end():
    terms = Terms.of([(0, 0, 1e8), (1, 0, 1.0), (0, 0, -1e8)])
    found = np.frombuffer(computed(wire_dtype="float32").combine(terms), "<f4")
    assert np.allclose(found, gradient(1), rtol=1e-6, atol=1e-7)


def test_float32_gradients_are_added_up_in_float64():
    computer = computed(compute_dtype="float32")
    terms = Terms.of([(chunk, 0, 1.0) for chunk in range(4)])
    kept = [computed(compute_dtype="float32", chunks=[chunk]) for chunk in range(4)]
    parts = [
        np.frombuffer(each.combine(Terms.of([(chunk, 0, 1.0)])), "<f8") for chunk, each in enumerate(kept)
    ]
    assert np.array_equal(np.frombuffer(computer.combine(terms), "<f8"), sum(parts))


def test_what_leaves_the_wire_dtype_becomes_infinite_without_a_warning():
    found = np.frombuffer(computed(wire_dtype="float32").combine(Terms.of([(0, 0, 1e300)])), "<f4")
    assert np.isinf(found).all()


def test_the_result_tells_loss_rows_and_whether_all_is_finite():
    computer = Computer(MODEL)
    result = computer.compute(2, PARAMETERS, *ROWS[2])
    assert result.loss == MODEL.loss_and_gradient(PARAMETERS, *ROWS[2])[0]
    assert (result.rows, result.finite) == (6, True)
    X, y = ROWS[2]
    broken = X.copy()
    broken[0, 0] = np.nan
    assert not computer.compute(2, PARAMETERS, broken, y).finite


def test_large_numbers_whose_sum_overflows_are_finite():
    linear = make_model(ModelShape("linear", n_features=2, n_outputs=1, intercept=False))
    X, y = np.array([[1e200, 1e200]]), np.array([-1e108])
    slopes = linear.loss_and_gradient(np.zeros(2), X, y)[1]
    with np.errstate(over="ignore"):
        assert np.isinf(slopes.sum())
    assert Computer(linear).compute(0, np.zeros(2), X, y).finite


def messages(**terms):
    return [
        MessageOrder(int(number[1:]), Terms.of([(c, 0, 1.0) for c in chunks]))
        for number, chunks in terms.items()
    ]


def test_a_message_is_due_when_the_last_chunk_among_its_terms_is_finished():
    computer = computed(messages=messages(m4=[0], m5=[0, 2], m6=[2, 1]), chunks=[])
    found = {}
    for chunk in (2, 0, 3, 1):
        computer.compute(chunk, PARAMETERS, *ROWS[chunk])
        found[chunk] = computer.due(chunk)
    assert found == {2: [], 0: [4, 5], 3: [], 1: [6]}


def test_what_is_not_there_cannot_be_sent():
    computer = computed(n_parts=2, chunks=[0])
    with pytest.raises(ProtocolError, match="not_finished: chunk 1"):
        computer.combine(Terms.of([(0, 0, 1.0), (1, 0, 1.0)]))
    with pytest.raises(ProtocolError, match="bad_terms: part 2 of 2"):
        computer.combine(Terms.of([(0, 2, 1.0)]))
    assert computer.finished == {0}
    computer.clear()
    assert computer.finished == frozenset()
    with pytest.raises(ProtocolError, match="not_finished"):
        computer.combine(Terms.of([(0, 0, 1.0)]))


def test_parameters_are_read_in_the_wire_dtype_and_used_in_the_compute_dtype():
    computer = computed(wire_dtype="float32", chunks=[])
    found = computer.parameters(PARAMETERS.astype("<f4").tobytes())
    assert found.dtype == np.float64
    assert np.array_equal(found, PARAMETERS.astype(np.float32))
    with pytest.raises(ProtocolError, match="wrong_length"):
        computer.parameters(bytes(28))
    raw = PARAMETERS.astype("<f8").tobytes()
    assert np.shares_memory(computed(chunks=[]).parameters(raw), np.frombuffer(raw))


def test_needed_bytes():
    assert needed_bytes(3, 10, "float32") == 120
