"""What dispatchers need: lanes for bulk events."""

from typing import ClassVar

from django.db import migrations

from espf.schema.scripts import script


class Migration(migrations.Migration):
    """Bulk lanes."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("espf_schema", "0006_groups")]
    operations = [migrations.RunPython(script("0007"), migrations.RunPython.noop)]
