"""The page of log events holds every event that the program logs, with its level and fields."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "espf"
PAGE = ROOT / "docs" / "reference" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
SECRET = re.compile(r"body|key|password|token|secret|request|answer|authorization|variables|query")
Logged = tuple[str, str, frozenset[str]]
"""Event, level, fields."""


def logged() -> Iterator[Logged]:
    """Every call of a logger in the program."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _is_logging(node):
                yield _told(node, path)


def _is_logging(node: ast.Call) -> bool:
    called = node.func
    return (
        isinstance(called, ast.Attribute)
        and called.attr in LEVELS
        and re.search(r"(\blog|_log|get_logger\(.*\))$", ast.unparse(called.value)) is not None
    )


def _told(node: ast.Call, path: Path) -> Logged:
    assert isinstance(node.func, ast.Attribute)
    where = f"{path.name}:{node.lineno}"
    event = node.args[0] if node.args else None
    assert isinstance(event, ast.Constant), f"{where}: an event's name is written where it is told"
    fields = {keyword.arg for keyword in node.keywords} - {"exc_info"}
    assert None not in fields, f"{where}: fields are written where they are told"
    level = {"exception": "error"}.get(node.func.attr, node.func.attr)
    return str(event.value), level, frozenset(str(name) for name in fields)


def shown() -> list[Logged]:
    """Rows of the page's tables: | `event` | level | `field`, `field` | meaning |."""
    rows = re.findall(
        r"^\| `([^`]+)` \| (\w+) \|([^|]*)\| [^|]+ \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    return [
        (event, level, frozenset(re.findall(r"`(\w+)`", fields))) for event, level, fields in rows
    ]


def test_every_event_is_on_the_page_with_its_level_and_fields() -> None:
    told: dict[tuple[str, str], frozenset[str]] = {}
    for event, level, fields in logged():
        told[event, level] = told.get((event, level), frozenset()) | fields
    page = {(event, level): fields - {"handler"} for event, level, fields in shown()}
    ours = {key: fields - {"handler"} for key, fields in told.items()}
    assert page == ours


def test_events_are_named_noun_and_verb_and_carry_no_secret() -> None:
    for event, _, fields in logged():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", event), event
        assert not [name for name in fields if SECRET.search(name)], event
