"""Runs the scripts beside the migrations, each in the database's own dialect."""

from collections.abc import Callable
from importlib import resources

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def script(number: str) -> Callable[[Apps, BaseDatabaseSchemaEditor], None]:
    """A step of a migration that runs `NUMBER_VENDOR.sql`."""

    def run(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        vendor = schema_editor.connection.vendor
        folder = resources.files("espf.schema.migrations")
        for statement in statements(folder.joinpath(f"{number}_{vendor}.sql").read_text()):
            schema_editor.execute(statement)

    return run


def statements(text: str) -> list[str]:
    """The statements of a script, without its comments."""
    lines = [line.split("--")[0].rstrip() for line in text.splitlines()]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
