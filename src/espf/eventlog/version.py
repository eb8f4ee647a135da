"""Version of the tables that this program reads and writes; each migration of them raises it."""

from espf.errors import StorageError

SCHEMA_VERSION = 6


def check_version(found: int | None, place: str) -> None:
    """Raise StorageError unless the database at `place` is of this version; None: it has none."""
    if found is None:
        raise StorageError(f"The database {place} has no espf tables yet. Run `espf migrate`.")
    if found > SCHEMA_VERSION:
        raise StorageError(
            f"The database {place} was written by a newer espf (schema {found}, this program "
            f"knows {SCHEMA_VERSION}). Install that release, or restore a backup."
        )
    if found < SCHEMA_VERSION:
        raise StorageError(f"The database {place} is of an older espf. Run `espf migrate`.")
