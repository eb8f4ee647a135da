"""Event log, handlers and their state: plain tables, read and written with plain SQL."""

from importlib import resources
from typing import ClassVar

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001 - Django's call
    """Create the tables in the engine's own dialect."""
    vendor = schema_editor.connection.vendor
    script = resources.files(__package__).joinpath(f"0001_{vendor}.sql").read_text()
    for statement in _statements(script):
        schema_editor.execute(statement)


def _statements(script: str) -> list[str]:
    lines = [line.split("--")[0].rstrip() for line in script.splitlines()]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


class Migration(migrations.Migration):
    """First tables."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
