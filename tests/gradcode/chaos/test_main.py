"""The command line of chaos."""

from __future__ import annotations

import pytest

from gradcode.chaos.__main__ import main
from gradcode.chaos.plan import KINDS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kinds", "nonsense"], "must be of kill, freeze"),
        (["--minutes", "0"], "must be at least 0.4, got 0"),
        (["--minutes", "nan"], "must be at least 0.4, got nan"),
        (["--every", "x"], "invalid number value: 'x'"),
        (["--workers", "0"], "must be a whole number of at least 1, got '0'"),
        (["--long-run", "-3"], "must be a whole number of at least 1, got '-3'"),
    ],
)
def test_bad_input_is_named(capsys, arguments, said):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_help_shows_examples_kinds_and_exit_codes(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert "exit codes:" in shown
    assert all(kind in shown for kind in KINDS)
