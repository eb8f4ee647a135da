"""A secret as a file gives it: itself, or better where it is, `env:NAME` or `file:PATH`."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from espf.events.catalogue import shown

MAX_FILE_BYTES = 65_536


class GivenSecret(NamedTuple):
    """What was found. `problem` ends a sentence that begins with the option's name."""

    text: str = ""
    literal: bool = False
    """It stood in the file itself."""
    problem: str | None = None


def read_secret(given: str, folder: Path, environment: Mapping[str, str]) -> GivenSecret:
    """Follow `env:NAME` or `file:PATH` (from `folder`, unless absolute). Shows no value ever."""
    kind, mark, rest = given.partition(":")
    if mark and kind == "env":
        return _of_variable(rest, environment)
    if mark and kind == "file":
        return _of_file(rest, folder)
    return GivenSecret(given, literal=True)


def _of_variable(name: str, environment: Mapping[str, str]) -> GivenSecret:
    value = environment.get(name)
    if value:
        return GivenSecret(value)
    why = "is empty" if value == "" else "is not set"
    return GivenSecret(problem=f"is to come from the variable {shown(name)}, which {why}.")


def _of_file(name: str, folder: Path) -> GivenSecret:
    place = f"is to come from the file {shown(name)}, which"
    try:
        with (folder / name).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode("utf-8").rstrip("\r\n")  # editors end files with a line break
    except OSError as error:
        return GivenSecret(problem=f"{place} cannot be read: {error.strerror}.")
    except ValueError:  # a NUL in the name, or bytes that are no text
        return GivenSecret(problem=f"{place} is not a UTF-8 text file.")
    if len(content) > MAX_FILE_BYTES:
        return GivenSecret(problem=f"{place} is larger than a secret can be.")
    if not text:
        return GivenSecret(problem=f"{place} is empty.")
    return GivenSecret(text)
