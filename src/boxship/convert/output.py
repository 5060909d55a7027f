"""The file that a conversion writes: checked first, and put in its place in one step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boxship.errors import UsageError


def check_output(output: Path, source: Path) -> None:
    """Raise ``UsageError`` where ``output`` cannot be written, or is the model itself."""
    if output.is_dir():
        raise UsageError(f"-o {output}: expected a file, found a folder.", tip="Name the file too.")
    if not output.parent.is_dir():
        raise UsageError(
            f"-o {output}: there is no folder {output.parent}.",
            tip=f"Make it first: mkdir -p {output.parent}",
        )
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(
            f"-o {output}: this is the model itself.", tip="Name another file, such as model.onnx."
        )


@contextmanager
def part_of(output: Path) -> Iterator[Path]:
    """A file beside ``output`` to write into; gone afterwards, unless it was moved.

    Raises ``UsageError`` where nothing can be written there.
    """
    part = output.with_name(f".{output.name}.part")
    try:
        part.touch()
    except OSError as error:
        raise UsageError(
            f"-o {output}: nothing can be written there: {error.strerror}.",
            tip="Name another file, or make the folder writable.",
        ) from error
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
