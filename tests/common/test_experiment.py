from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import common
from common.datasets.labels import TASKS
from common.delays import DISTRIBUTIONS, VARIES, Delays
from common.errors import InvalidSpec
from common.experiment import Experiment, check_experiment, default_toml, load_experiment, to_toml
from common.models import MODELS
from common.settings import (
    DataSettings,
    DelaySettings,
    InterruptionSettings,
    LimitSettings,
    ModelSettings,
    OptimizerSettings,
    StopSettings,
)
from master.optimizers import OPTIMIZERS, RATES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
INTERRUPTIONS = st.builds(
    InterruptionSettings,
    place=st.integers(0, 7),
    kind=st.sampled_from(["freeze", "death"]),
    at_seconds=POSITIVE,
    for_seconds=POSITIVE,
) | st.builds(InterruptionSettings, place=st.integers(0, 7), kind=st.just("death"), at_seconds=POSITIVE)
EXPERIMENTS = st.builds(
    Experiment,
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z"),
    workers=st.integers(1, 100) | st.just("joined"),
    code=TEXT,
    enough=st.floats(0.5, 1),
    data=st.builds(DataSettings, source=TEXT, target=st.none() | TEXT),
    stop=st.builds(StopSettings, target_loss=st.none() | st.floats(allow_nan=False, allow_infinity=False)),
    limits=st.builds(LimitSettings, master_memory_mb=st.none() | st.integers(1)),
    delays=st.builds(
        DelaySettings,
        distribution=st.just("constant"),
        seconds=POSITIVE,
        factors=st.dictionaries(st.integers(0, 7), POSITIVE),
        interruptions=st.lists(INTERRUPTIONS, max_size=3).map(tuple),
        varies=st.sampled_from(VARIES),
        burst_share=st.floats(0.0, 0.9),
        burst_rounds=st.floats(10.0, 1e9),
        burst_factor=POSITIVE,
    ),
)


def from_text(tmp_path, text: str, *overrides: str) -> Experiment:
    file = tmp_path / "experiment.toml"
    file.write_text(text, encoding="utf-8")
    return load_experiment(file, overrides)


@settings(max_examples=50, deadline=None)
@given(EXPERIMENTS)
def test_an_experiment_comes_back_from_its_toml_exactly(tmp_path_factory, experiment):
    assert from_text(tmp_path_factory.getbasetemp(), to_toml(experiment)) == experiment


def test_an_empty_file_and_the_printed_defaults_are_the_default_experiment(tmp_path):
    assert from_text(tmp_path, "") == Experiment() == load_experiment()
    assert from_text(tmp_path, default_toml()) == Experiment()


def tables() -> dict[str, type[BaseModel]]:
    """The models of all tables by name; the whole document has the empty name."""
    inner = {name: type(value) for name, value in Experiment() if isinstance(value, BaseModel)}
    return {"": Experiment, **inner}


def test_the_printed_defaults_name_and_describe_every_field():
    sections = re.split(r"^\[(.*)\]$", default_toml(), flags=re.MULTILINE)
    texts = dict(zip(["", *sections[1::2]], sections[::2], strict=True))
    assert set(texts) == set(tables())
    for table, model in tables().items():
        for name, field in model.model_fields.items():
            if name not in tables():
                start = f"\n# {field.description}\n"
                assert f"{start}{name} = " in texts[table] or f"{start}# {name} =\n" in texts[table]


