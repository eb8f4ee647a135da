"""What handlers of state keep: steps reached, and how far a resync is."""

from typing import ClassVar

from django.db import migrations

from espf.schema.scripts import script


class Migration(migrations.Migration):
    """Provisioning steps and resync marks."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("espf_schema", "0002_instances")]
    operations = [migrations.RunPython(script("0003"), migrations.RunPython.noop)]
