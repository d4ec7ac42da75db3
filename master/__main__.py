"""``python -m master``: the master of one run; the same as ``gradcode master``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

# gRPC tells of every connection that ends; the run's own log says it better. It looks once, when imported.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# What the master solves is small: on a busy machine more threads wait for each other longer than they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from common.errors import GradcodeError
from common.experiment import Experiment, load_experiment
from common.lifeline import end_with_parent
from master.logs import configure_logs
from master.options import add_security_options, page_security_of, security_of
from master.run import Master, MasterOptions

EXAMPLES = """examples:
  python -m master                                  digits, 8 workers, on 127.0.0.1:7070
  python -m master experiment.toml --set workers=4
  python -m master --listen 0.0.0.0:7070 --tls master-tls --set workers=joined
  python -m master --listen 0.0.0.0:7070 --insecure-network --token-file token

  python -m master experiment.toml --resume         goes on where a master was killed or interrupted

exit codes: 0 the run ended, 2 bad input, 3 the run failed or diverged, 130 interrupted
"""


def run_master(experiment: Experiment, options: MasterOptions) -> int:
    """Run a master to its end. Returns the exit code."""
    master = Master(experiment, options)
    master.prepare()
    # What is there now stays; of what comes next little is ever in a cycle. Searching less takes a tenth off
    # the processor time of a round.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

    def heed_signals() -> None:
        """The first signal ends the run in order, the second at once."""
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            master.interrupt()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupted)

    return asyncio.run(master.run(heed_signals))


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    defaults = MasterOptions()
    parser = argparse.ArgumentParser(
        "python -m master",
        description="The master of one run: decides, decodes and steps; workers dial in.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiment", nargs="?", type=Path, help="TOML file; without one the defaults run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a field")
    parser.add_argument("--listen", default=defaults.listen, metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument(
        "--metrics", default=defaults.metrics, metavar="HOST:PORT|off", help="default %(default)s"
    )
    parser.add_argument(
        "--metrics-places",
        type=int,
        default=defaults.metrics_places,
        metavar="N",
        help="so many places have metrics of their own, above that the slowest (default %(default)s)",
    )
    parser.add_argument("--runs", type=Path, default=defaults.runs, help="parent of run folders")
    parser.add_argument("--run-folder", type=Path, help="the run's own folder; a run there goes on")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with this experiment's newest unfinished run",
    )
    add_security_options(parser)
    parser.add_argument("--announce", type=Path, help="write the real addresses to this file (JSON)")
    parser.add_argument(
        "--stop-on-eof", action="store_true", help="end when standard input ends, as it does with a parent"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", default="auto", choices=["auto", "text", "json"])
    given = parser.parse_args(argv)
    configure_logs(given.log_level, given.log_format)
    if given.stop_on_eof:
        end_with_parent()
    try:
        options = MasterOptions(
            listen=given.listen,
            metrics=given.metrics,
            runs=given.runs,
            folder=given.run_folder,
            resume=given.resume,
            security=security_of(given),
            page=page_security_of(given),
            announce=given.announce,
            metrics_places=given.metrics_places,
        )
        return run_master(load_experiment(given.experiment, given.set), options)
    except GradcodeError as error:
        print(f"gradcode master: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
