from __future__ import annotations

from collections import Counter

from gradcode.chaos.plan import KINDS, MASTER_KINDS, make_plan


def test_a_plan_follows_from_its_seed():
    assert make_plan(3, 100.0, 5, 2.0) == make_plan(3, 100.0, 5, 2.0)
    assert make_plan(3, 100.0, 5, 2.0) != make_plan(4, 100.0, 5, 2.0)


def test_ten_minutes_hold_more_than_200_faults_of_all_kinds_equally_often():
    for seed in range(20):
        plan = make_plan(seed, 590.0, 11, 2.5)
        counts = Counter(fault.kind for fault in plan)
        assert len(plan) > 200
        assert set(counts) == set(KINDS)
        assert len(KINDS) >= 10
        kills = [fault.at_seconds for fault in plan if fault.kind == "kill master"]
        assert len(kills) >= 10
        assert max(kills) <= 0.7 * 590.0
        del counts["kill master"]
        assert max(counts.values()) - min(counts.values()) <= 1
        assert [fault.at_seconds for fault in plan] == sorted(fault.at_seconds for fault in plan)


def test_faults_befall_a_worker_or_the_master():
    for fault in make_plan(1, 1000.0, 4, 1.0):
        assert (fault.worker is None) == (fault.kind in MASTER_KINDS)
        assert fault.worker is None or 0 <= fault.worker < 4
        assert fault.for_seconds <= 10.0


def test_only_the_wanted_kinds_are_planned():
    for kinds in (("kill", "cut"), ("kill master",)):
        assert {fault.kind for fault in make_plan(1, 100.0, 4, 1.0, kinds)} == set(kinds)
