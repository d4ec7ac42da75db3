"""The command ``gradcode``. What a command needs is imported when it runs, so that help comes at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import GradcodeError
from common.version import __version__
from gradcode.cli_ask import (
    SCALE_EPILOG,
    STATUS_EPILOG,
    STOP_EPILOG,
    WATCH_EPILOG,
    scale,
    shown_form,
    status,
    stop,
    watch,
)
from gradcode.cli_runs import COMPARE_EPILOG, REPORT_EPILOG, Format, Plain, compare, report
from gradcode.commands_certs import certs
from gradcode.commands_monitor import monitor

if TYPE_CHECKING:
    from common.experiment import Experiment


app = typer.Typer(
    name="gradcode",
    help="Synchronous distributed gradient descent that does not wait for stragglers.",
    epilog="\b\nStart with:\n  gradcode train             a run on this machine, with stragglers\n"
    "  gradcode COMMAND --help    options, examples and exit codes of a command",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(monitor, name="monitor")
app.add_typer(certs, name="certs")


Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Change a field of the experiment; may be repeated."
    ),
]


# ---- train ----------------------------------------------------------------------------------------------

TRAIN_EPILOG = """\b
Examples:
  gradcode train                                   the demo
  gradcode train --show                            the demo as a file
  gradcode init mine.toml && gradcode train mine.toml
  gradcode train mine.toml --set "code=cyclic_repetition(n, 3)" --set rounds=50
  gradcode train --format json | jq .loss
  gradcode train --resume runs/mine-20250304-120000

\b
Exit codes:
  0    the run ended
  2    bad input
  3    the run failed or diverged
  130  interrupted (Ctrl-C; a second one kills)
"""


@app.command(epilog=TRAIN_EPILOG)
def train(
    experiment: Annotated[
        Path | None, typer.Argument(metavar="EXPERIMENT.toml", help="What to run; without it the demo.")
    ] = None,
    overrides: Overrides = None,
    show: Annotated[bool, typer.Option("--show", help="Print the experiment and run nothing.")] = False,
    form: Annotated[
        Format, typer.Option("--format", help="auto: live on a terminal, text otherwise.")
    ] = Format.auto,
    runs: Annotated[Path, typer.Option(metavar="DIR", help="Where run folders go.")] = Path("runs"),
    run_folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's own folder; a run there goes on.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with the run in this folder, as it says.")
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port of the master on 127.0.0.1; 0: a free one.", min=0, max=65535)
    ] = 0,
    metrics: Annotated[
        str,
        typer.Option(metavar="HOST:PORT|off", help="For the status page and metrics; port 0: a free one."),
    ] = "127.0.0.1:0",
    processes: Annotated[
        int | None, typer.Option(help="Worker processes to start; without it as the experiment says.", min=1)
    ] = None,
    keep_logs: Annotated[
        bool, typer.Option("--keep-logs", help="Keep the logs of all processes in the run folder.")
    ] = False,
) -> None:
    """Train on this machine: a master process and worker processes, over real gRPC.

    Without an experiment this is the demo: handwritten digits, 8 workers, one of them 5 times slower, one
    that freezes for a while and one that is killed, so that you see stragglers being absorbed.
    """
    from gradcode.commands_train import resumed

    wanted = resumed(resume, experiment, overrides) if resume else _experiment(experiment, overrides)
    if show:
        from common.experiment import to_toml

        print(to_toml(wanted), end="")
        return
    from gradcode.commands_train import TrainOptions
    from gradcode.commands_train import train as run

    usual = 8 if wanted.workers == "joined" else wanted.workers
    folder = resume or run_folder
    options = TrainOptions(shown_form(form), runs, folder, port, metrics, processes or usual, keep_logs)
    raise typer.Exit(run(wanted, options))


def _experiment(file: Path | None, overrides: list[str] | None) -> Experiment:
    """The experiment of a file, or the demo."""
    from common.experiment import load_experiment
    from gradcode.demo import demo_experiment

    return load_experiment(file, overrides or []) if file else demo_experiment(overrides or [])


@app.command(
    epilog="\b\nExamples:\n  gradcode init                  experiment.toml\n  gradcode init mine.toml"
)
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")] = Path("experiment.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write an experiment with every field at its default, and explained."""
    from gradcode.commands_show import write_default

    write_default(file, force)
    print(f"wrote {file}; run it with: gradcode train {file}")


# ---- services -------------------------------------------------------------------------------------------

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_PASS_ON, add_help_option=False)
def master(context: typer.Context) -> None:
    """Run a master by hand; the same as python -m master, see gradcode master --help."""
    from master.__main__ import main as run

    raise typer.Exit(run(context.args))


@app.command(context_settings=_PASS_ON, add_help_option=False)
def worker(context: typer.Context) -> None:
    """Run a worker by hand; the same as python -m worker, see gradcode worker --help."""
    from worker.__main__ import main as run

    raise typer.Exit(run(context.args))


app.command(epilog=STATUS_EPILOG)(status)
app.command(epilog=WATCH_EPILOG)(watch)
app.command(epilog=SCALE_EPILOG)(scale)
app.command(epilog=STOP_EPILOG)(stop)


