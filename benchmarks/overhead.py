"""What watching a run costs its master: history, metrics, scrapes, page; n = 64, rounds as fast as they go.

The master runs in this process; its 64 workers, which have next to nothing to compute, share another one, so
their processor time is not counted. Every two seconds /metrics is asked for; where it says so, a browser
shows the page. Two ways of measuring:

* **Inside**: every function that only watches (``RunFolder.add`` and its like, what counts for the metrics,
  the scrape, what the page remembers and tells) is wrapped in a clock of processor time of its thread. Their
  sum over the processor time of the whole process, from the first round to the last, is the share. The
  clock's own cost counts against them, and so does what the web server does around them: the answer to a
  scrape and the sending of an event are measured as a whole, with an idle server.
* **Against**: the same run with all of it taken out. Processor time a round of both, in turn; their
  difference says the same with the noise of the machine, so it is shown and not judged.

Then the history alone: what writing down a round of 64 places takes at the beginning, and after 100,000
rounds, and what memory grows by in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from common.experiment import load_experiment
from common.folder import RunFolder
from common.history import ChunkRow, RoundRecord
from gradcode.local import child_environment, worker_name
from master import run as master_run
from master.http import start_http
from master.logs import configure_logs
from master.metrics import MasterMetrics
from master.page_face import PageFace
from master.page_feed import PageFacts, PageFeed
from master.run import Master, MasterOptions
from master.status import RunStatus
from worker.service import Worker

N_WORKERS = 64
CODES = {"cyclic_repetition(n, 1)": 200, "scheduled(n, 3, 8)": 30}
"""Rounds of every code: one with 128 chunks a round, and the default with 512."""
FAST = "cyclic_repetition(n, 1)"
"""Its rounds are short, and the limit of a round is for them. Rounds of 512 chunks that take no time last
more than a second, and each carries what comes by the clock: half a scrape, two events of the page.
"""
SCRAPE_EVERY_SECONDS = 2.0
"""As `gradcode monitor export` has it."""
HISTORY_ROUNDS = 100_000
SHARE_LIMIT, ROUND_LIMIT_SECONDS = 0.05, 0.001
SLOWER_LIMIT, MEMORY_LIMIT_MB = 1.5, 5.0
"""History: so much slower may the last rounds be than the first, and so much may memory grow."""

METRICS = ("record", "protocol_error", "link_opened", "link_lost", "loop_lag")
HISTORY = ("add", "add_chunks", "flush")
PARTS = ("history", "metrics", "scrape", "page")


class Played(NamedTuple):
    """A run: its rounds, the master's processor time for them, and that of what watches, by name."""

    rounds: int
    wall_seconds: float
    cpu_seconds: float
    watching: dict[str, float]


class Clocks:
    """Processor time of functions, each counted once however they call each other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside = False

    def wrap(self, holder: object, names: tuple[str, ...], what: str) -> None:
        """Measure these methods of an object from now on."""
        self.seconds.setdefault(what, 0.0)
        for name in names:
            setattr(holder, name, self.clocked(getattr(holder, name), what))

    def clocked(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """The function, measured."""

        def clocked(*given: Any, **named: Any) -> Any:
            if self._inside:
                return function(*given, **named)
            self._inside, began = True, time.thread_time()
            try:
                return function(*given, **named)
            finally:
                self.seconds[what] += time.thread_time() - began
                self._inside = False

        return clocked


def take_out(holder: object, names: tuple[str, ...]) -> None:
    """Let these methods of an object do nothing."""
    for name in names:
        setattr(holder, name, lambda *given, **named: None)


# ---- a run ----------------------------------------------------------------------------------------------


async def play(code: str, rounds: int, watched: bool, shown: bool = False) -> Played:
    """Run the code with workers in a process of their own, with everything that watches, or without.

    With ``shown`` somebody looks at the page all the while.
    """
    changes = [
        f"workers={N_WORKERS}",
        f"code={code}",
        f"rounds={rounds}",
        "evaluate_every=0",
        "deadline.rule=none",
        "data.source=synthetic(rows=1024, features=4)",
    ]
    with tempfile.TemporaryDirectory() as folder:
        options = MasterOptions(
            "127.0.0.1:0", "127.0.0.1:0" if watched else "off", folder=Path(folder) / "run"
        )
        master = Master(load_experiment(None, changes), options)
        master.prepare()
        opened = asyncio.Event()
        if not watched:
            master_run.LoopLag, kept = NoLag, master_run.LoopLag  # type: ignore[misc]
        ending = asyncio.create_task(master.run(opened.set))
        await opened.wait()
        if not watched:
            master_run.LoopLag = kept  # type: ignore[misc]
        clocks, metrics = Clocks(), master.driver._counters
        if watched:
            clocks.wrap(master.folder, HISTORY, "history")
            clocks.wrap(metrics, METRICS, "metrics")
            clocks.wrap(metrics, ("expose",), "scrape")
            clocks.wrap(page_of(master), ("_tell",), "page")
            heard = [clocks.clocked(each, "page") for each in master.driver._scribe._listeners]
            master.driver._scribe._listeners = heard
        else:
            take_out(master.folder, ("add", "add_chunks"))
            take_out(metrics, METRICS)
            master.driver._scribe._listeners = ()
        command = [sys.executable, "-P", __file__, "--workers", master.address]
        with subprocess.Popen(command, env=child_environment(), stderr=subprocess.DEVNULL) as workers:
            try:
                return await measured(master, ending, clocks, watched, shown)
            finally:
                workers.kill()


class NoLag:
    """In place of what measures the event loop's lag."""

    def __init__(self, metrics: object) -> None:
        pass

    def start(self) -> None:
        """Measure nothing."""

    async def stop(self) -> None:
        """Measure nothing."""


