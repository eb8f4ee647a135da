"""Secrets at rest, and where the database is."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from espf.database_url import SqliteUrl, parse_database_url
from espf.errors import ConfigError, StorageError
from espf.secrets import SecretBox, derived_key, load_key

KEY = "0123456789abcdef0123456789abcdef"


def test_a_secret_comes_back_and_looks_different_each_time():
    box = SecretBox(KEY)
    assert box.decrypt(box.encrypt("Ki 😀")) == "Ki 😀"
    assert box.encrypt("x") != box.encrypt("x")


def test_another_key_says_what_is_wrong_and_how_to_mend_it():
    sealed = SecretBox(KEY).encrypt("geheim")
    for ciphertext in (sealed, "plain text from a shell", "", "é"):
        with pytest.raises(
            StorageError, match=r"Restore the key.*or set the secret again"
        ) as error:
            SecretBox(KEY[::-1]).decrypt(ciphertext)
        assert "geheim" not in str(error.value)


def test_the_key_file_is_made_once_and_only_the_owner_can_read_it(tmp_path):
    database = tmp_path / "a.db"
    key = load_key(SqliteUrl(database), {})
    assert load_key(SqliteUrl(database), {}) == key
    assert stat.S_IMODE((tmp_path / "a.db.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a.db.key"]


def test_two_processes_at_once_get_the_same_key(tmp_path):
    code = (
        "import sys; from pathlib import Path; from espf.secrets import load_key;"
        "from espf.database_url import SqliteUrl;"
        "sys.stdin.read(1); print(load_key(SqliteUrl(Path(sys.argv[1])), {}))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "a.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert len({process.communicate("go")[0] for process in started}) == 1


def test_the_environment_comes_before_the_file(tmp_path):
    own = tmp_path / "own.key"
    own.write_text(f"{KEY}\n")
    assert load_key(SqliteUrl(tmp_path / "a.db"), {"ESPF_SECRET_KEY_FILE": str(own)}) == KEY
    given = {"ESPF_SECRET_KEY": KEY[::-1], "ESPF_SECRET_KEY_FILE": str(own)}
    assert load_key(SqliteUrl(tmp_path / "a.db"), given) == KEY[::-1]


def test_a_short_key_a_binary_file_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="shorter than 32") as error:
        load_key(SqliteUrl(tmp_path / "a.db"), {"ESPF_SECRET_KEY": "hunter2"})
    assert "hunter2" not in str(error.value)
    (tmp_path / "bin").write_bytes(b"\xff" * 64)
    with pytest.raises(StorageError, match="not text"):
        load_key(SqliteUrl(tmp_path / "a.db"), {"ESPF_SECRET_KEY_FILE": str(tmp_path / "bin")})
    with pytest.raises(StorageError, match="No such file"):
        load_key(SqliteUrl(tmp_path / "none" / "a.db"), {})


def test_keys_for_two_purposes_differ():
    assert derived_key(KEY, "django") != derived_key(KEY, "secrets at rest")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:///espf.db", "espf.db"),
        ("sqlite:////var/lib/espf/my%20file.db", "/var/lib/espf/my file.db"),
        (" sqlite:///a/b.db ", "a/b.db"),
    ],
)
def test_a_database_address_names_a_file(text, path):
    assert parse_database_url(text).path == Path(path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:geheim@h/d", "d on h (PostgreSQL)"),
        ("postgres:///d?host=/run", "d on /run (PostgreSQL)"),
        ("host=/run port=5433 dbname=d password=geheim", "d on /run:5433 (PostgreSQL)"),
    ],
)
def test_any_address_of_libpq_names_a_postgresql_database(text, shown):
    url = parse_database_url(text)
    assert (url.engine, str(url), url.shown) == ("postgres", text, shown)
    assert "geheim" not in repr(url)


@pytest.mark.parametrize("text", ["postgresql://u:geheim@h/d?nonsense=1", "host='geheim"])
def test_what_libpq_cannot_read_is_refused_and_not_repeated(text):
    with pytest.raises(ConfigError, match="cannot be read by libpq") as error:
        parse_database_url(text)
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "espf.db", "sqlite://", "sqlite:///", "sqlite://h/x", "mysql://x", "sqlite:///a/",
     "sqlite:///:memory:", "sqlite:///a%00b", "sqlite:///."],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_accepted(text):
    with pytest.raises(ConfigError, match=r"sqlite:///FILE|control"):
        parse_database_url(text)
