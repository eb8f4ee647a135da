"""What the sqlite3 command does with SQL on its input: no function and no setting of ours."""

import sqlite3
import sys


def main() -> None:
    """Run the input, statement by statement, going on after an error as the shell does."""
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    pending = ""
    for line in sys.stdin:
        pending += line
        if sqlite3.complete_statement(pending):
            _run(connection, pending)
            pending = ""
    if pending.strip():
        _run(connection, pending + ";")
    connection.close()


def _run(connection: sqlite3.Connection, sql: str) -> None:
    try:
        for row in connection.execute(sql) if sql.count(";") == 1 else _script(connection, sql):
            print(*row, sep="|")
    except sqlite3.Error as error:
        print(f"Error: {error}", file=sys.stderr)


def _script(connection: sqlite3.Connection, sql: str) -> list[tuple[object, ...]]:
    connection.executescript(sql)
    return []


if __name__ == "__main__":
    main()
