"""Accounts changed for as long as a test runs, whatever happens to the database meanwhile.

Half of the events are capture's, of accounts that get another id; half are appended as they are.
Each carries a serial of its own, by which a repeat is known even if its number were another one,
and the moment it was written. What became of a transaction that a fault cut short, the tables of
events and accounts say at the end. Import it as `fault_load`.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Self

import psycopg

from engine_rig import OTHER, PLAIN, open_plain
from espf.eventlog.model import LANES

ACCOUNTS = range(1, 201)
CAPTURED = "Account/ID/Changed"
TYPES = frozenset((PLAIN, OTHER, CAPTURED))
POPULATION = (
    "INSERT INTO customers (name) VALUES ('Ann')",
    "INSERT INTO accounts (i_customer, id) VALUES "
    + ", ".join(f"(1, 'a{account}')" for account in ACCOUNTS),
)
TOGETHER = 4
"""Events in a transaction on average."""
TRY_AGAIN_S = 0.05
CHANGE = "UPDATE accounts SET id = ? WHERE i_account = ?"
APPEND = (
    "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables)"
    " VALUES (1, ?, 'account', ?, ?, ?)"
)
Run = Callable[[str, tuple[Any, ...]], object]
"""(statement, parameters) → run in the transaction at hand."""


def serial_moment(serial: str) -> float:
    """When an event was written: time.monotonic()."""
    return float(serial.rpartition("@")[2])


class Load:
    """Writers at work, each with a connection of its own in a thread of its own."""

    def __init__(self, rate: float, writers: int) -> None:
        """`rate`: events a second of all writers together."""
        self.pause_s = writers * TOGETHER / rate
        self.failures = 0
        """Transactions that a fault cut short."""
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(writers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        random = Random(number)
        count = 0
        while not self._stopped.is_set():
            try:
                with self.connected() as transaction:
                    while not self._stopped.wait(random.uniform(0, 2 * self.pause_s)):
                        count = transaction(random, f"w{number}-{count}")
            except (psycopg.Error, sqlite3.Error):
                self.failures += 1
                self._stopped.wait(TRY_AGAIN_S)
            count += TOGETHER * 2  # nobody knows how many of the last were stored

    @contextmanager
    def connected(self) -> Iterator[Callable[[Random, str], int]]:
        """Connect; gives what runs one transaction: (random, last serial) → count of serials."""
        raise NotImplementedError
        yield


def change_some(run: Run, random: Random, serial: str) -> int:
    """Change a few accounts, or append events of theirs; how many serials are used up."""
    writer, _, text = serial.partition("-")
    count = int(text)
    # In one order, or two writers would wait for each other.
    for account in sorted(random.choices(ACCOUNTS, k=random.randint(1, 2 * TOGETHER - 1))):
        count += 1
        told = f"{writer}-{count}@{time.monotonic():.3f}"
        if random.random() < 0.5:
            run(CHANGE, (told, account))
        else:
            variables = f'{{"i_account":{account},"serial":"{told}"}}'
            run(APPEND, (random.choice((PLAIN, OTHER)), account, account % LANES, variables))
    return count


class PostgresLoad(Load):
    """Transactions of every kind: short, long, rolled back, with an id older than their numbers."""

    LONG_S = 0.5

    def __init__(self, url: str, rate: float = 300, writers: int = 6) -> None:
        super().__init__(rate, writers)
        self._url = url

    @contextmanager
    def connected(self) -> Iterator[Callable[[Random, str], int]]:
        with psycopg.connect(self._url, connect_timeout=2, application_name="load") as connection:

            def run(statement: str, parameters: tuple[Any, ...]) -> object:
                return connection.execute(statement.replace("?", "%s").encode(), parameters)

            def transaction(random: Random, serial: str) -> int:
                if random.random() < 0.1:
                    connection.execute("SELECT pg_current_xact_id()")
                    time.sleep(random.uniform(0, 0.01))
                count = change_some(run, random, serial)
                if random.random() < 0.005:
                    time.sleep(random.uniform(0, self.LONG_S))
                if random.random() < 0.05:
                    connection.rollback()
                else:
                    connection.commit()
                return count

            yield transaction


class SqliteLoad(Load):
    """Short transactions: a writer keeps all others waiting."""

    def __init__(self, path: Path, rate: float = 200, writers: int = 2) -> None:
        super().__init__(rate, writers)
        self._path = path

    @contextmanager
    def connected(self) -> Iterator[Callable[[Random, str], int]]:
        connection = open_plain(self._path)
        try:

            def transaction(random: Random, serial: str) -> int:
                connection.execute("BEGIN IMMEDIATE")
                count = change_some(connection.execute, random, serial)
                connection.execute("ROLLBACK" if random.random() < 0.05 else "COMMIT")
                return count

            yield transaction
        finally:
            connection.close()
