"""``gradcode train``: starts a master and workers here, follows the run, and says what it came to."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio
from rich.console import Console

from common.errors import GradcodeError, InvalidSpec, ProtocolError
from common.experiment import Experiment, load_experiment, to_toml
from common.folder import EXPERIMENT, HISTORY, read_history, read_summary
from common.history import RoundRecord, record_from_json, strict_json, to_json
from common.wire.control import RunStatus, WorkerStatus
from common.wire.rpc import ControlClient, client_options
from gradcode.display import Board, LiveDisplay, note_line, round_line
from gradcode.local import POLL_SECONDS, Announced, LocalProcesses
from gradcode.summary import RunSummary, as_text, summarise_run
from master.resume import locate

FRAME_SECONDS = 0.1
"""Between two drawings of the live board."""
PATIENCE_SECONDS = 10.0
"""So long an interrupted master may take to end in order."""
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to run an experiment on this machine.

    Attributes:
        form: ``live``, ``text`` or ``json``.
        runs: parent of run folders. run_folder: the run's own folder instead, or None.
        port: of the master; 0 takes a free one. metrics: HOST:PORT of its metrics, or ``off``.
        n_workers: worker processes to start.
        keep_logs: keep the logs of all processes in the run's folder, even if all went well.
    """

    form: str
    runs: Path
    run_folder: Path | None
    port: int
    metrics: str
    n_workers: int
    keep_logs: bool

    def master_arguments(self) -> list[str]:
        """The same for ``python -m master``."""
        where = ["--run-folder", str(self.run_folder)] if self.run_folder else ["--runs", str(self.runs)]
        return ["--listen", f"127.0.0.1:{self.port}", "--metrics", self.metrics, *where]


# ---- views ----------------------------------------------------------------------------------------------


class View(Protocol):
    """What people or programs see of a run."""

    polls: bool

    def begin(self, announced: Announced) -> None:
        """The master listens."""

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""

    def status(self, status: RunStatus, workers: list[WorkerStatus]) -> None:
        """How the run stands; asked for every `FRAME_SECONDS` while ``polls``."""

    def close(self) -> None:
        """Nothing more comes but the summary."""

    def summary(self, summary: RunSummary) -> None:
        """The run is over."""


class TextView:
    """One line for each round and for everything that happened in it."""

    def __init__(self, rounds: int) -> None:
        self.polls = True
        self._rounds = rounds
        self._waiting_for = ""

    def begin(self, announced: Announced) -> None:
        """The master listens."""
        page = f", status page at http://{announced.metrics}/" if announced.metrics else ""
        print(f"master at {announced.address}{page}, run folder {announced.folder}", flush=True)

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""
        self.polls = False
        for event in record.events:
            print(note_line(record, event))
        print(round_line(record, self._rounds), flush=True)

    def status(self, status: RunStatus, workers: list[WorkerStatus]) -> None:
        """Say what the run waits for before its first round."""
        if status.phase == "waiting" and status.detail != self._waiting_for:
            self._waiting_for = status.detail
            print(status.detail, flush=True)

    def close(self) -> None:
        """Nothing is open."""

    def summary(self, summary: RunSummary) -> None:
        """The run is over."""
        print(f"\n{as_text(summary)}", flush=True)


class JsonView:
    """One JSON object a line: a round each, and the summary at the end."""

    polls = False

    def begin(self, announced: Announced) -> None:
        """Nothing to say yet."""

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""
        print('{"event": "round", ' + to_json(record)[1:], flush=True)

    def status(self, status: RunStatus, workers: list[WorkerStatus]) -> None:
        """Not for machines: the master's metrics are."""

    def close(self) -> None:
        """Nothing is open."""

    def summary(self, summary: RunSummary) -> None:
        """The run is over."""
        print(strict_json(summary.to_event()), flush=True)


class LiveView:
    """The board, drawn in place."""

    polls = True

    def __init__(self, experiment: Experiment, n_workers: int) -> None:
        places = n_workers if experiment.workers == "joined" else experiment.workers
        self._board = Board(experiment.name, experiment.code, "", places, experiment.rounds)
        self._display = LiveDisplay(Console(highlight=False))
        self._board.message = "the master reads the data"
        self._display.start()
        self._display.draw(self._board)

    def begin(self, announced: Announced) -> None:
        """The master listens."""
        page = f"  http://{announced.metrics}/" if announced.metrics else ""
        self._board.address = announced.address + page
        self._board.message = ""

    def record(self, record: RoundRecord) -> None:
        """A round has ended."""
        self._board.hear_record(record)

    def status(self, status: RunStatus, workers: list[WorkerStatus]) -> None:
        """Draw."""
        self._board.hear_status(status, workers, time.monotonic())
        self._display.draw(self._board)

    def close(self) -> None:
        """Leave the last drawing where it is."""
        self._display.draw(self._board)
        self._display.stop()

    def summary(self, summary: RunSummary) -> None:
        """The run is over."""
        print(f"\n{as_text(summary, Console().width)}", flush=True)


