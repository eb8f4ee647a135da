"""Writes the reference pages that come from the program: options, metrics, types, commands.

Run by `make docs`; `tests/docs` fails while a page differs from what this would write. With
`--check` it writes nothing and exits 1 if a page is out of date.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from pydantic_core import PydanticUndefined
from typer.main import get_command

from espf.capture.origins import Origin, origins
from espf.cli.main import app
from espf.config import PREFIX, Config
from espf.events.catalogue import Catalogue, EventType, V2Type
from espf.handlers.options import OptionHelp, describe
from espf.handlers.types import handler_type, handler_type_names
from espf.metrics.catalogue import Metric
from espf.metrics.counts import BOUNDS_US, SECOND_US

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py (`make docs`); edit the program instead. -->\n"


def main() -> int:
    """Write the pages that differ; say which."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in pages() if _read(path) != text]
    for path, text in pages():
        if path in stale and not check:
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{'out of date' if check else 'written'}: {path.name}")
    return 1 if check and stale else 0


def pages() -> Iterator[tuple[Path, str]]:
    """Each page's file and what it should hold."""
    writers: dict[str, Callable[[], Iterator[str]]] = {
        "options.md": options_page,
        "settings.md": settings_page,
        "metrics.md": metrics_page,
        "event-types.md": event_types_page,
        "cli.md": cli_page,
    }
    for name, write in writers.items():
        yield REFERENCE / name, "\n".join([NOTE, *write()]) + "\n"


# ---- options ----


def options_page() -> Iterator[str]:
    """Every option of every handler type that comes with espf."""
    yield "# Handler options\n"
    yield "In `handlers.toml` the names are written in quotes, under `[handler.options]`."
    yield 'A secret may be given as `"env:NAME"` or `"file:PATH"`; it is never shown again.'
    for name in handler_type_names():
        kind = handler_type(name)
        if not type(kind).__module__.startswith("espf."):
            continue  # a package of somebody else's, installed on this machine
        yield f"\n## {name}\n"
        yield "| option | type | default | needed when | meaning |\n|---|---|---|---|---|"
        yield from (_option_row(option) for option in describe(kind.settings))


def _option_row(option: OptionHelp) -> str:
    cells = (
        f"`{option.name}`",
        option.type,
        _default(option),
        option.needed_when or "",
        option.help,
    )
    return _row(cells)


def _default(option: OptionHelp) -> str:
    if option.default is None or option.default == "":
        return ""
    if isinstance(option.default, bool):
        return "on" if option.default else "off"
    return f"`{option.default}`"


# ---- settings ----


def settings_page() -> Iterator[str]:
    """What an installation is told."""
    yield "# Settings\n"
    yield "Each is an environment variable, or a key of the TOML file that `ESPF_CONFIG` names; a"
    yield "variable wins over the file. An unknown key is refused.\n"
    yield "| variable | key in the file | default | meaning |\n|---|---|---|---|"
    for name, field in Config.model_fields.items():
        default = "" if field.default in (None, "", PydanticUndefined) else f"`{field.default}`"
        cells = (f"`{PREFIX}{name.upper()}`", f"`{name}`", default, field.description or "")
        yield _row(cells)


# ---- metrics ----


def metrics_page() -> Iterator[str]:
    """Every metric, what an instance counts first."""
    yield "# Metrics\n"
    yield "Served by the web side for the whole fleet, and by an instance that was told to with"
    yield "`--metrics`; see [Monitor espf](../how-to/monitor.md). One with the label `instance`"
    yield "is of living instances only: counters begin at 0 when one starts. Two processes of one"
    yield "name are added up.\n"
    yield "| metric | type | labels | meaning |\n|---|---|---|---|"
    for metric in Metric:
        one = metric.value
        yield _row((f"`{one.name}`", one.kind, _codes(one.labels), one.meaning))
    ends = ", ".join(f"{bound / SECOND_US:g}" for bound in BOUNDS_US)
    yield f"\nThe buckets of the histograms end at {ends} seconds."
    yield "\nAn instance tells of its own process, too: `process_cpu_seconds_total`,"
    yield "`process_resident_memory_bytes`, `process_open_fds` and others of prometheus_client."
    yield "\n## What a scrape costs\n"
    yield "What the database shows is read at most once a second, however many ask, by indexes; a"
    yield "backlog of ten million is counted by blocks. An instance counts once for each batch of"
    yield "results, which costs 0.1 us an event. See"
    yield "[decision 10](../decisions/0010-metrics-beside-the-engine.md)."


# ---- event types ----


