"""``gradcode init`` and ``gradcode predict``: commands that need no master."""

from __future__ import annotations

from pathlib import Path

from common.errors import InvalidData, InvalidSpec
from common.experiment import default_toml


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
