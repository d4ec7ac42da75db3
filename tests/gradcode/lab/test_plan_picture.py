from __future__ import annotations

import pytest

from common.codes import CODES
from common.codes.base import Message, Term
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.partial_stragglers import partial_stragglers
from common.codes.uncoded import uncoded
from common.errors import InvalidSpec
from gradcode.lab.catalogue import example_plan
from gradcode.lab.plan_picture import assignment_text, draw_plan, message_text
from gradcode.lab.plan_report import Effort, absences


@pytest.mark.parametrize("name", CODES)
def test_the_picture_shows_who_holds_what_and_in_which_order(name):
    code = example_plan(name, 12)
    lines = assignment_text(code, width=200).splitlines()
    assert len(lines) == code.n_workers
    for worker, line in enumerate(lines):
        label, cells = line.split()
        assert int(label) == worker
        assert len(cells) == code.n_chunks
        order = code.assignment.orders[worker]
        assert {chunk for chunk, cell in enumerate(cells) if cell != "."} == set(order)
        assert [cells[chunk] for chunk in order] == list("123456789abcdefghijklmnopqrstuvwxyz"[: len(order)])


def test_what_does_not_fit_is_counted():
    code = partial_stragglers(100, chunks_per_worker=4)
    lines = assignment_text(code, width=80, most_workers=16).splitlines()
    assert len(lines) == 17
    assert max(map(len, lines)) == 80
    assert lines[-1].strip() == "... and 84 more workers and 325 more chunks"
    assert assignment_text(uncoded(17), most_workers=16).count("\n") == 16  # a line for a line


def test_later_chunks_share_a_sign():
    assert assignment_text(uncoded(1, chunks_per_worker=40)).split()[1] == (
        "123456789abcdefghijklmnopqrstuvwxyz" + "#" * 5
    )


def test_messages_read_like_sums():
    terms = (Term(3, 0, -1.0), Term(0, 1, 1e-17), Term(4, 1, 0.5))
    assert message_text(Message(0, terms), n_parts=2) == "-g3[0] + 0.5 g4[1]"
    long = Message(0, tuple(Term(chunk, 0, 1.0) for chunk in range(10)))
    assert message_text(long, n_parts=1, most_terms=2) == "g0 + g1 + 8 more"


@pytest.mark.parametrize("code", [cyclic_repetition(6, 1), uncoded(500)], ids=["small", "large"])
def test_a_plan_is_drawn(tmp_path, code):
    from matplotlib.image import imread

    rows = absences(code, Effort(exhaustive=10, random=1, clustered=1, counts=8))
    draw_plan(code, rows, tmp_path / "plan.png")
    picture = imread(tmp_path / "plan.png")
    assert picture.shape[:2] == (690, 1650)
    assert len({tuple(pixel) for pixel in picture[::7, ::7].reshape(-1, picture.shape[2]).round(2)}) > 4


def test_a_picture_that_cannot_be_written_is_bad_input(tmp_path):
    rows = absences(uncoded(2), Effort())
    with pytest.raises(InvalidSpec, match=r"--plot: must end in \.png, \.svg or \.pdf"):
        draw_plan(uncoded(2), rows, tmp_path / "plan.jpeg")
    with pytest.raises(InvalidSpec, match="--plot: must be writable"):
        draw_plan(uncoded(2), rows, tmp_path / "nowhere" / "plan.png")
