"""All machines that share a database need the same key: one with another is told which to copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_rig import ENGINES, Installation, handlers_toml, installation
from espf.secrets import find_key, key_file

OTHER = "another key than the first machine's: 0123456789"
ACCOUNT = ("registry", "add", "account", "i_customer=1")


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        made.ok("registry", "add", "customer", "name=Ann")
        yield made


def refused(installed: Installation, *commands: tuple[str, ...], **variables: str) -> set[str]:
    """Each command must be refused because of its key; what they said."""
    said = set()
    for words in commands:
        done = installed.run(*words, **variables)
        assert done.returncode == 1, done.stdout
        said.add(done.stderr)
    return said


def test_a_machine_with_another_key_is_refused_and_told_what_to_copy(
    installed: Installation,
) -> None:
    installed.ok(*ACCOUNT, "id=1", "password=geheim")
    file = installed.write("handlers.toml", handlers_toml())
    commands = (
        ("apply", file),
        (*ACCOUNT, "id=2", "password=geheim"),
        ("registry", "update", "account", "1", "password=new"),
        ("instance",),
        ("web", "--port", "0"),
        ("serve", "--port", "0"),
        ("migrate",),
    )
    (said,) = refused(installed, *commands, ESPF_SECRET_KEY=OTHER)
    assert "The key in ESPF_SECRET_KEY is not the one" in said
    assert "Put it into ESPF_SECRET_KEY." in said
    assert OTHER not in said
    other = installed.write("other.key", OTHER)
    (said,) = refused(installed, ("apply", file), ESPF_SECRET_KEY_FILE=other)
    assert f"Copy it to the key file {other}." in said
    doctor = installed.run("doctor", ESPF_SECRET_KEY=OTHER)
    assert doctor.returncode == 1
    assert "key: The key in ESPF_SECRET_KEY is not the one" in doctor.stdout
    assert installed.sql("SELECT count(*) FROM handler") == [(0,)]
    assert installed.sql("SELECT count(*) FROM accounts") == [(1,)]
    found = find_key(installed.url, {})
    assert found is not None
    installed.ok("apply", file, ESPF_SECRET_KEY=found.key)


def test_a_machine_without_the_key_makes_none_of_its_own(installed: Installation) -> None:
    installed.ok(*ACCOUNT, "id=1", "password=geheim")
    here = installed.folder / "elsewhere.key"
    first = key_file(installed.url, {})
    (said,) = refused(
        installed,
        (*ACCOUNT, "id=2", "password=geheim"),
        ("instance",),
        ESPF_SECRET_KEY_FILE=str(here),
    )
    assert "in use with a key that is not here" in said
    assert str(here) in said
    assert not here.exists()
    # Whoever only makes tables, or writes no secret, needs none.
    installed.ok("migrate", ESPF_SECRET_KEY_FILE=str(here))
    installed.ok(*ACCOUNT, "id=2", ESPF_SECRET_KEY_FILE=str(here))
    here.write_bytes(first.read_bytes())
    installed.ok(*ACCOUNT, "id=3", "password=geheim", ESPF_SECRET_KEY_FILE=str(here))


def test_what_was_refused_leaves_the_choice_of_the_key_open(installed: Installation) -> None:
    """The first use is one that was stored; a dry run is none."""
    refused(installed, (*ACCOUNT, "id=1", "password=geheim", "i_product=9"), ESPF_SECRET_KEY=OTHER)
    file = installed.write("handlers.toml", handlers_toml())
    installed.ok("apply", file, "--dry-run", ESPF_SECRET_KEY=OTHER)
    assert installed.sql("SELECT count(*) FROM installation") == [(0,)]
    installed.ok("apply", file)
    (said,) = refused(installed, ("instance",), ESPF_SECRET_KEY=OTHER)
    assert "is not the one" in said


def test_the_database_tells_nothing_of_the_key(installed: Installation) -> None:
    installed.ok(*ACCOUNT, "id=1", "password=geheim")
    found = find_key(installed.url, {})
    assert found is not None
    ((stored,),) = installed.sql("SELECT value FROM installation")
    assert len(stored) == 44
    assert stored not in found.key
    assert found.key not in installed.stored().decode("utf-8", "replace")
