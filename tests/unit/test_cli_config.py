"""The configuration: file, variables over it, mistakes; and the lock of the one engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from espf.config import load_config
from espf.database_url import SqliteUrl
from espf.enginelock import engine_lock, engine_pid
from espf.errors import ConfigError, StorageError


def test_without_anything_the_defaults_hold() -> None:
    config = load_config()
    assert (config.host, config.port) == ("127.0.0.1", 8080)
    assert config.database == SqliteUrl(Path.cwd() / "espf.db")


def test_variables_win_over_the_file_and_options_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "espf.toml"
    file.write_text('port = 1\nhost = "a"\nlog_level = "debug"\n')
    monkeypatch.setenv("ESPF_CONFIG", str(file))
    monkeypatch.setenv("ESPF_PORT", "2")
    config = load_config(given={"host": "b"})
    assert (config.port, config.host, config.log_level) == (2, "b", "debug")


def test_every_mistake_is_told_with_the_nearest_name_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "espf.toml"
    file.write_text('prot = 1\nsecret_key = ["hush"]\nport = "many"\n')
    monkeypatch.setenv("ESPF_CONFIG", str(file))
    with pytest.raises(ConfigError) as caught:
        load_config()
    text = str(caught.value)
    assert "prot is no setting; did you mean port?" in text
    assert "secret_key (ESPF_SECRET_KEY)" in text
    assert "port (ESPF_PORT)" in text
    assert "hush" not in text


@pytest.mark.parametrize("content", [b"x = [", b"\xff\xfe", b"x = " + b"[" * 5000])
def test_a_file_that_is_no_toml_is_refused_by_name(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "espf.toml"
    file.write_bytes(content)
    monkeypatch.setenv("ESPF_CONFIG", str(file))
    with pytest.raises(ConfigError, match=r"espf\.toml is not"):
        load_config()


def test_the_lock_names_its_holder_and_is_free_after_its_death(tmp_path: Path) -> None:
    database = tmp_path / "espf.db"
    code = (
        "import sys; from pathlib import Path; from espf.enginelock import engine_lock\n"
        "from espf.database_url import SqliteUrl\n"
        "with engine_lock(SqliteUrl(Path(sys.argv[1]))):\n"
        "    print('mine', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(database)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert engine_pid(database) == holder.pid
        with (
            pytest.raises(StorageError, match=f"process {holder.pid}"),
            engine_lock(SqliteUrl(database)),
        ):
            pass
        holder.kill()
        holder.wait()
    assert engine_pid(database) is None
    with engine_lock(SqliteUrl(database)):
        assert engine_pid(database) == os.getpid()


def test_a_lock_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    database = tmp_path / "espf.db"
    (tmp_path / "espf.db.engine.lock").symlink_to("/dev/full")
    with (
        pytest.raises(StorageError, match=r"lock .* cannot be written"),
        engine_lock(SqliteUrl(database)),
    ):
        pass


def test_a_commands_option_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPF_PORT", "1")
    monkeypatch.setenv("ESPF_LOG_LEVEL", "debug")
    config = load_config(given={"port": 2})
    assert (config.port, config.log_level) == (2, "debug")
