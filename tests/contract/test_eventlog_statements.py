"""The named statements: each is used, and each hot one finds its rows by an index."""

import re
import sqlite3
from importlib import resources
from pathlib import Path

import pytest

from engine_rig import make_database, open_plain
from espf.database_url import EngineName
from espf.eventlog.statements import FILES, as_written, statements

SQL = statements("sqlite")
INDEXES = {
    "read": "SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "read_bulk": "SEARCH event USING INDEX event_bulk (i_event>? AND i_event<?)",
    "has_bulk": "SEARCH event USING INDEX event_bulk (i_event>? AND i_event<?)",
    "behind_bulk": "SEARCH e USING INDEX event_entity (entity_id=? AND entity=? AND i_event>? AND",
    "behind_bulk_next": "SEARCH parked USING INDEX parked_behind_bulk (i_handler=? AND i_event>?",
    "release_behind_bulk": "SEARCH parked USING INDEX parked_behind_bulk (i_handler=? AND",
    "due": "SEARCH parked USING INDEX parked_due (i_handler=? AND due_us<?)",
    "next_due": "SEARCH parked USING COVERING INDEX parked_due (i_handler=? AND due_us>?)",
    "parked_keys": "SEARCH parked USING INDEX parked_entity (i_handler=? AND entity_id=?)",
    "has_parked": "SEARCH parked USING",
    "successor": "SEARCH event USING INDEX event_entity (entity_id=? AND entity=?",
    "settled_between": "SEARCH attempt USING COVERING INDEX attempt_status (i_handler=? AND status",
    "parked_between": "SEARCH parked USING PRIMARY KEY (i_handler=? AND i_event>? AND i_event<?)",
    "park": "SEARCH earlier USING COVERING INDEX parked_entity",
    "repark": "SEARCH parked USING PRIMARY KEY (i_handler=? AND i_event=?)",
    "wait_behind": "SEARCH parked USING INDEX parked_entity",
    "unpark": "SEARCH parked USING PRIMARY KEY (i_handler=? AND i_event=?)",
    "activate_next": "SEARCH parked USING PRIMARY KEY (i_handler=? AND i_event=?)",
    "parked_moments": "SEARCH parked USING PRIMARY KEY (i_handler=? AND i_event>?)",
    "shift_clock": "SEARCH parked USING PRIMARY KEY (i_handler=? AND i_event=?)",
    "release": "SEARCH parked USING INDEX parked_due (i_handler=? AND due_us>?)",
    "skips": "SEARCH skip_request USING PRIMARY KEY (i_handler=? AND i_event>? AND i_event<?)",
    "move_cursors": "SEARCH lane_cursor USING PRIMARY KEY (i_handler=? AND bulk=? AND lane=?)",
    "skip_done": "SEARCH skip_request USING PRIMARY KEY (i_handler=? AND i_event=?)",
    "state": "SEARCH handler_state USING INTEGER PRIMARY KEY (rowid=?)",
    "attempts_of": "SEARCH attempt USING INDEX attempt_status (i_handler=? AND status=? AND",
    "last_failures": "SEARCH attempt USING INTEGER PRIMARY KEY (rowid>?)",
    "numbers_attempted": "USING COVERING INDEX attempt_status (i_handler=? AND status=? AND",
    "numbers_parked": "SEARCH parked USING INDEX parked_standing (i_handler=? AND <expr>=? AND",
    "attempts_at": "SEARCH attempt USING INDEX attempt_status (i_handler=? AND status=? AND",
    "parked_of": "SEARCH parked USING PRIMARY KEY (i_handler=? AND i_event=?)",
    "remove_attempts": "SEARCH attempt USING INDEX attempt_status (i_handler=? AND status=? AND",
    "newer_attempts": "SEARCH attempt USING INTEGER PRIMARY KEY (rowid>?)",
}
GROWING = re.compile(r"SCAN (event|parked|attempt|e|p|a|next|earlier|x)\b")


@pytest.fixture
def database(tmp_path: Path) -> sqlite3.Connection:
    connection = open_plain(make_database(tmp_path / "espf.sqlite3"))
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, name: str) -> str:
    bound = dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", SQL[name]), "[]")
    rows = database.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", bound).fetchall()
    return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize("name", sorted(INDEXES))
def test_a_hot_statement_uses_its_index(database: sqlite3.Connection, name: str) -> None:
    assert INDEXES[name] in plan(database, name)


@pytest.mark.parametrize("name", sorted(set(INDEXES) - {"release"}))
def test_a_hot_statement_never_reads_a_growing_table_whole(
    database: sqlite3.Connection, name: str
) -> None:
    assert not GROWING.search(plan(database, name))


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_every_statement_is_used(dialect: EngineName) -> None:
    source = resources.files("espf")
    assert isinstance(source, Path)
    text = "".join(path.read_text() for path in source.rglob("*.py"))
    quoted = set(re.findall(r'["\'](\w+)["\']', text))

    assert set(as_written(dialect)) <= quoted


def test_what_both_engines_have_takes_the_same_parameters() -> None:
    ours, theirs = as_written("sqlite"), as_written("postgres")
    for name in ours.keys() & theirs.keys():
        assert parameters(ours[name]) == parameters(theirs[name]), name


def parameters(text: str) -> set[str]:
    return set(re.findall(r"(?<![:\w]):([a-z_]+)", text))


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_no_name_is_given_to_two_statements(dialect: EngineName) -> None:
    folder = resources.files("espf.eventlog").joinpath("sql")
    names = [
        name
        for file in FILES
        for name in re.findall(
            r"^-- name: (\w+)$", folder.joinpath(f"{file or dialect}.sql").read_text(), re.MULTILINE
        )
    ]
    assert sorted(names) == sorted(set(names)) == sorted(as_written(dialect))
