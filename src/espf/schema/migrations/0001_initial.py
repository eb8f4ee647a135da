"""Event log, handlers and their state: plain tables, read and written with plain SQL."""

from typing import ClassVar

from django.db import migrations

from espf.schema.scripts import script


class Migration(migrations.Migration):
    """First tables."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations = [migrations.RunPython(script("0001"), migrations.RunPython.noop)]
