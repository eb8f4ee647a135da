"""The registry's tables of what accounts and customers have."""

from typing import ClassVar

from django.db import migrations

from espf.schema.scripts import script


class Migration(migrations.Migration):
    """A version of their own: an older program would leave them without triggers."""

    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("espf_schema", "0004_services"),
        ("espf_registry", "0005_belongings"),
    ]
    operations = [migrations.RunPython(script("0005"), migrations.RunPython.noop)]
