"""A worker process that lies: the real one, with a computer that falsifies gradients.

Its first argument is the kind of lie (`gradcode.lab.lies.LIES`), the others are those of a worker.
"""

from __future__ import annotations

import sys
from functools import partial

import worker.engine
from gradcode.lab.lies import LyingComputer
from worker.__main__ import main

if __name__ == "__main__":
    worker.engine.Computer = partial(LyingComputer, sys.argv[1])
    sys.exit(main(sys.argv[2:]))
