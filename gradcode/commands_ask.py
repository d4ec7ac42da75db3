"""``gradcode status``, ``stop`` and ``scale``: ask a master that runs somewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

import grpc
import grpc.aio
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.errors import GradcodeError, InvalidSpec, Unreachable
from common.history import strict_json
from common.wire.access import Access
from common.wire.control import RunStatus, WorkerStatus
from common.wire.rpc import ControlClient, client_options, parse_address
from gradcode.display import STATE_STYLES
from gradcode.summary import plural

T = TypeVar("T")

MOST_WORKERS = 100_000
"""As many as an experiment may have."""

ANSWER_SECONDS = 5.0
"""So long a master may take to answer."""


def ask(address: str, access: Access, question: Callable[[ControlClient], Awaitable[T]]) -> T:
    """Put a question to the master at ``address``.

    Raises:
        InvalidSpec: the address is none, or the master refuses the token or the certificate.
        Unreachable: nobody answers there, or something that is no master.
    """
    parse_address("master", address)

    async def asked() -> T:
        try:
            async with access.channel(address, client_options()) as channel:
                return await question(ControlClient(channel, access.current_token(), ANSWER_SECONDS))
        except grpc.aio.AioRpcError as error:
            raise await explained(error, address, access) from None

    return asyncio.run(asked())


async def explained(error: grpc.aio.AioRpcError, address: str, access: Access) -> GradcodeError:
    """What a failed call means for the one who asked, in one line."""
    code = error.code()
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        told = await access.trouble(*parse_address("master", address))
        if told is not None:
            return InvalidSpec("--tls", f"must be what the master takes ({told})", address)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return InvalidSpec("--tls", f"must hold an operator's certificate ({error.details()})", address)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return InvalidSpec("--token-file", f"must hold the token of the master ({error.details()})", address)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unreachable(f"the master at {address} did not answer within {ANSWER_SECONDS:g} s")
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unreachable(f"no master answers at {address}")
    return Unreachable(f"what answers at {address} is no master of gradcode ({code.name.lower()})")


# ---- status ---------------------------------------------------------------------------------------------


def show_status(address: str, access: Access, form: str) -> None:
    """Print how the run at ``address`` stands; ``form`` is ``text`` or ``json``.

    Raises:
        InvalidSpec, Unreachable: as `ask`.
    """

    async def question(client: ControlClient) -> tuple[RunStatus, list[WorkerStatus]]:
        return await client.get_status(), await client.list_workers()

    status, workers = ask(address, access, question)
    if form == "json":
        print(strict_json({"status": asdict(status), "workers": [asdict(each) for each in workers]}))
        return
    console = Console(highlight=False)
    for label, text in status_rows(status):
        console.print(Text(f"{label:<10}{text}"), soft_wrap=True)
    console.print(workers_table(workers))


def status_rows(status: RunStatus) -> list[tuple[str, str]]:
    """How a run stands: labels and texts."""
    current = "not begun" if status.round is None else f"in round {status.round}"
    outcomes = (status.rounds_exact, status.rounds_approximate, status.rounds_failed)
    done = f"{sum(outcomes)} of {status.rounds_planned} rounds done"
    counts = "{} exact, {} approximate, {} failed".format(*outcomes)
    deadline = "none" if status.deadline_seconds is None else f"{status.deadline_seconds:.3f} s"
    wanted = ""
    if status.n_wanted is not None and status.n_wanted != status.n_places:
        wanted = f", {status.n_wanted} wanted"
    rows = [
        ("run", f"{status.run_name} ({status.run}), {status.phase}: {status.detail}"),
        ("code", f"{status.code}, epoch {status.epoch}"),
        ("progress", f"{current}, {done}: {counts}; {status.elapsed_seconds:.1f} s; deadline {deadline}"),
        (
            "links",
            f"{status.n_linked} of {plural(status.n_places, 'place')}{wanted}, "
            f"{plural(status.n_spares, 'spare')}",
        ),
    ]
    if status.verify != "none":
        turned_away = ", ".join(status.quarantined) or "nobody"
        undone = f", {plural(status.rounds_undone, 'round')} undone" if status.rounds_undone else ""
        rows.append(("verify", f"{status.verify}, quarantined: {turned_away}{undone}"))
    if status.loss is not None:
        score = "" if status.score is None else f", held-out score {status.score:.4f}"
        rows.append(("loss", f"{status.loss:.6g}{score}"))
    return [*rows, ("folder", status.run_folder)]


def workers_table(workers: Sequence[WorkerStatus]) -> Table:
    """One row a place, spares last."""
    columns = ("place", "worker", "state", "chunks", "s/chunk", "straggler", "last seen")
    table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for each in workers:
        pace, seen = each.seconds_per_chunk, each.last_seen_seconds
        table.add_row(
            "spare" if each.place is None else str(each.place),
            each.worker_name or "-",
            Text(each.state, style=STATE_STYLES.get(each.state, "")),
            f"{each.chunks_finished}/{each.load}",
            "-" if pace is None else f"{pace:.3f}",
            f"{each.straggles} of {each.rounds}",
            "-" if seen is None else f"{seen:.1f} s ago",
        )
    return table


# ---- scale ----------------------------------------------------------------------------------------------


def scale_run(address: str, access: Access, n_workers: int) -> str:
    """Have the run at ``address`` go on with so many workers. Returns what it waits for, or nothing.

    Raises:
        InvalidSpec: the number is none, or the master refuses it, or who asks.
        Unreachable: as `ask`.
    """
    if not 1 <= n_workers <= MOST_WORKERS:
        raise InvalidSpec("N", f"must be from 1 to {MOST_WORKERS}", n_workers)
    answer = ask(address, access, lambda client: client.scale_run(n_workers))
    if not answer.accepted:
        raise Refused(answer.reason, n_workers)
    return answer.reason


class Refused(InvalidSpec):
    """The master's own words, which name field, rule and value."""

    def __init__(self, said: str, n_workers: int) -> None:
        super().__init__("N", said, n_workers)
        self.args = (said,)


# ---- stop -----------------------------------------------------------------------------------------------


def stop_run(address: str, access: Access, reason: str) -> bool:
    """End the run at ``address`` in order; False when it was over already.

    Raises:
        InvalidSpec, Unreachable: as `ask`.
    """
    return ask(address, access, lambda client: client.stop_run(reason))