def page_of(master: Master) -> PageFace:
    """The page that the master serves."""
    heard = [getattr(each, "__self__", None) for each in master.driver._scribe._listeners]
    return next(each for each in heard if isinstance(each, PageFace))


async def measured(
    master: Master, ending: asyncio.Task[int], clocks: Clocks, watched: bool, shown: bool
) -> Played:
    """From the end of the first round to the end of the run."""
    while master.driver.training.chronicle.last_record is None:
        await asyncio.sleep(0.005)
    first = master.driver.training.chronicle.last_record.round + 1
    clocks.seconds.update(dict.fromkeys(clocks.seconds, 0.0))
    began, wall, stopped = time.process_time(), time.perf_counter(), asyncio.Event()
    n_scrapes = 0
    scraping = asyncio.create_task(scrapes(master.metrics_address, stopped)) if watched else None
    watching = asyncio.create_task(watch_page(master.metrics_address, stopped)) if shown else None
    await master.driver.finished
    cpu, took, seconds = time.process_time() - began, time.perf_counter() - wall, dict(clocks.seconds)
    stopped.set()
    if scraping is not None:
        n_scrapes = await scraping
        # The function was measured; what the web server does around it is added for each scrape.
        seconds["scrape"] += n_scrapes * await answer_seconds()
    if watching is not None:
        seconds["page"] += await watching * await event_seconds()
    code = await ending
    assert code == 0, code
    last = master.driver.training.chronicle.last_record
    assert last is not None
    return Played(last.round + 1 - first, took, cpu, seconds)


async def scrapes(address: str, stopped: asyncio.Event) -> int:
    """Ask for /metrics again and again, in a process of its own so that only the answer is the master's."""
    script = "import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()"
    count = 0
    while not stopped.is_set():
        command = [sys.executable, "-S", "-c", script, f"http://{address}/metrics"]
        process = await asyncio.create_subprocess_exec(*command)
        await process.wait()
        count += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), SCRAPE_EVERY_SECONDS)
    return count


async def answer_seconds() -> float:
    """What answering a scrape costs besides making the text: the same server with a text that is there."""

    class Still(MasterMetrics):
        def expose(self) -> bytes:
            return b"x" * 20_000

    server = await start_http("127.0.0.1:0", Still(no_run), no_run)
    asked = 100
    try:
        own = time.thread_time()
        for _ in range(asked):
            await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://{server.address}/metrics").read())
        return (time.thread_time() - own) / asked
    finally:
        await server.stop()


# ---- history --------------------------------------------------------------------------------------------


def history_costs() -> tuple[float, float, float]:
    """Processor seconds of writing down a round at the beginning and after very many, and MB in between."""
    record = wide_record()
    with tempfile.TemporaryDirectory() as folder, RunFolder(Path(folder) / "run") as held:
        early = adding(held, record, 2_000)
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        adding(held, record, HISTORY_ROUNDS - 4_000)
        late = adding(held, record, 2_000)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return early, late, grown


def adding(folder: RunFolder, record: RoundRecord, rounds: int) -> float:
    """The median of what a round takes."""
    times = []
    for _ in range(rounds):
        began = time.thread_time()
        folder.add(record)
        times.append(time.thread_time() - began)
    return median(times)


def wide_record() -> RoundRecord:
    """A round of 64 places with a chunk each."""
    chunks = tuple(
        ChunkRow(place, worker_name(place), 12345, place, 0.0123456789, 0.0234567891, "used")
        for place in range(N_WORKERS)
    )
    return RoundRecord(
        round=12345, outcome="exact", end="exact", reason="every chunk is recovered", stepped=True,
        loss=0.123456789, loss_share=1.0, residual=0.0, recovered_fraction=1.0, noise_amplification=8.0,
        deadline_seconds=0.0987654321, start_seconds=1234.56789, seconds=0.0456789, collect_seconds=0.00123,
        solve_seconds=0.000456, combine_seconds=0.000789, step_seconds=0.000123, gradient_norm=0.0123456,
        score=None, stragglers=(3, 7), contributors=tuple(range(N_WORKERS)), lost=(), bytes_sent=123456,
        bytes_received=123456, chunks_used=64, chunks_duplicate=0, chunks_late=0, chunks_wasted=0,
        straggler_chunks_used=2, uncoded_seconds=0.0654321, epoch=0, chunks=chunks,
    )  # fmt: skip


