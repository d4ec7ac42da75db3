"""A token is proved and never sent, and no proof is good twice."""

from __future__ import annotations

import pytest

from common.errors import ProtocolError
from common.wire.access import CHALLENGE_SECONDS, Challenges, as_worker, proven, worker_in
from common.wire.rpc import FETCH_ROWS, SESSION

TOKEN = "a token that nobody guesses"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(
    challenges: Challenges, metadata, method: str = SESSION, tokens: tuple[str, ...] = (TOKEN,)
) -> str:
    with pytest.raises(ProtocolError) as caught:
        challenges.check(metadata, method, tokens)
    return caught.value.kind


def test_a_proof_is_good_once():
    challenges = Challenges()
    metadata = proven(TOKEN, SESSION, challenges.fresh())
    challenges.check(metadata, SESSION, (TOKEN,))
    assert refused(challenges, metadata) == "replayed_token"


def test_the_token_itself_is_in_no_call():
    ((key, value),) = proven(TOKEN, SESSION, Challenges().fresh())
    assert key == "authorization"
    assert TOKEN not in value


def test_a_proof_is_good_for_its_own_method_only():
    challenges = Challenges()
    assert refused(challenges, proven(TOKEN, SESSION, challenges.fresh()), FETCH_ROWS) == "wrong_token"


def test_a_proof_is_good_for_a_while_only():
    clock = Clock()
    challenges = Challenges(clock)
    metadata = proven(TOKEN, SESSION, challenges.fresh())
    clock.now += CHALLENGE_SECONDS + 0.1
    assert refused(challenges, metadata) == "replayed_token"


def test_a_proof_is_good_at_one_master_only():
    assert refused(Challenges(), proven(TOKEN, SESSION, Challenges().fresh())) == "replayed_token"


def test_what_was_used_is_forgotten_when_it_is_too_old_anyway():
    clock = Clock()
    challenges = Challenges(clock)
    for _ in range(100):
        challenges.check(proven(TOKEN, SESSION, challenges.fresh()), SESSION, (TOKEN,))
    assert len(challenges._answered) == len(challenges._order) == 100
    clock.now += CHALLENGE_SECONDS + 2.0
    challenges.check(proven(TOKEN, SESSION, challenges.fresh()), SESSION, (TOKEN,))
    assert len(challenges._answered) == len(challenges._order) == 1


def test_strangers_leave_nothing_in_memory():
    challenges = Challenges()
    for _ in range(100):
        assert refused(challenges, proven("a guess", SESSION, challenges.fresh())) == "wrong_token"
    assert len(challenges._answered) == 0


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        (),
        (("authorization", f"Bearer {TOKEN}"),),
        (("authorization", "Gradcode"),),
        (("authorization", "Gradcode ."),),
        (("authorization", "Gradcode !.?"),),
        (("authorization", b"\xff\xfe"),),
        (("authorization", "Gradcode a.b"), ("authorization", "Gradcode a.b")),
    ],
)
def test_what_is_no_proof_is_refused(metadata):
    assert refused(Challenges(), metadata) == "wrong_token"


def test_two_tokens_may_be_good_at_a_time():
    challenges = Challenges()
    for token in ("new", "old"):
        challenges.check(proven(token, SESSION, challenges.fresh()), SESSION, ("new", "old"))
    assert (
        refused(challenges, proven("older", SESSION, challenges.fresh()), SESSION, ("new", "old"))
        == "wrong_token"
    )


@pytest.mark.parametrize("name", ["worker-3", "rack 3", "Käse/%2F", "host:1"])
def test_a_worker_s_name_survives_the_way(name):
    assert worker_in(as_worker(name)) == name
    assert worker_in(as_worker(name) + as_worker(name)) is None
