"""The page of one run: one file with everything in it, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from common.version import __version__
from gradcode.commands_simulate import sized
from gradcode.report.numbers import ignoring_wait, key_numbers, place_rows
from gradcode.report.pictures import (
    Picture,
    draw_arrivals,
    draw_loss,
    draw_rounds,
    draw_waiting,
    draw_work,
)
from gradcode.report.places_picture import draw_places
from gradcode.report.reading import RunRead, flat
from gradcode.report.style import STYLE
from gradcode.summary import in_words, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (
    Picture("loss", "Loss", "Training loss against time and against rounds.", draw_loss),
    Picture(
        "rounds",
        "Rounds",
        "What every round took, its deadline, and what an uncoded round would have waited for the same "
        "chunk times (nothing where it would have waited for ever). Below, how it ended, and how far the "
        "gradient was from the exact sum. Of very many rounds the line is the median of neighbours, and the "
        "band holds all of them.",
        draw_rounds,
    ),
    Picture(
        "waiting",
        "Waiting, compared",
        "Waiting added up over the rounds, for the same chunk times.",
        draw_waiting,
    ),
    Picture(
        "arrivals",
        "Arrivals",
        "When the chunks of all rounds arrived, by what became of them.",
        draw_arrivals,
        lambda run: bool(run.records and run.work.arrivals.values),
    ),
    Picture(
        "places",
        "Places and rounds",
        "Every row is a place, every column a round; a straggler is a place without a worker, or one that "
        "takes more than twice the median time for a chunk.",
        draw_places,
    ),
    Picture(
        "work",
        "Wasted and rescued work",
        "Seconds that workers computed in every round. Rescued is what stragglers had finished and the "
        "gradient used.",
        draw_work,
    ),
)
SHOWN_PLACES = 40
"""More places than this fold away behind the first ones."""

CSS = """
:root{color-scheme:light dark;--ink:#1f2328;--soft:#57606a;--back:#fff;--card:#f6f8fa;--edge:#d0d7de;
--mark:#0550ae}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--back:#0d1117;--card:#161b22;
--edge:#30363d;
--mark:#79c0ff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:64rem;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
overflow-wrap:break-word}
h1{font-size:1.7rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .4rem}p{margin:.4rem 0}
.soft,figcaption{color:var(--soft)}figcaption{font-size:.92rem}
figure{margin:.6rem 0}img{display:block;width:100%;height:auto;background:#fff;border:1px solid var(--edge);
border-radius:6px;padding:6px}
dl.key{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.6rem;margin:1rem 0}
dl.key div{background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:.5rem .7rem}
dl.key dt{color:var(--soft);font-size:.85rem}dl.key dd{margin:0;font-size:1.15rem;
font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--edge);vertical-align:top}
td.n,th.n{text-align:right}summary{cursor:pointer;color:var(--mark);margin:.4rem 0}
pre{background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:.7rem;overflow-x:auto;
font-size:.85rem}
@media print{body{max-width:none;padding:0;font-size:11pt}figure,dl.key div,tr{break-inside:avoid}
h2{break-after:avoid}pre{white-space:pre-wrap}}
"""


def report_page(
    run: RunRead, tell: Callable[[str], None] = lambda what: None
) -> tuple[str, dict[str, bytes]]:
    """The page, and its pictures as PNG by name.

    Args:
        tell: hears what is being drawn.
    """
    pictures, body = {}, [_head(run), _numbers(run), _waits(run)]
    for picture in PICTURES:
        if picture.drawable(run):
            tell(f"drawing {picture.title.lower()}")
            pictures[picture.name] = png = as_png(lambda drawn=picture: drawn.draw(run))  # type: ignore[misc]
            body += [f"<h2>{escape(picture.title)}</h2>", figure_html(png, picture.title, picture.caption)]
    body += [_places(run), _events(run), _experiment(run), _environment(run)]
    return as_page(f"{run.name} - run report", body), pictures


def as_png(draw: Callable[[], Figure]) -> bytes:
    """A figure, drawn in the report's style, as PNG."""
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        buffer = io.BytesIO()
        # Nothing that changes from one time to the next goes into the file.
        draw().savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def as_page(title: str, body: Iterable[str]) -> str:
    """A whole HTML document of pieces of HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(piece for piece in body if piece)
        + f'\n</main>\n<footer class="soft"><p>Made by gradcode {escape(__version__)}.</p></footer>\n'
        "</body>\n</html>\n"
    )


def figure_html(png: bytes, title: str, caption: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{escape(title)}: {escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def key_html(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values as cards."""
    cards = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
    return f'<dl class="key">{"".join(cards)}</dl>'


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: frozenset[int]) -> str:
    """A table; columns with a number in ``numbers`` are set to the right. All texts are escaped."""

    def cells(values: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        sides = (' class="n"' if index in numbers else "" for index in range(len(values)))
        pairs = zip(sides, values, strict=True)
        return "".join(f"<{tag}{scope}{side}>{escape(value)}</{tag}>" for side, value in pairs)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells(head, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def shown(value: float | None, form: str = ".4g", unit: str = "") -> str:
    """A number for people.

    >>> shown(0.25, ".0%"), shown(None), shown(1.5, ".2f", " s")
    ('25%', '-', '1.50 s')
    """
    return "-" if value is None or not math.isfinite(value) else f"{value:{form}}{unit}"


# ---- pieces ---------------------------------------------------------------------------------------------


def _head(run: RunRead) -> str:
    state = run.summary.reason if run.ended else "no summary yet: the run goes on, or its master was killed"
    code = run.code.spec if run.code is not None else "unknown code"
    text = f"{code}, {plural(run.n_places, 'place')}; {run.folder.resolve().name}"
    return f'<h1>{escape(run.name)}</h1>\n<p>{escape(state)}</p>\n<p class="soft">{escape(text)}</p>'


def _numbers(run: RunRead) -> str:
    held = key_numbers(run)
    rows = [
        ("rounds", f"{held['rounds']:,}"),
        ("exact", shown(held["exact_share"], ".1%")),
        ("approximate, failed", f"{held['approximate']:,}, {held['failed']:,}"),
        ("time", shown(held["seconds"], ".1f", " s")),
        ("round: median", shown(held["p50_seconds"], ".3g", " s")),
        ("round: 90 %", shown(held["p90_seconds"], ".3g", " s")),
        ("training loss", shown(held["loss"], ".5g")),
        (f"held-out {held['score_name'] or 'score'}", shown(held["score"], ".4f")),
        ("received by the master", sized(held["bytes_received"])),
        ("computed, not used", shown(held["wasted_share"], ".1%")),
        ("rescued from stragglers", shown(held["rescued_seconds"], ".3g", " worker s")),
    ]
    return key_html(rows)


def _waits(run: RunRead) -> str:
    """What others would have waited, in words."""
    if not run.records:
        return "<p>No round has ended yet, so there is nothing to draw.</p>"
    words = [f"An uncoded run would have waited {in_words(run.summary.uncoded)}"]
    if not run.summary.uncoded.rounds:
        words = [in_words(run.summary.uncoded)]
    found = ignoring_wait(run)
    if run.code is None:
        words.append(f"What ignoring stragglers would have waited is not known: {run.trouble}.")
    elif found is None or not run.n_ignored:
        words.append("The plan stands no straggler, so there is none to ignore.")
    else:
        n, waited, took = found
        words.append(
            f"A run that ignores the {plural(run.n_ignored, 'slowest place')}, with no redundancy and no "
            f"exact gradient, would have waited at least {waited:.1f} s for {plural(n, 'round')} that took "
            f"{took:.1f} s here."
        )
        if len(run.records) > n:
            many = plural(len(run.records) - n, "round")
            words.append(f"In {many} it would have waited for ever, or nothing had arrived.")
    return "".join(f"<p>{escape(each)}</p>" for each in words)


def _places(run: RunRead) -> str:
    head = (
        "place",
        "worker",
        "straggled",
        "lost",
        "contributed",
        "s per chunk",
        "of the median",
        "used",
        "not used",
    )
    n = len(run.records)

    def of_rounds(count: int) -> str:
        return f"{count:,} ({count / n:.0%})" if n else "0"

    rows = [
        (
            str(row.place),
            ", ".join(row.workers) or "-",
            *(of_rounds(count) for count in (row.straggled, row.lost, row.contributed)),
            shown(row.seconds, ".3g"),
            shown(row.factor, ".2f", " x"),
            f"{row.used:,}",
            f"{row.others:,}",
        )
        for row in place_rows(run)
    ]
    if not rows:
        return ""
    numbers = frozenset(range(2, len(head)))
    html = (
        '<h2>Stragglers</h2><p class="soft">Rounds and chunks of every place, the worst stragglers first.</p>'
    )
    html += table_html(head, rows[:SHOWN_PLACES], numbers)
    if len(rows) > SHOWN_PLACES:
        rest = table_html(head, rows[SHOWN_PLACES:], numbers)
        html += f"<details><summary>{len(rows) - SHOWN_PLACES} more places</summary>{rest}</details>"
    return html


def _events(run: RunRead) -> str:
    if not run.events:
        return ""
    rows = [(str(number), text) for number, text in run.events]
    left_out = run.n_events - len(rows)
    more = f"<p>{left_out:,} in the middle are left out.</p>" if left_out else ""
    table = table_html(("round", "what happened"), rows, frozenset({0}))
    return f"<h2>Notes</h2><details><summary>{plural(run.n_events, 'note')}</summary>{more}{table}</details>"


def _experiment(run: RunRead) -> str:
    trouble = f"<p>{escape(run.trouble)}</p>" if run.trouble else ""
    text = f"<pre>{escape(run.experiment_text)}</pre>" if run.experiment_text else ""
    return f"<h2>Experiment</h2>{trouble}{text}"


def _environment(run: RunRead) -> str:
    held: Mapping[str, Any] = run.environment
    rows = [(name, str(value)) for name, value in flat(dict(held))]
    return f"<h2>Environment</h2>{table_html(('what', 'version'), rows, frozenset())}" if rows else ""