def event_types_page() -> Iterator[str]:
    """The catalogue, v1 by entity and v2 by group."""
    catalogue = Catalogue.load()
    yield "# Event types\n"
    yield f"{len(catalogue.types)} types of version 1 (`EventSender.APIVersion` 1)"
    yield f"and {len(catalogue.v2)} of version 2. Names are case-sensitive.\n"
    yield "*Sure* says where the name and its meaning come from: `documented` by the vendor,"
    yield "`third-party` from a public receiver's list, `reconstructed` from documented facts,"
    yield "`ours`. The variables of version 1 are ours unless the vendor's are known. Of types"
    yield "marked *latest* only the latest of several waiting events for one entity is sent.\n"
    yield "*Raised by* a `change` in the registry, or by a dispatcher that derives it from another"
    yield "event; what is from `outside` comes only from `espf events emit` or the API."
    for entity in dict.fromkeys(of.entity for of in catalogue.types.values()):
        yield f"\n## {_heading(entity)}\n"
        yield "| event type | meaning | raised by | variables | version 2 | sure |"
        yield "|---|---|---|---|---|---|"
        for of in catalogue.types.values():
            if of.entity == entity:
                yield _type_row(of)
    yield "\n## Version 2\n"
    yield "| event type | group | meaning | variables |\n|---|---|---|---|"
    yield from (_v2_row(of) for of in catalogue.v2.values())


def _heading(entity: str) -> str:
    words = entity.replace("_", " ")
    return words.upper() if words in {"sim", "did"} else words.capitalize().replace("Ip ", "IP ")


def _type_row(of: EventType) -> str:
    meaning = of.description
    if of.aliases:
        meaning += f" Also accepted: {_codes(of.aliases)}."
    if of.coalesce:
        meaning += " *Latest.*"
    sent_as = [name for name in (of.v2, of.v2_account) if name]
    v2 = _codes(sent_as) or "nothing is sent"
    if of.v2_sim:
        v2 += f"; for SIM `{of.v2_sim}`"
    raised = _raised_by(origins()[of.name])
    return _row((f"`{of.name}`", meaning, raised, _codes(of.variables), v2, of.confidence))


def _raised_by(origin: Origin) -> str:
    match origin:
        case Origin("older", (newer,)):
            return f"nothing: `{newer}` is raised"
        case Origin("outside"):
            return "outside"
        case Origin(how, by):
            return ", ".join([*(["change"] if how == "change" else []), *(f"`{b}`" for b in by)])


def _v2_row(of: V2Type) -> str:
    variables = _codes(of.variables)
    if of.optional:
        variables += f"; optional {_codes(of.optional)}"
    return _row((f"`{of.name}`", of.group, of.description, variables))


# ---- command line ----


def cli_page() -> Iterator[str]:
    """Every command with its arguments and options."""
    yield "# Command line\n"
    yield "Exit status: 0 done, 1 failed, 2 wrong use. `espf COMMAND --help` prints the same."
    yield "`ESPF_DATABASE_URL` names the database (`sqlite:///espf.db` in the working directory"
    yield "unless told otherwise)."
    yield from _commands("espf", get_command(app))


def _commands(path: str, command: object) -> Iterator[str]:
    children = getattr(command, "commands", {})
    if not children:
        yield from _command(path, command)
    for name in sorted(children):
        if not children[name].hidden:
            yield from _commands(f"{path} {name}", children[name])


def _command(path: str, command: object) -> Iterator[str]:
    yield f"\n## {path}\n"
    yield inspect.cleandoc(getattr(command, "help", None) or "").replace("\f", "")
    parameters = [p for p in getattr(command, "params", []) if not getattr(p, "hidden", False)]
    if parameters:
        yield "\n| | default | meaning |\n|---|---|---|"
    for parameter in parameters:
        yield _parameter_row(parameter)


def _parameter_row(parameter: object) -> str:
    is_option = getattr(parameter, "param_type_name", "") == "option"
    names = [*getattr(parameter, "opts", []), *getattr(parameter, "secondary_opts", [])]
    if not is_option:
        names = [str(getattr(parameter, "metavar", None) or names[0]).upper()]
    meaning = (getattr(parameter, "help", None) or "").strip()
    if meaning and not meaning.endswith("."):
        meaning += "."
    meaning += _choices(parameter)
    if getattr(parameter, "required", False):
        meaning += " Needed."
    if variable := getattr(parameter, "envvar", None):
        meaning += f" Or `{variable}`."
    return _row((_codes(names), _parameter_default(parameter), meaning.strip()))


def _choices(parameter: object) -> str:
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return ""
    return f" One of {_codes([str(choice.value) for choice in kind])}."


def _parameter_default(parameter: object) -> str:
    default = getattr(parameter, "default", None)
    if default in (None, "", [], (), False) or callable(default):
        return ""
    return f"`{getattr(default, 'value', default)}`"


# ---- Markdown ----


def _codes(names: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(cells: tuple[str, ...]) -> str:
    shown = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(shown)} |"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
