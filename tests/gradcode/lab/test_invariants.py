"""What must hold in whatever order events come: hypothesis draws the plots, so that a failing one is shrunk.

The failure search draws the same plots from plain seeds, and many more. ``GRADCODE_EXAMPLES`` sets how many
runs are tried here.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradcode.lab.playing import L2, RATE, play, play_twice, world
from gradcode.lab.plots import Plot, draw_plot, known_code
from master import commands as cmd

EXAMPLES = int(os.environ.get("GRADCODE_EXAMPLES", "100"))

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
chances = st.randoms(use_true_random=False)


@many
@given(chances)
def test_whatever_happens_the_books_are_right(rng: random.Random):
    play(draw_plot(rng))


@settings(many, max_examples=max(1, EXAMPLES // 5))
@given(chances)
def test_same_arguments_same_history_in_timing_mode_too(rng: random.Random):
    play_twice(draw_plot(rng))


def bearable(rng: random.Random) -> Plot:
    """As many workers are lost, slow or silent as the code can do without; frames come late and twice.

    Silent workers that nobody can stand in for are late, not lost, so they are waited for.
    """
    plot = draw_plot(rng)
    code = known_code(plot.code, plot.n_workers)
    lost = rng.sample(range(plot.n_workers), rng.randint(0, code.n_stragglers))
    return replace(
        plot,
        settings={
            "n_workers": plot.n_workers,
            "rounds": rng.randint(1, 12),
            "join_timeout_seconds": 1.0,
            "on_shortfall": "wait",
            "lost_seconds": 60.0,
        },
        verify="none",
        liars={},
        delays=replace(plot.delays, interruptions=(), factors=tuple((place, 20.0) for place in lost)),
        n_coming=plot.n_workers,
        actions=tuple((rng.uniform(0.0, 0.5), rng.choice(["cut", "mute"]), place) for place in lost),
        frames={name: odds for name, odds in plot.frames.items() if name != "lost"},
        learning=True,
    )


def decodes_exactly(plot: Plot) -> bool:
    """Whether the code promises anything: some never are exact, or end rounds before all is there."""
    code = known_code(plot.code, plot.n_workers)
    name = code.spec.split("(")[0]
    ends_early = code.enough_messages is not None or code.enough_recovered < 1.0
    return not ends_early and name in EXACT


EXACT = {
    "uncoded",
    "fractional_repetition",
    "cyclic_repetition",
    "reed_solomon_repetition",
    "grouped",
    "partial_naive_fractional",
    "partial_naive_cyclic",
    "partial_stragglers",
    "scheduled",
    "communication_efficient_fractional",
    "ye_abbe",
    "uncoded_streaming",
}


@settings(many, max_examples=max(1, EXAMPLES // 2))
@given(chances.map(bearable).filter(decodes_exactly))
def test_with_as_many_absent_as_the_code_bears_every_step_is_that_of_gradient_descent(plot: Plot):
    played = play(plot)
    assert played.finish == cmd.Finish(f"all {plot.settings['rounds']} rounds are done", 0)
    assert {record.outcome for record in played.records} == {"exact"}
    model, data = world()
    point = model.initial()
    for _ in played.records:
        gradient = model.loss_and_gradient(point, data.X_train, data.y_train)[1] / data.n_rows
        point = point - RATE * (gradient + L2 * np.where(model.regularised(), point, 0.0))
    noise = max(record.noise_amplification for record in played.records)
    assert np.allclose(played.parameters, point, rtol=1e-6, atol=1e-9 * (1 + noise))
