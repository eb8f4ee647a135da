"""Columns for service features, attributes, access policies, add-on products and plans."""

from typing import ClassVar

from django.db import migrations

from espf.schema.scripts import script


class Migration(migrations.Migration):
    """The columns of tables that were there before."""

    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("espf_schema", "0003_provisioning"),
        ("espf_registry", "0004_services"),
    ]
    operations = [migrations.RunPython(script("0004"), migrations.RunPython.noop)]
