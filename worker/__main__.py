"""``python -m worker --master HOST:PORT``: one worker process."""

# ruff: noqa: E402 - the environment comes before numpy

from __future__ import annotations

import os

# A process computes in one thread; more would only get into each other's way. Numpy looks at these once.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_variable, "1")
# Lost links are told in one line by the worker itself.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import argparse
import asyncio
import signal
import socket
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from common.errors import GradcodeError, InvalidSpec
from common.lifeline import end_with_parent
from common.options import add_tls_options, tls_of
from common.tls import own_roles
from common.tokens import token_file
from common.wire.access import Access
from common.wire.rpc import parse_address
from worker.logs import configure_logs
from worker.metrics import MetricsServer, WorkerMetrics
from worker.service import Worker, package_version

_EPILOG = """\
examples:
  python -m worker --master 127.0.0.1:50051
  python -m worker --master train.example.org:50051 --tls worker-tls
  python -m worker --master train.example.org:50051 --token-file token.txt --name rack3-node7
  python -m worker --master 127.0.0.1:50051 --metrics-address 127.0.0.1:9101 --give-up 60

exit codes:
  0    the run ended, or the worker was asked to leave (SIGTERM, SIGINT) and did
  2    bad input: an address, token or protocol version that the master refuses, work that cannot be
       done here
  3    no master answered for --give-up seconds

A worker that is asked to leave finishes its round first, for at most 5 seconds; a second signal kills it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker until its master says goodbye.

    Args:
        argv: arguments without the program's name; None for those of the process.

    Returns:
        The exit code, as ``--help`` lists them.
    """
    arguments = _parser().parse_args(argv)
    configure_logs(arguments.log_level, arguments.log_format)
    if arguments.stop_on_eof:
        end_with_parent()
    try:
        return asyncio.run(_work(arguments))
    except GradcodeError as error:
        print(f"worker: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Compute for a gradcode master. All but its address and credentials the master tells.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--master", required=True, metavar="HOST:PORT", help="where the master listens")
    add("--name", help="brings back the former place after a restart (default: host name and a random part)")
    add("--token-file", type=Path, metavar="FILE", help="file with the master's token")
    add_tls_options(parser, "the worker")
    add(
        "--tls-name",
        metavar="NAME",
        help="what the master's certificate is for, if not the host that is dialed",
    )
    add(
        "--metrics-address",
        default="off",
        metavar="HOST:PORT|PORT|off",
        help="serve /metrics and /healthz there; port 0 takes a free one (default: off)",
    )
    add("--give-up", type=float, metavar="SECONDS", help="end when no master answers for so long")
    add("--stop-on-eof", action="store_true", help="end when standard input ends, as it does with a parent")
    add(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning", "error"),
        help="how much to log to stderr (default: info)",
    )
    add(
        "--log-format",
        default="auto",
        choices=("auto", "text", "json"),
        help="auto: text on a terminal, JSON otherwise",
    )
    add("--version", action="version", version=f"gradcode worker {package_version()}")
    return parser


async def _work(arguments: argparse.Namespace) -> int:
    access = Access(tls_of(arguments), token_file(arguments.token_file))
    name = _name(arguments.name, access)
    if arguments.give_up is not None and not arguments.give_up >= 0:
        raise InvalidSpec("--give-up", "must be at least 0 seconds", arguments.give_up)
    parse_address("--master", arguments.master)
    metrics = WorkerMetrics()
    worker = Worker(
        arguments.master,
        name,
        access=access,
        metrics=metrics,
        give_up_seconds=arguments.give_up,
        own_process=True,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _asked_to_leave, worker, number)
    server = _serve_metrics(arguments.metrics_address, metrics, worker)
    try:
        return await worker.run()
    finally:
        if server is not None:
            server.close()


def _name(given: str | None, access: Access) -> str:
    """The worker's name: the given one, else its certificate's, else host and a random part."""
    unique = f"{socket.gethostname()}:{uuid.uuid4()}"
    if access.tls is None:
        return unique if given is None else given
    roles = own_roles(access.tls)
    default = roles.default_name(unique)
    if default is None:
        raise InvalidSpec("--tls-cert", "must be a worker's", str(access.tls.certificate))
    if given is not None and not roles.may_be(given):
        raise InvalidSpec(
            "--name", f"must be one of its certificate's: {', '.join(roles.worker_names)}", given
        )
    return default if given is None else given


def _asked_to_leave(worker: Worker, number: int) -> None:
    worker.log.info("%s: leaving after the round in hand", signal.Signals(number).name)
    worker.stop()
    # A second signal ends the process at once, as if nobody listened.
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(each)
        signal.signal(each, signal.SIG_DFL)


def _serve_metrics(address: str, metrics: WorkerMetrics, worker: Worker) -> MetricsServer | None:
    if address == "off":
        return None
    full = f"127.0.0.1:{address}" if ":" not in address else address
    host, port = parse_address("--metrics-address", full)
    try:
        server = MetricsServer(host, port, metrics, worker.health)
    except OSError as error:
        rule = f"must be an address that can be listened on ({error.strerror or error})"
        raise InvalidSpec("--metrics-address", rule, address) from None
    worker.log.info("metrics at http://%s:%d/metrics", host, server.port)
    return server


if __name__ == "__main__":
    sys.exit(main())
