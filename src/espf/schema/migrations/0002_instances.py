"""Several instances, search and retention."""

from typing import ClassVar

from django.db import migrations

from espf.schema.scripts import script


class Migration(migrations.Migration):
    """Instances, blocks of the log, retention's marks."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("espf_schema", "0001_initial")]
    operations = [migrations.RunPython(script("0002"), migrations.RunPython.noop)]
