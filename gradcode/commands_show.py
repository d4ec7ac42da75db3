"""``gradcode codes``, ``gradcode init`` and ``gradcode predict``: commands that need no master."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from common.errors import InvalidData, InvalidSpec
from common.experiment import default_toml

HOW_TO_READ = """\
load        share of the training rows that one worker holds
copies      workers that hold the same chunk
messages    gradients sent to the master in a round, at most
stragglers  any so many workers may be missing, and the gradient is exact"""


def example_call(name: str, n_stragglers: int) -> str:
    """How an experiment asks for the code ``name``: required parameters only, ``n`` for the workers.

    >>> example_call("fractional_repetition", 3), example_call("uncoded", 3)
    ('fractional_repetition(n, 3)', 'uncoded(n)')
    """
    from common.codes import CODES

    given = {"n_workers": "n", "n_stragglers": str(n_stragglers)}
    parameters = inspect.signature(CODES[name]).parameters.values()
    needed = [each.name for each in parameters if each.default is each.empty]
    return f"{name}({', '.join(given.get(each, each) for each in needed)})"


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What a code costs and what it promises.

    Attributes:
        call: how an experiment asks for it. what: what it does, in words.
        load: share of the training rows that one worker holds. copies: workers that hold a chunk.
        messages: sent to the master in a round, at most. n_stragglers: survived exactly, whichever they are.
        refusal: why it cannot be had for these numbers, empty if it can; then the rest is zero.
    """

    call: str
    what: str
    load: float = 0.0
    copies: int = 0
    messages: int = 0
    n_stragglers: int = 0
    refusal: str = ""


def code_facts(name: str, n_workers: int, n_stragglers: int) -> CodeFacts:
    """The facts of the code ``name`` for so many workers and stragglers."""
    from common.codes import CODES
    from common.spec import make_code

    call = example_call(name, n_stragglers)
    what = (inspect.getdoc(CODES[name]) or "").split("\n\n")[0].replace("\n", " ")
    try:
        code = make_code(call, n_workers)
    except InvalidSpec as error:
        return CodeFacts(call, what, refusal=str(error))
    assignment = code.assignment
    messages = n_workers if code.on_request else code.enough_messages or len(code.messages)
    load = assignment.max_load / code.n_chunks
    return CodeFacts(call, what, load, assignment.replication, messages, code.n_stragglers)


def show_codes(n_workers: int, n_stragglers: int) -> None:
    """Print every code: a table of numbers, what each does, and how to read it."""
    from common.codes import CODES

    console = Console(highlight=False)
    table = Table("code", "load", "copies", "messages", "stragglers", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    facts = [code_facts(name, n_workers, n_stragglers) for name in CODES]
    for each in facts:
        numbers = (f"{each.load:.1%}", str(each.copies), str(each.messages), str(each.n_stragglers))
        table.add_row(each.call, *(numbers if not each.refusal else ("-",) * 4))
    console.print(f"n = {n_workers} workers, {n_stragglers} stragglers\n", style="bold")
    console.print(table)
    for each in facts:
        said = f"{each.what} Not possible here: {each.refusal}." if each.refusal else each.what
        console.print(f"\n[bold]{each.call.partition('(')[0]}[/bold]", Padding(escape(said), (0, 0, 0, 2)))
    console.print(f"\n{HOW_TO_READ}", style="dim")


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
