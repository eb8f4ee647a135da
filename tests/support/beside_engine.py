"""Others who write while an engine runs in virtual time: a shell, and an operator."""

import asyncio
import sqlite3

from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.sqlite.log import SqliteEventLog
from sim_loop import SimLoop


class BesideEngine:
    """Gives the shell and the operator their turn when the engine's transaction is over."""

    loop: SimLoop
    log: SqliteEventLog
    _shell: sqlite3.Connection
    _operations: SessionOperations

    @property
    def shell(self) -> sqlite3.Connection:
        """A shell beside the engine."""
        self._let_commit()
        return self._shell

    @property
    def operations(self) -> SessionOperations:
        """An operator beside the engine."""
        self._let_commit()
        return self._operations

    def _let_commit(self) -> None:
        if self.loop.is_closed() or self.loop.is_running():
            return
        while self.log._writer.connection.in_transaction:
            self.loop.run_until_complete(asyncio.sleep(0.001))