def make_view(form: str, experiment: Experiment, n_workers: int) -> View:
    """The view called ``form``."""
    if form == "json":
        return JsonView()
    return LiveView(experiment, n_workers) if form == "live" else TextView(experiment.rounds)


# ---- following a run ------------------------------------------------------------------------------------


class HistoryTail:
    """The records that were added to a run's history since the last look.

    Args:
        folder: of the run. told_bytes: length of the part that nobody wants to see again.
    """

    def __init__(self, folder: Path, told_bytes: int = 0) -> None:
        self._file = (folder / HISTORY).open("rb")
        self._file.seek(told_bytes)
        self._torn = b""

    def read(self) -> list[RoundRecord]:
        """New records; a line that is not whole yet waits for the rest of it."""
        *lines, self._torn = (self._torn + self._file.read()).split(b"\n")
        return [record_from_json(line.decode()) for line in lines]

    def close(self) -> None:
        """Look no more."""
        self._file.close()


class Interrupts:
    """Counts Ctrl-C and other signals that ask to stop, while the ``with`` block lasts.

    Args:
        heard: called for each with how many there were so far.
    """

    def __init__(self, heard: Callable[[int], None]) -> None:
        self.count = 0
        self.first_at = 0.0
        self._heard = heard

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _hear(self) -> None:
        self.count += 1
        self.first_at = self.first_at or time.monotonic()
        self._heard(self.count)


def resumed(folder: Path, file: Path | None, overrides: list[str] | None) -> Experiment:
    """The experiment of the run in ``folder``, which is to go on.

    Raises:
        InvalidSpec: the folder holds no run, or something else is asked for as well.
    """
    if file is not None or overrides:
        raise InvalidSpec("--resume", "takes no EXPERIMENT and no --set: the run has its own", str(folder))
    if not (folder / EXPERIMENT).exists():
        raise InvalidSpec("--resume", f"must be a run folder, with {EXPERIMENT} in it", str(folder))
    return load_experiment(folder / EXPERIMENT)


def train(experiment: Experiment, options: TrainOptions) -> int:
    """Run an experiment on this machine to its end.

    Returns:
        The exit code: that of the master, or 130 when interrupted. No process is left, whatever happens.

    Raises:
        ProcessEnded: the master could not begin, or all workers ended before the first round.
        InvalidSpec: the folder holds a run of another experiment. RunIsOver: one that has ended.
    """
    # The master would say so too, but it takes a second to start.
    locate(experiment, options.run_folder, options.runs, False)
    return asyncio.run(_train(experiment, options))


async def _train(experiment: Experiment, options: TrainOptions) -> int:
    with LocalProcesses() as processes:

        def heard(count: int) -> None:
            if count == 1:
                processes.signal_master(signal.SIGINT)
            else:
                processes.kill()

        with Interrupts(heard) as interrupts:
            view = make_view(options.form, experiment, options.n_workers)
            try:
                processes.start_master(to_toml(experiment), options.master_arguments())
                announced = await processes.announced()
                view.begin(announced)
                # Rounds from before a restart were told then.
                told_bytes = (Path(announced.folder) / HISTORY).stat().st_size
                processes.start_workers(announced.address, options.n_workers)
                await _follow(processes, announced, view, interrupts, told_bytes)
                await processes.wait_for_workers()
            except GradcodeError:
                if interrupts.count:
                    return INTERRUPTED
                raise
            finally:
                view.close()
        code = _exit_code(processes.master.returncode, interrupts.count)
        if options.keep_logs or code not in (0, INTERRUPTED):
            logs = processes.keep_logs(Path(announced.folder))
            if not options.keep_logs:
                print(f"gradcode: logs of all processes are kept in {logs}", file=sys.stderr)
        folder = announced.folder
        view.summary(summarise_run(read_history(folder), read_summary(folder), folder))
        return code


def _exit_code(master_code: int | None, n_interrupts: int) -> int:
    if n_interrupts:
        return INTERRUPTED
    return 3 if master_code is None or master_code < 0 else master_code


async def _follow(
    processes: LocalProcesses,
    announced: Announced,
    view: View,
    interrupts: Interrupts,
    told_bytes: int,
) -> None:
    """Show the run until its master has ended."""
    tail = HistoryTail(Path(announced.folder), told_bytes)
    began = False
    async with grpc.aio.insecure_channel(announced.address, options=client_options()) as channel:
        client = ControlClient(channel, timeout_seconds=1.0)
        while processes.master.poll() is None:
            for record in tail.read():
                began = True
                view.record(record)
            if not began:
                processes.check_workers()
            if interrupts.count and time.monotonic() - interrupts.first_at > PATIENCE_SECONDS:
                processes.kill()
            if view.polls:
                await _poll(client, view)
                await asyncio.sleep(FRAME_SECONDS)
            else:
                await asyncio.sleep(POLL_SECONDS)
    for record in tail.read():
        view.record(record)
    tail.close()


async def _poll(client: ControlClient, view: View) -> None:
    """Show how the run stands; a master that does not answer now may do so next time, or has ended."""
    try:
        status, workers = await asyncio.gather(client.get_status(), client.list_workers())
    except (grpc.aio.AioRpcError, ProtocolError):
        return
    view.status(status, workers)
