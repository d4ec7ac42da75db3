"""The master decides: rounds, membership, deadlines, decoding, the step."""

from os.path import dirname

import common

if dirname(dirname(common.__file__ or "")) != dirname(dirname(__file__)):
    raise ImportError(
        f"{common.__file__} hides gradcode's own package 'common'; install gradcode into an environment "
        "of its own, and look at PYTHONPATH"
    )
