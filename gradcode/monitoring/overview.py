"""The dashboard that opens first: is the run well, how far is it, and what do rounds come to?"""

from __future__ import annotations

from gradcode.monitoring.panels import GREEN, RED, YELLOW, Dashboard, Panel, Query, Row
from gradcode.monitoring.queries import mean, number, quantile, rate, spread

_NOW = Row(
    "Now",
    [
        number(
            "Round", "Number of the round in hand; -1 while workers are awaited.", "gradcode_round{@}", "none"
        ),
        number("Loss", "Newest training loss.", "gradcode_loss{@}"),
        number(
            "Score",
            "Newest score on the held-out rows: accuracy, or R2 of a regression.",
            "gradcode_score{@}",
        ),
        number("Rounds a second", "Over the last minute.", "gradcode:rounds:rate1m{@}", "cps"),
        number(
            "Exact rounds",
            "Share of the last five minutes' rounds that gave the whole gradient.",
            'gradcode:rounds:share5m{@, outcome="exact"}',
            "percentunit",
            ((0, RED), (0.5, YELLOW), (0.9, GREEN)),
        ),
        number(
            "Recovered",
            "Share of the gradient that the last round recovered.",
            "gradcode_recovered_fraction{@}",
            "percentunit",
            ((0, RED), (0.5, YELLOW), (0.999, GREEN)),
        ),
        number(
            "Losses left",
            "So many more places may be lost and rounds are exact for sure; below 0 they need luck.",
            "gradcode:losses_left{@}",
            "none",
            ((-1e6, RED), (0, YELLOW), (1, GREEN)),
        ),
        number(
            "Against uncoded",
            "Time that the last five minutes' rounds took, as a share of what they would have taken without "
            "redundancy. Rounds that would never have ended count with nothing there.",
            "gradcode:round_duration:uncoded_ratio5m{@}",
            "percentunit",
            ((0, GREEN), (1, YELLOW)),
        ),
    ],
)

_LEARNING = Row(
    "Learning",
    [
        Panel(
            "Training loss",
            "Mean over the rows of the chunks that were finished in a round.",
            [Query("gradcode_loss{@}", "loss")],
            log=True,
        ),
        Panel(
            "Gradient norm",
            "Norm of the combined gradient, as a mean over the training rows; it shrinks as a run settles.",
            [Query("gradcode_gradient_norm{@}", "norm")],
            log=True,
        ),
    ],
)

_ROUNDS = Row(
    "Rounds",
    [
        Panel(
            "Rounds by outcome",
            "Exact: the whole gradient. Approximate: an estimate. Failed: no gradient that could be used.",
            [Query(rate("gradcode_rounds_total", "outcome"), "{{outcome}}")],
            unit="cps",
            stacked=True,
        ),
        Panel(
            "Round duration and deadline",
            "So long half, 95 % and 99 % of the rounds take; dashed the deadline. Durations that hug the "
            "deadline: more straggles than the code can absorb.",
            [*spread("gradcode_round_duration_seconds"), Query("gradcode_deadline_seconds{@}", "deadline")],
            unit="s",
            lines=["deadline"],
        ),
        Panel(
            "What ended rounds",
            "Exact: nothing more was needed. Enough: as much as the experiment asks for. Deadline: time was "
            "up. Exhausted: nobody could give more.",
            [Query(rate("gradcode_rounds_total", "end"), "{{end}}")],
            unit="cps",
            width=8,
            stacked=True,
        ),
        Panel(
            "Recovered fraction and residual",
            "Of the last round at each scrape. 1 and 0 when it is exact.",
            [
                Query("gradcode_recovered_fraction{@}", "recovered"),
                Query("gradcode_residual{@}", "residual"),
            ],
            width=8,
            least=0,
        ),
        Panel(
            "Noise amplification",
            "Norm of the last round's decoding weights: rounding errors of messages grow by so much at most.",
            [Query("gradcode_noise_amplification{@}", "amplification")],
            width=8,
            least=0,
        ),
    ],
)

_COST = Row(
    "What the master does in a round",
    [
        Panel(
            "Decoding",
            "Mean time to collect messages on request, to solve for weights and to combine.",
            [Query(mean("gradcode_decode_duration_seconds", "stage"), "{{stage}}")],
            unit="s",
            width=8,
            stacked=True,
        ),
        Panel(
            "Event loop",
            "How late the master is for a timer. Above 0.1 s it is too busy: larger chunks help.",
            [
                Query("gradcode_event_loop_lag_max_seconds{@}", "largest of 10 s"),
                Query(quantile(0.99, "gradcode_event_loop_lag_seconds"), "99 %"),
            ],
            unit="s",
            width=8,
        ),
        Panel(
            "Waiting that redundancy saved",
            "Seconds a second that rounds took, and would have taken without redundancy with the same times.",
            [
                Query(rate("gradcode_round_duration_seconds_sum"), "taken"),
                Query(rate("gradcode_uncoded_seconds_total"), "without redundancy"),
            ],
            width=8,
            least=0,
        ),
    ],
)

OVERVIEW = Dashboard(
    "gradcode-overview",
    "gradcode: run overview",
    "Is the run well, how far is it, and what do its rounds come to?",
    [_NOW, _LEARNING, _ROUNDS, _COST],
)
