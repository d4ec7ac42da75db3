"""``gradcode codes`` as people and scripts use it, in this process."""

from __future__ import annotations

import json
import re
import sys

import pytest

from common.codes import CODES
from common.codes.quality import worst_noise
from common.spec import make_code
from gradcode import cli, commands_codes
from gradcode.lab.catalogue import n_workers_of


@pytest.fixture
def gradcode(monkeypatch, capsys):
    """Runs the command, without taking much time; gives its exit code, stdout and stderr."""
    monkeypatch.setattr(commands_codes, "DECODING_SECONDS", 0.3)

    def run(*arguments, columns=100):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "argv", ["gradcode", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


# ---- all codes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_all_codes_are_listed(gradcode, columns):
    code, out, err = gradcode("codes", columns=columns)
    assert (code, err) == (0, "")
    table, _, texts = out.partition("load      share of")
    assert list(CODES) == re.findall(r"^ (\w+)\(.*%", table, flags=re.M)
    assert list(CODES) == re.findall(r"^(\w+)\([a-z_]*, ", texts, flags=re.M)
    assert re.search(r"cyclic_repetition\(12, 3\) +33\.3% +4 +12 x d +3", table)
    signatures = [line for line in out.splitlines() if re.match(r"\w+\(", line)]
    assert max(len(line.rstrip()) for line in out.splitlines() if line not in signatures) <= columns


def test_other_numbers_of_workers(gradcode):
    _, out, _ = gradcode("codes", "-n", "9")
    assert re.search(r"uncoded\(9\) +11\.1%", out)
    assert "fractional_repetition(9, 2)" in out  # 4 does not divide 9


def test_all_codes_for_scripts(gradcode):
    code, out, err = gradcode("codes", "--format", "json")
    assert (code, err) == (0, "")
    found = {each["code"]: each for each in map(json.loads, out.splitlines())}
    assert list(found) == list(CODES)
    for name, each in found.items():
        plan = each["plan"]
        assert each["signature"].startswith(name)
        assert set(plan) >= {
            "load",
            "least_replication",
            "n_messages",
            "message_length",
            "exact_without",
            "promise",
        }
        assert make_code(plan["spec"], plan["n_workers"]).n_chunks == plan["n_chunks"]
    assert found["fractional_repetition"]["plan"]["exact_without"] == 3
    assert found["ignore_stragglers"]["plan"]["exact_without"] is None
    assert found["cyclic_repetition"]["source"].startswith("Tandon et al. 2017")


# ---- one plan -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_a_plan_is_shown(gradcode, monkeypatch, columns):
    monkeypatch.setattr(commands_codes, "DECODING_SECONDS", 10.0)
    code, out, err = gradcode("codes", "fractional_repetition(9, 2)", columns=columns)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= columns
    assert "exact with any 2 absent" in out
    assert "3 of 9 chunks (33.3%); exact without any 2 needs at least 3" in " ".join(out.split())
    assert "  4 ...123..." in out
    assert "sends g0 + g1 + g2" in out
    rows = re.findall(r"^ +(\d+) +all (\d+) +([\d.]+)% +([\d.]+) ", out, flags=re.M)
    assert [int(absent) for absent, *_ in rows] == list(range(10))
    assert rows[2][1:] == ("36", "100.0", "0")
    assert rows[3][1:] == ("84", "96.4", "1.73")
    assert "sampled" not in out
    assert "worst set  of 3: 0, 3, 6" in out


def test_n_is_what_the_option_says(gradcode, monkeypatch):
    monkeypatch.setattr(commands_codes, "DECODING_SECONDS", 0.0)
    assert "uncoded(5)\n" in gradcode("codes", "uncoded(n)", "-n", "5")[1]
    assert "uncoded(12)\n" in gradcode("codes", "uncoded(n)")[1]
    assert "cyclic_repetition(7, 3)\n" in gradcode("codes", "cyclic_repetition", "-n", "7")[1]
    code, _, err = gradcode("codes", "cyclic_repetition(12, 3)", "-n", "10")
    assert code == 2
    assert "n_workers must equal workers (10), got 12" in err


def test_a_plan_for_scripts(gradcode, monkeypatch):
    monkeypatch.setattr(commands_codes, "DECODING_SECONDS", 10.0)
    code, out, err = gradcode("codes", "partial_stragglers(6, 2)", "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["plan"]["on_request"]
    assert found["assignment"][5] == [5, 0]
    assert [row["n_absent"] for row in found["absences"]] == list(range(7))
    assert [row["worst_residual"] for row in found["absences"][:3]] == [0, 0, 1]
    assert all(row["exhaustive"] for row in found["absences"])
    noise = worst_noise(make_code("partial_stragglers(6, 2)", 6))
    assert [(each["dtype"], each["carries"]) for each in found["wire"]] == [
        ("float32", True),
        ("float64", True),
    ]
    assert found["wire"][0]["noise"] == pytest.approx(noise)


def test_a_large_plan_is_sampled_and_says_so(gradcode, monkeypatch):
    # How thoroughly depends on how fast this machine decodes right now; rows are left out where it is slow.
    monkeypatch.setattr("gradcode.commands_codes._decoding_seconds", lambda code: 5e-4)
    _, out, _ = gradcode("codes", "cyclic_repetition(50, 3)", columns=80)
    assert "... and 34 more workers" in out
    assert re.search(r"^ +0 +all 1 +100\.0%", out, flags=re.M)
    assert re.search(r"^ +25 +\d+ sampled ", out, flags=re.M)
    assert "the truly worst may be worse" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80

    _, out, _ = gradcode("codes", "fractional_repetition(1000, 3)", "--format", "json")
    rows = json.loads(out)["absences"]
    assert len(rows) < 100
    assert rows[-1]["n_absent"] == 1000
    assert sum(row["n_patterns"] for row in rows) < 3000


def test_a_plan_that_float32_cannot_carry_says_so(gradcode):
    _, out, _ = gradcode("codes", 'cyclic_repetition(51, 10, variant="cyclic_mds")')
    assert "float32 is refused" in " ".join(out.split())
    _, out, _ = gradcode("codes", "cyclic_repetition(8, 3)")
    assert "refused" not in out


def test_a_plan_is_drawn(gradcode, tmp_path):
    code, out, err = gradcode("codes", "cyclic_repetition(5, 2)", "--plot", str(tmp_path / "plan.png"))
    assert (code, err) == (0, "")
    assert "Who holds what" in out
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_an_impossible_plan_is_refused_with_what_is_possible_near_it(gradcode):
    code, out, err = gradcode("codes", "fractional_repetition(7, 2)")
    assert (code, out) == (2, "")
    error, near = err.splitlines()
    assert error.startswith("gradcode: n_stragglers: n_stragglers + 1 must divide n_workers = 7")
    assert near.startswith("possible near it: fractional_repetition(6, 2), fractional_repetition(9, 2), ")
    for spec in re.findall(r"\w+\(\d+, \d+\)", near):
        assert make_code(spec, n_workers_of(spec)).spec == spec


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cyclic_repetitio(12, 3)"], "did you mean cyclic_repetition?"),
        (["cyclic_repetition(12, 3"], "must be a name with arguments"),
        (["cyclic_repetition(12)"], "n_stragglers is missing"),
        (["uncoded(3)", "--plot", "plan.jpeg"], "must end in .png, .svg or .pdf"),
        (["--plot", "plan.png"], "needs a PLAN to draw"),
    ],
)
def test_bad_input_is_one_line(gradcode, arguments, said):
    code, out, err = gradcode("codes", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