def test_overrides_win_over_the_file_and_later_ones_over_earlier(tmp_path):
    text = "rounds = 10\n[deadline]\nrule = 'fixed'\nseconds = 3\n"
    found = from_text(tmp_path, text, "rounds=20", "deadline.rule=none", "rounds=30", " code = uncoded(n) ")
    assert (found.rounds, found.deadline.rule, found.deadline.seconds) == (30, "none", 3.0)
    assert found.code == "uncoded(n)"


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("code=cyclic_repetition(n, 3)", ("code",), "cyclic_repetition(n, 3)"),
        ("code='uncoded(8)'", ("code",), "uncoded(8)"),
        ("workers=joined", ("workers",), "joined"),
        ("workers=4", ("workers",), 4),
        ("name=2025", ("name",), "2025"),
        ("data.target=3", ("data", "target"), "3"),
        ("data.source=a=b.csv", ("data", "source"), "a=b.csv"),
        ("data.standardise=false", ("data", "standardise"), False),
        ("deadline.factor=3", ("deadline", "factor"), 3.0),
        ("stop.max_seconds=1e2", ("stop", "max_seconds"), 100.0),
        ("delays.factors.3=5.0", ("delays", "factors"), {3: 5.0}),
        ("delays.factors={3 = 5, 4 = 2.5}", ("delays", "factors"), {3: 5.0, 4: 2.5}),
        (
            "delays.interruptions=[{place = 1, kind = 'death', at_seconds = 2}]",
            ("delays", "interruptions"),
            (InterruptionSettings(place=1, kind="death", at_seconds=2.0),),
        ),
    ],
)
def test_an_override_sets_its_field(override, path, value):
    found = load_experiment(None, [override])
    for name in path:
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rounds=0", "rounds: must be at least 1, got 0"),
        ("rounds=many", "rounds: must be a whole number, got 'many'"),
        ("rounds=1.5", "rounds: must be a whole number, got 1.5"),
        ("rounds=true", "rounds: must be a whole number, got True"),
        ("workers=0", "workers: must be a whole number from 1 to 100000, or 'joined', got 0"),
        ("workers=some", "workers: must be a whole number from 1 to 100000, or 'joined', got 'some'"),
        ("enough=0", "enough: must be greater than 0.0, got 0"),
        ("data.held_out=1", "data.held_out: must be less than 1.0, got 1"),
        ("data.standardise=1", "data.standardise: must be true or false, got 1"),
        ("data.source=", "data.source: must not be empty, got ''"),
        ("deadline.factor=nan", "deadline.factor: must be a finite number, got nan"),
        ("deadline.factor=big", "deadline.factor: must be a number, got 'big'"),
        ("deadline.rule=late", "deadline.rule: must be 'none', 'fixed' or 'adaptive', got 'late'"),
        ("deadline=3", "deadline: must be a table, got 3"),
        ("deadline.rule.x=3", "deadline.rule: must be 'none', 'fixed' or 'adaptive', got {'x': 3}"),
        ("delays.factors.first=2", "delays.factors.first: must be a whole number, got 'first'"),
        ("delays.factors=2", "delays.factors: must be a table, got 2"),
        ("delays.interruptions=2", "delays.interruptions: must be a list, got 2"),
        ("delays.interruptions=[{}]", "delays.interruptions.0.place: must be given, got {} (and 2 more)"),
        (
            "delays.interruptions=[{place=1, kind='freeze', at_seconds=1}]",
            "delays.interruptions.0.for_seconds: must be greater than 0 for a freeze, got 0.0",
        ),
        (
            "delays.interruptions=[{place=1, kind='death', at_seconds=1, for_seconds=-1}]",
            "delays.interruptions.0.for_seconds: must be at least 0.0, got -1",
        ),
        ("delays.varies=never", "delays.varies: must be 'chunk', 'round' or 'run', got 'never'"),
        ("delays.burst_share=1", "delays.burst_share: must be less than 1.0, got 1"),
        ("delays.burst_rounds=0.5", "delays.burst_rounds: must be at least 1.0, got 0.5"),
        (
            "delays.burst_share=0.95",
            "delays.burst_rounds: must be at least 1 / (1 - burst_share) = 20, got 10.0",
        ),
        ("delays.burst_factor=0", "delays.burst_factor: must be greater than 0.0, got 0"),
        ("delays.distribution=pareto", "delays.seconds: must be greater than 0 for pareto, got 0.0"),
        (
            "name=a/b",
            "name: must be 1 to 64 letters, digits, dots, dashes or underscores, got 'a/b'",
        ),
        ("roundz=3", "unknown key 'roundz' (did you mean 'rounds'?)"),
        ("deadline.secnds=3", "unknown key 'deadline.secnds' (did you mean 'deadline.seconds'?)"),
        ("learning_rate=3", "unknown key 'learning_rate' (did you mean 'optimizer.learning_rate'?)"),
        ("xyzzy=3", "unknown key 'xyzzy'"),
        (
            "delays.interruptions=[{place=1, kind='death', at_seconds=1, knd=2}]",
            "unknown key 'delays.interruptions.0.knd' (did you mean 'delays.interruptions.0.kind'?)",
        ),
        ("rounds", "--set: must be key=value, such as deadline.factor=3, got 'rounds'"),
        ("=3", "--set: must be key=value, such as deadline.factor=3, got '=3'"),
        ("deadline..rule=3", "--set: must be key=value, such as deadline.factor=3, got 'deadline..rule=3'"),
    ],
)
def test_a_refusal_names_field_rule_and_value_in_one_line(override, words):
    with pytest.raises(InvalidSpec) as caught:
        load_experiment(None, [override])
    assert str(caught.value) == words
    assert caught.value.exit_code == 2


PATHS = [
    f"{table}.{name}".removeprefix(".") for table, model in tables().items() for name in model.model_fields
]


