"""Gradient codes: how chunks are placed, what workers send, and how the sum is found from what arrives."""

from __future__ import annotations

from collections.abc import Callable

from common.codes.all_subsets import all_subsets
from common.codes.base import GradientCode
from common.codes.bernoulli import bernoulli
from common.codes.bipartite import bipartite
from common.codes.block_design import block_design
from common.codes.communication_efficient_fractional import communication_efficient_fractional
from common.codes.cyclic_partial import cyclic_partial
from common.codes.cyclic_repetition import cyclic_repetition
from common.codes.erasurehead import erasurehead
from common.codes.expander import expander
from common.codes.fractional_repetition import fractional_repetition
from common.codes.glasgow_wootters import glasgow_wootters
from common.codes.grouped import grouped
from common.codes.ignore_stragglers import ignore_stragglers
from common.codes.mixed_load_partial import mixed_load_partial
from common.codes.partial_naive import partial_naive_cyclic, partial_naive_fractional
from common.codes.partial_stragglers import partial_stragglers
from common.codes.reed_solomon_repetition import reed_solomon_repetition
from common.codes.resolvable_design import resolvable_design
from common.codes.scheduled import scheduled
from common.codes.stochastic import stochastic
from common.codes.strongly_regular import strongly_regular
from common.codes.sum_and_non_owned import sum_and_non_owned
from common.codes.uncoded import uncoded
from common.codes.uncoded_streaming import uncoded_streaming
from common.codes.ye_abbe import ye_abbe

CODES: dict[str, Callable[..., GradientCode]] = {
    "uncoded": uncoded,
    "ignore_stragglers": ignore_stragglers,
    "fractional_repetition": fractional_repetition,
    "cyclic_repetition": cyclic_repetition,
    "reed_solomon_repetition": reed_solomon_repetition,
    "grouped": grouped,
    "partial_naive_fractional": partial_naive_fractional,
    "partial_naive_cyclic": partial_naive_cyclic,
    "erasurehead": erasurehead,
    "all_subsets": all_subsets,
    "sum_and_non_owned": sum_and_non_owned,
    "cyclic_partial": cyclic_partial,
    "mixed_load_partial": mixed_load_partial,
    "partial_stragglers": partial_stragglers,
    "scheduled": scheduled,
    "communication_efficient_fractional": communication_efficient_fractional,
    "ye_abbe": ye_abbe,
    "block_design": block_design,
    "strongly_regular": strongly_regular,
    "bipartite": bipartite,
    "resolvable_design": resolvable_design,
    "expander": expander,
    "glasgow_wootters": glasgow_wootters,
    "bernoulli": bernoulli,
    "stochastic": stochastic,
    "uncoded_streaming": uncoded_streaming,
}
"""Every code by the name under which an experiment asks for it."""