# ---- without a master -----------------------------------------------------------------------------------


CODES_EPILOG = """\b
Examples:
  gradcode codes                                          all of them
  gradcode codes 'cyclic_repetition(12, 3)'               one plan: what stragglers cost
  gradcode codes 'cyclic_repetition(n, 3)' -n 20 --plot plan.png
  gradcode codes --format json | jq .plan.promise
"""


@app.command(epilog=CODES_EPILOG)
def codes(
    plan: Annotated[
        str | None, typer.Argument(metavar="PLAN", help="A code with its parameters; without it all codes.")
    ] = None,
    n_workers: Annotated[
        int | None,
        typer.Option(
            "--workers", "-n", min=1, max=10_000, help="Number of workers n; otherwise 12, or what PLAN says."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT.png", help="Draw the plan; also .svg and .pdf.")
    ] = None,
    form: Annotated[Plain, typer.Option("--format", help="How to print it.")] = Plain.text,
) -> None:
    """List the gradient codes, or show what a plan costs and what is left when workers are absent."""
    from gradcode.commands_codes import show_codes, show_plan

    if plan is not None:
        raise typer.Exit(0 if show_plan(plan, n_workers, form.value, plot) else 2)
    if plot is not None:
        from common.errors import InvalidSpec

        raise InvalidSpec("--plot", "needs a PLAN to draw", str(plot))
    show_codes(n_workers, form.value)


@app.command(
    epilog="\b\nExamples:\n  gradcode predict runs/demo-20250304-120000 new.csv\n"
    "  gradcode predict runs/demo-20250304-120000 new.npz -o labels.csv"
)
def predict(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="Folder of a run that has ended.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A .csv file, or an .npz file with X.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to the terminal.")
    ] = None,
) -> None:
    """Predict labels for new rows with the model of a run; prints one column of CSV."""
    from gradcode.commands_show import predict_to

    predict_to(run_folder, data, output)


SIMULATE_EPILOG = """\b
Examples:
  gradcode simulate                                       the demo, timing only
  gradcode simulate mine.toml --learning
  gradcode simulate --code "uncoded(n)" --code "cyclic_repetition(n, 3)" --plot codes.png
  gradcode simulate mine.toml --workers 10000 --rounds 100 --set delays.distribution=pareto
  gradcode simulate mine.toml --latency 0.01 --bandwidth 1e7
  gradcode simulate mine.toml --replay runs/demo-20250304-120000 --code "uncoded(n)"
  gradcode simulate --format json | jq .oracle_ratio
"""


@app.command(epilog=SIMULATE_EPILOG)
def simulate(
    experiment: Annotated[
        Path | None, typer.Argument(metavar="EXPERIMENT.toml", help="What to play; without it the demo.")
    ] = None,
    overrides: Overrides = None,
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="CODE", help="Play this code too, to compare; may be repeated."),
    ] = None,
    learning: Annotated[
        bool,
        typer.Option("--learning/--timing", help="Compute real gradients, or only draw how long they take."),
    ] = False,
    n_workers: Annotated[
        int | None,
        typer.Option("--workers", "-n", help="Places, not the experiment's; delays of others drop out."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds, instead of the experiment's.")] = None,
    latency: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, max=3600.0, help="Of every frame, one way.")
    ] = 0.0005,
    bandwidth: Annotated[
        float, typer.Option(metavar="BYTES_PER_SECOND", min=1.0, help="Of every worker's link.")
    ] = 1e9,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="RUN_FOLDER", help="Take the times of chunks from there; do not draw them."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Draw the round times; also .svg and .pdf.")
    ] = None,
    form: Annotated[Plain, typer.Option("--format", help="How to print it.")] = Plain.text,
) -> None:
    """Play a run without a network: the same master, the same delays, in simulated time.

    Master and computing cost nothing here but the delays; what is compared are codes, delays and links. All
    codes of one call see the same draws. "x oracle" compares with the least time that the places of a round
    could have needed, had their speeds been known; above 1,000 workers in every tenth round.
    """
    from gradcode.commands_simulate import SimulateOptions, show_simulations, with_places
    from gradcode.lab.network import Network

    asked = (("workers", n_workers), ("rounds", rounds))
    changes = [f"{key}={value}" for key, value in asked if value is not None]
    wanted = with_places(_experiment(experiment, [*(overrides or []), *changes]))
    network = Network(latency_seconds=latency, bytes_per_second=bandwidth)
    options = SimulateOptions(codes or (), learning, network, replay, plot, str(form.value))
    show_simulations(wanted, options)


app.command(epilog=REPORT_EPILOG)(report)
app.command(epilog=COMPARE_EPILOG)(compare)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"gradcode {__version__}")
        raise typer.Exit


@app.command()
def version() -> None:
    """Print the version."""
    print(f"gradcode {__version__}")


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Synchronous distributed gradient descent that does not wait for stragglers."""


def main() -> None:
    """Run the command line; ends the process. What goes wrong is told in one line on stderr."""
    try:
        app(prog_name="gradcode")
    except GradcodeError as error:
        print(f"gradcode: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