@pytest.mark.parametrize("path", PATHS)
def test_every_rule_of_every_field_is_worded(path):
    """Nothing of the validator's own wording reaches a user, whatever the field and the value."""
    refused = []
    for value in ("-1", "2", "1e400", "true", "'x'", "[]", "[1]", "{}", "{x = 1}", "99999999999999999999"):
        try:
            load_experiment(None, [f"{path}={value}"])
        except InvalidSpec as error:
            refused.append(str(error))
    assert refused or path in ("code", "data.source", "data.target", "checkpoint.url")
    for words in refused:
        assert re.fullmatch(r"\S+: (must be|must not|unknown key).*|unknown key .*", words)
        assert "input" not in words


def test_of_several_mistakes_the_first_is_told_and_the_others_are_counted(tmp_path):
    with pytest.raises(InvalidSpec) as caught:
        from_text(tmp_path, "rounds = 0\nwho = 1\n[data]\nheld_out = 2\n")
    assert str(caught.value) == "rounds: must be at least 1, got 0 (and 2 more)"


@settings(max_examples=50, deadline=None)
@given(EXPERIMENTS)
def test_valid_delay_settings_are_valid_delays(experiment):
    settings = experiment.delays
    delays = settings.to_delays()
    assert dict(delays.factors) == settings.factors
    for name in {field.name for field in dataclasses.fields(Delays)} - {"factors", "interruptions"}:
        assert getattr(delays, name) == getattr(settings, name)
    for place, want in zip(delays.interruptions, settings.interruptions, strict=True):
        assert dataclasses.asdict(place) == want.model_dump()


@pytest.mark.parametrize(
    ("table", "field", "known"),
    [
        (DataSettings, "task", TASKS),
        (DelaySettings, "distribution", DISTRIBUTIONS),
        (DelaySettings, "varies", VARIES),
        (ModelSettings, "name", ["auto", *MODELS]),
        (OptimizerSettings, "name", OPTIMIZERS),
        (OptimizerSettings, "schedule", RATES),
    ],
)
def test_the_names_in_a_file_are_the_names_that_exist(table, field, known):
    written = re.findall(r"'(\w+)'", str(table.model_fields[field].annotation))
    assert set(written) == set(known)


def test_the_page_on_delays_names_every_field_and_its_example_can_be_run(tmp_path):
    text = (Path(common.__file__).parents[1] / "docs" / "delays.md").read_text(encoding="utf-8")
    fields = {*DelaySettings.model_fields, *InterruptionSettings.model_fields}
    assert {name for name in fields if not re.search(rf"\b{name}\b", text)} == set()
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    delays = from_text(tmp_path, example).delays.to_delays()
    assert (delays.distribution, len(delays.interruptions)) == ("weibull", 3)


def test_an_override_into_a_value_of_the_file_is_refused(tmp_path):
    with pytest.raises(InvalidSpec, match="--set: 'rounds' must be a table to set a key in it"):
        from_text(tmp_path, "rounds = 3", "rounds.x=1")


def test_an_experiment_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Experiment().rounds = 3


def test_the_check_makes_the_code_for_the_workers():
    code = check_experiment(load_experiment(None, ["code=fractional_repetition(n, 1)", "workers=6"]))
    assert (code.n_workers, code.n_stragglers) == (6, 1)
    assert check_experiment(Experiment()).n_workers == 8


def test_joined_workers_get_their_code_when_they_are_counted():
    experiment = load_experiment(None, ["workers=joined", "delays.factors.7=2", "code=uncoded"])
    assert check_experiment(experiment) is None
    assert check_experiment(experiment, 4).n_workers == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["code=fractional_repetition(n, 2)"], r"must divide|divides|divide"),
        (["code=cyclic_repetition(7, 2)"], r"must equal workers \(8\), got 7"),
        (["code=cylic_repetition(n, 2)"], r"code: must be one of .*did you mean cyclic_repetition"),
        (["workers=joined", "code=cylic_repetition(n, 2)"], r"did you mean cyclic_repetition"),
        (["code=cyclic_repetition(n, 8)"], r"got 8"),
        (["delays.factors.8=2"], r"delays.factors: must name places from 0 to 7, got 8"),
        (
            ["workers=4", "delays.interruptions=[{place=9, kind='death', at_seconds=1}]"],
            r"delays.interruptions: must name places from 0 to 3, got 9",
        ),
    ],
)
def test_the_check_refuses_what_does_not_fit(overrides, words):
    with pytest.raises(InvalidSpec, match=words) as caught:
        check_experiment(load_experiment(None, overrides))
    assert "\n" not in str(caught.value)
