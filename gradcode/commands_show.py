"""``gradcode codes``, ``gradcode init`` and ``gradcode predict``: commands that need no master."""

from __future__ import annotations

import inspect
from pathlib import Path

from rich.console import Console
from rich.table import Table

from common.codes import CODES
from common.codes.base import GradientCode
from common.errors import InvalidData, InvalidSpec
from common.experiment import default_toml

TEXT_WIDTH = 100


def example_call(name: str, n_stragglers: int) -> str:
    """How an experiment asks for the code ``name``: required parameters only, ``n`` for the workers.

    >>> example_call("fractional_repetition", 3), example_call("uncoded", 3)
    ('fractional_repetition(n, 3)', 'uncoded(n)')
    """
    given = {"n_workers": "n", "n_stragglers": str(n_stragglers)}
    parameters = inspect.signature(CODES[name]).parameters.values()
    needed = [each.name for each in parameters if each.default is each.empty]
    return f"{name}({', '.join(given[each] for each in needed)})"


def codes_table(n_workers: int, n_stragglers: int) -> Table:
    """Every code for so many workers and stragglers: what it costs and what it promises."""
    from common.spec import make_code

    title = f"codes for {n_workers} workers"
    table = Table("code", "load", "copies", "messages", "stragglers", "what it does", title=title)
    for column in table.columns[1:5]:
        column.justify = "right"
    for name, construction in CODES.items():
        call = example_call(name, n_stragglers)
        what = (inspect.getdoc(construction) or "").split("\n\n")[0].replace("\n", " ")
        try:
            code = make_code(call, n_workers)
        except InvalidSpec as error:
            table.add_row(call, "", "", "", "", f"not possible: {error}")
            continue
        table.add_row(call, *_facts(code), what)
    return table


def _facts(code: GradientCode) -> tuple[str, str, str, str]:
    """Share of the data on a worker, copies of a chunk, messages a round, stragglers survived exactly."""
    load = code.assignment.max_load / code.n_chunks
    messages = f"<= {code.n_workers}" if code.on_request else str(code.enough_messages or len(code.messages))
    return f"{load:.0%}", str(code.assignment.replication), messages, str(code.n_stragglers)


def show_codes(n_workers: int, n_stragglers: int) -> None:
    """Print the table of codes and how to read it."""
    console = Console(highlight=False)
    console.print(codes_table(n_workers, n_stragglers))
    for line in (
        "load: share of the training rows that a worker holds. copies: workers that hold a chunk.",
        "messages: gradients sent to the master in a round, at most.",
        "stragglers: so many workers may be missing, whichever they are, and the gradient is exact.",
    ):
        console.print(f"  {line}", style="dim", soft_wrap=True)


def write_default(file: Path, force: bool) -> None:
    """Write the default experiment, every field explained.

    Raises:
        InvalidSpec: the file exists already, or cannot be written.
    """
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(default_toml())
    except FileExistsError:
        raise InvalidSpec("FILE", "must not exist yet, or give --force", str(file)) from None
    except OSError as error:
        raise InvalidSpec("FILE", f"must be writable ({error.strerror})", str(file)) from None


def predict_to(run_folder: Path, source: str, output: Path | None) -> None:
    """Print the labels that a run's model predicts for a file, or write them to ``output``.

    Raises:
        InvalidSpec, InvalidData: the folder, the file or the output cannot be used.
    """
    from gradcode.predict import predict

    if not run_folder.exists():
        raise InvalidData("RUN_FOLDER", "must exist", str(run_folder))
    text = predict(run_folder, source).to_csv()
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidSpec("--output", f"must be writable ({error.strerror})", str(output)) from None