# ---- the page -------------------------------------------------------------------------------------------


READING = """
import sys, urllib.request as u
stream, count = u.urlopen(sys.argv[1], timeout=60), 0
for line in stream:
    count += line.startswith(b"data: ")
print(count)
"""


async def watch_page(address: str, stopped: asyncio.Event) -> int:
    """Watch the run as a browser does that shows its page. Returns the number of events that came.

    The stream of events is read to its end by a process of its own.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", READING, f"http://{address}/events", stdout=asyncio.subprocess.PIPE
    )
    await stopped.wait()
    told, _ = await process.communicate()
    return int(told)


async def event_seconds() -> float:
    """What sending an event costs besides making it: the same server with events that are there."""
    told = 200
    page = PageFace(PageFeed(PageFacts("run", "still", 1, "0", 0.0)), no_run, every_seconds=60.0)
    server = await start_http("127.0.0.1:0", MasterMetrics(no_run), no_run, page=page)
    stopped = asyncio.Event()
    reading = asyncio.create_task(watch_page(server.address, stopped))
    try:
        while not page._viewers:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        own = time.thread_time()
        for _ in range(told):
            for viewer in page._viewers:
                viewer.offer(b"data: " + b"x" * 3_000 + b"\n\n")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return (time.thread_time() - own) / told
    finally:
        await page.end()
        stopped.set()
        await reading
        await server.stop()


def no_run() -> RunStatus:
    """How a master stands that has no workers."""
    return RunStatus("waiting", "", -1, "", 0, None, 0.0, (), ())


# ---- the tables -----------------------------------------------------------------------------------------


def watch_costs(console: Console) -> bool:
    """Print what watching costs in real rounds; whether a limit is broken."""
    table = Table(
        "code", "page", "rounds/s", "CPU a round", *PARTS, "together", "share", "without", box=SIMPLE_HEAD
    )
    broken = False
    for code, rounds in CODES.items():
        bare = asyncio.run(play(code, rounds, watched=False))
        without = bare.cpu_seconds / bare.rounds
        for shown in (False, True):
            full = asyncio.run(play(code, rounds, watched=True, shown=shown))
            together = sum(full.watching.values()) / full.rounds
            share = sum(full.watching.values()) / full.cpu_seconds
            costs = [full.cpu_seconds / full.rounds, *(full.watching[part] / full.rounds for part in PARTS)]
            texts = [f"{seconds * 1e3:.2f} ms" for seconds in (*costs, together)]
            rate = f"{full.rounds / full.wall_seconds:.1f}"
            looked = "shown" if shown else "not shown"
            table.add_row(code, looked, rate, *texts, f"{share:.1%}", f"{without * 1e3:.1f} ms")
            broken = broken or share > SHARE_LIMIT or (code == FAST and together > ROUND_LIMIT_SECONDS)
    every = f"a scrape every {SCRAPE_EVERY_SECONDS:g} s"
    console.print(f"\n{N_WORKERS} light workers, {every}; processor time of the master")
    console.print(table)
    limit = f"{ROUND_LIMIT_SECONDS * 1e3:g} ms a round of {FAST}"
    console.print(f"limits: {SHARE_LIMIT:.0%}, and {limit}")
    return broken


def keeping_costs(console: Console) -> bool:
    """Print what a long history costs; whether a limit is broken."""
    early, late, grown = history_costs()
    console.print(
        f"\nhistory: {early * 1e6:.0f} µs a round at first, {late * 1e6:.0f} µs after {HISTORY_ROUNDS:,} "
        f"rounds (at most {SLOWER_LIMIT:g} times as much); memory grew by {grown:.1f} MB "
        f"(at most {MEMORY_LIMIT_MB:g})"
    )
    return late > SLOWER_LIMIT * early or grown > MEMORY_LIMIT_MB


def main() -> int:
    """Print the figures; exit code 1 if a limit is broken."""
    console = Console(highlight=False, width=130)
    configure_logs("error")
    # Both are measured, whatever the first says.
    found = [keeping_costs(console), watch_costs(console)]
    return int(any(found))


async def work(address: str) -> None:
    """Be all workers of a run, until it ends."""
    workers = [Worker(address, worker_name(number), give_up_seconds=10.0) for number in range(N_WORKERS)]
    each: list[Awaitable[int]] = [worker.run() for worker in workers]
    await asyncio.gather(*each)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--workers"]:
        asyncio.run(work(sys.argv[2]))
        sys.exit(0)
    sys.exit(main())
