"""Service groups, and the provisioning status of accounts in them."""

from typing import ClassVar

from django.db import migrations

from espf.schema.scripts import script


class Migration(migrations.Migration):
    """Groups and statuses."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("espf_schema", "0005_belongings")]
    operations = [migrations.RunPython(script("0006"), migrations.RunPython.noop)]
