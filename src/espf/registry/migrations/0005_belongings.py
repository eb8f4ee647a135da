"""What accounts and customers have: devices, numbers, invoices, custom fields, follow-me."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.operations.base import Operation


def _text(model: str, table: str, name: str, length: int) -> Operation:
    """A text column. Django would copy the whole table on SQLite, which takes minutes for a large
    one and forgets the highest key that it has had; the column alone is enough on both engines.
    """
    column = f"ALTER TABLE {table} ADD COLUMN {name} varchar({length}) DEFAULT '' NOT NULL"
    field = models.CharField(blank=True, db_default="", max_length=length)
    state = migrations.AddField(model_name=model, name=name, field=field)
    return migrations.SeparateDatabaseAndState([migrations.RunSQL(column)], [state])


_PERSONAL = {"companyname": 255, "baddr1": 255, "city": 64, "state": 64, "country": 2}


class Migration(migrations.Migration):
    dependencies = [
        ("espf_registry", "0004_services"),
        ("espf_schema", "0004_services"),
    ]

    operations = [
        *(_text("account", "accounts", name, length) for name, length in _PERSONAL.items()),
        *(_text("customer", "customers", name, length) for name, length in _PERSONAL.items()),
        _text("customer", "customers", "zip", 16),
        migrations.CreateModel(
            name="IpDeviceProfile",
            fields=[
                ("i_ip_device_profile", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255)),
                ("description", models.CharField(blank=True, db_default="", max_length=255)),
                (
                    "env",
                    models.ForeignKey(
                        db_column="i_env",
                        db_default=1,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.environment",
                    ),
                ),
            ],
            options={
                "db_table": "ip_device_profiles",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "name"), name="ip_device_profiles_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="IpDevice",
            fields=[
                ("i_ip_device", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255)),
                ("mac", models.CharField(max_length=12, null=True)),
                (
                    "env",
                    models.ForeignKey(
                        db_column="i_env",
                        db_default=1,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.environment",
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        db_column="i_ip_device_profile",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.ipdeviceprofile",
                    ),
                ),
            ],
            options={
                "db_table": "ip_devices",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "name"), name="ip_devices_name"),
                    models.UniqueConstraint(fields=("env", "mac"), name="ip_devices_mac"),
                ],
            },
        ),
        migrations.CreateModel(
            name="CustomField",
            fields=[
                ("i_custom_field", models.AutoField(primary_key=True, serialize=False)),
                ("object", models.CharField(max_length=8)),
                ("name", models.CharField(max_length=64)),
                (
                    "env",
                    models.ForeignKey(
                        db_column="i_env",
                        db_default=1,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.environment",
                    ),
                ),
            ],
            options={
                "db_table": "custom_fields",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("env", "object", "name"), name="custom_fields_name"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("object__in", ["account", "customer"])),
                        name="custom_fields_object",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CustomFieldValue",
            fields=[
                ("i_custom_field_value", models.AutoField(primary_key=True, serialize=False)),
                ("value", models.CharField(blank=True, db_default="", max_length=1000)),
                (
                    "account",
                    models.ForeignKey(
                        db_column="i_account",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="espf_registry.account",
                    ),
                ),
                (
                    "custom_field",
                    models.ForeignKey(
                        db_column="i_custom_field",
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="espf_registry.customfield",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        db_column="i_customer",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="espf_registry.customer",
                    ),
                ),
            ],
            options={
                "db_table": "custom_field_values",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("custom_field", "account"), name="custom_field_values_account"
                    ),
                    models.UniqueConstraint(
                        fields=("custom_field", "customer"), name="custom_field_values_customer"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("account__isnull", True), ("customer__isnull", False)),
                            models.Q(("account__isnull", False), ("customer__isnull", True)),
                            _connector="OR",
                        ),
                        name="custom_field_values_owner",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Did",
            fields=[
                ("i_did", models.AutoField(primary_key=True, serialize=False)),
                ("number", models.CharField(max_length=18)),
                ("status", models.CharField(db_default="not_in_use", max_length=10)),
                ("description", models.CharField(blank=True, db_default="", max_length=255)),
                (
                    "account",
                    models.ForeignKey(
                        db_column="i_account",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="espf_registry.account",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        db_column="i_customer",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.customer",
                    ),
                ),
                (
                    "env",
                    models.ForeignKey(
                        db_column="i_env",
                        db_default=1,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.environment",
                    ),
                ),
            ],
            options={
                "db_table": "dids",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "number"), name="dids_number"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["not_in_use", "in_use", "frozen", "moved"])
                        ),
                        name="dids_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("customer__isnull", False), ("status", "in_use")),
                            models.Q(
                                models.Q(("status", "in_use"), _negated=True),
                                ("customer__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="dids_owner",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("account__isnull", True), ("customer__isnull", False), _connector="OR"
                        ),
                        name="dids_customer",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("i_invoice", models.AutoField(primary_key=True, serialize=False)),
                ("invoice_number", models.CharField(max_length=64)),
                ("status", models.CharField(db_default="unpaid", max_length=14)),
                ("amount_net", models.DecimalField(db_default=0, decimal_places=5, max_digits=15)),
                ("adjustments", models.DecimalField(db_default=0, decimal_places=5, max_digits=15)),
                ("amount_paid", models.DecimalField(db_default=0, decimal_places=5, max_digits=15)),
                ("issue_date", models.DateField(null=True)),
                ("due_date", models.DateField(null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        db_column="i_customer",
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.customer",
                    ),
                ),
                (
                    "env",
                    models.ForeignKey(
                        db_column="i_env",
                        db_default=1,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.environment",
                    ),
                ),
            ],
            options={
                "db_table": "invoices",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("env", "invoice_number"), name="invoices_number"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                ["unpaid", "partially_paid", "paid", "overdue", "refunded", "void"],
                            )
                        ),
                        name="invoices_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("amount_net__gt", Decimal(-10000000000)),
                            ("amount_net__lt", Decimal(10000000000)),
                        ),
                        name="invoices_amount_net",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("adjustments__gt", Decimal(-10000000000)),
                            ("adjustments__lt", Decimal(10000000000)),
                        ),
                        name="invoices_adjustments",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("amount_paid__gt", Decimal(-10000000000)),
                            ("amount_paid__lt", Decimal(10000000000)),
                        ),
                        name="invoices_amount_paid",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FollowMe",
            fields=[
                ("i_follow_me", models.AutoField(primary_key=True, serialize=False)),
                ("enabled", models.CharField(db_default="Y", max_length=1)),
                ("sequence", models.CharField(db_default="order", max_length=12)),
                ("timeout", models.PositiveSmallIntegerField(db_default=30)),
                ("max_forwards", models.PositiveSmallIntegerField(null=True)),
                (
                    "account",
                    models.OneToOneField(
                        db_column="i_account",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="espf_registry.account",
                    ),
                ),
            ],
            options={
                "db_table": "follow_me",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("enabled__in", ["Y", "N"])), name="follow_me_enabled"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sequence__in", ["order", "random", "simultaneous"])),
                        name="follow_me_sequence",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FollowMeNumber",
            fields=[
                ("i_follow_me_number", models.AutoField(primary_key=True, serialize=False)),
                ("i_follow_me_order", models.PositiveSmallIntegerField(db_default=1)),
                ("name", models.CharField(blank=True, db_default="", max_length=255)),
                ("redirect_number", models.CharField(max_length=64)),
                ("timeout", models.PositiveSmallIntegerField(db_default=30)),
                ("active", models.CharField(db_default="Y", max_length=1)),
                (
                    "account",
                    models.ForeignKey(
                        db_column="i_account",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="espf_registry.account",
                    ),
                ),
            ],
            options={
                "db_table": "follow_me_numbers",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("active__in", ["Y", "N"])),
                        name="follow_me_numbers_active",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="account",
            name="master",
            field=models.ForeignKey(
                db_column="i_master_account",
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="espf_registry.account",
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="ip_device",
            field=models.ForeignKey(
                db_column="i_ip_device",
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="espf_registry.ipdevice",
            ),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("master__isnull", False)),
                fields=["master"],
                name="accounts_i_master_account",
            ),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("ip_device__isnull", False)),
                fields=["ip_device"],
                name="accounts_i_ip_device",
            ),
        ),
    ]
