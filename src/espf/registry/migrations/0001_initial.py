"""First tables of the registry, and environment 1."""

from decimal import Decimal

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def _first_environment(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    environments = apps.get_model("espf_registry", "Environment").objects
    # The first key of a new table is 1; given by hand, PostgreSQL would give it once more.
    first = environments.using(schema_editor.connection.alias).create(name="default")
    assert first.pk == 1


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Environment",
            fields=[
                ("i_env", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255, unique=True)),
            ],
            options={
                "db_table": "environments",
            },
        ),
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("i_customer", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255)),
                ("bill_status", models.CharField(db_default="O", max_length=1)),
                ("blocked", models.CharField(db_default="N", max_length=1)),
                ("limited", models.CharField(db_default="N", max_length=1)),
                ("balance", models.DecimalField(db_default=0, decimal_places=5, max_digits=15)),
                ("credit_limit", models.DecimalField(decimal_places=5, max_digits=15, null=True)),
                ("firstname", models.CharField(blank=True, db_default="", max_length=255)),
                ("lastname", models.CharField(blank=True, db_default="", max_length=255)),
                ("email", models.CharField(blank=True, db_default="", max_length=255)),
                ("phone1", models.CharField(blank=True, db_default="", max_length=64)),
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
                "db_table": "customers",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "name"), name="customers_name"),
                    models.CheckConstraint(
                        condition=models.Q(("bill_status__in", ["O", "S", "C", "D", "E"])),
                        name="customers_bill_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("blocked__in", ["Y", "N"])), name="customers_blocked"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("limited__in", ["Y", "N"])), name="customers_limited"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("balance__gt", Decimal(-10000000000)),
                            ("balance__lt", Decimal(10000000000)),
                        ),
                        name="customers_balance",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("credit_limit__gt", Decimal(-10000000000)),
                            ("credit_limit__lt", Decimal(10000000000)),
                        ),
                        name="customers_credit_limit",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("i_product", models.AutoField(primary_key=True, serialize=False)),
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
                "db_table": "products",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "name"), name="products_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="SimCard",
            fields=[
                ("i_sim_card", models.AutoField(primary_key=True, serialize=False)),
                ("imsi", models.CharField(max_length=15)),
                ("iccid", models.CharField(max_length=22, null=True)),
                ("status", models.CharField(db_default="available", max_length=9)),
                ("amf", models.CharField(db_default="8000", max_length=4)),
                ("hlr_name", models.CharField(blank=True, db_default="", max_length=255)),
                ("ki", models.TextField(blank=True, db_default="")),
                ("opc", models.TextField(blank=True, db_default="")),
                ("pin", models.TextField(blank=True, db_default="")),
                ("puk1", models.TextField(blank=True, db_default="")),
                ("puk2", models.TextField(blank=True, db_default="")),
                ("activation_code", models.TextField(blank=True, db_default="")),
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
                "db_table": "sim_cards",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "imsi"), name="sim_cards_imsi"),
                    models.UniqueConstraint(fields=("env", "iccid"), name="sim_cards_iccid"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["available", "reserved", "used", "disposed"])
                        ),
                        name="sim_cards_status",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("i_account", models.AutoField(primary_key=True, serialize=False)),
                ("visible_id", models.CharField(db_column="id", max_length=64)),
                ("role", models.CharField(db_default="universal", max_length=14)),
                ("billing_model", models.SmallIntegerField(db_default=1)),
                ("balance_control", models.CharField(db_default="subordinate", max_length=11)),
                ("bill_status", models.CharField(db_default="O", max_length=1)),
                ("blocked", models.CharField(db_default="N", max_length=1)),
                ("balance", models.DecimalField(db_default=0, decimal_places=5, max_digits=15)),
                ("credit_limit", models.DecimalField(decimal_places=5, max_digits=15, null=True)),
                ("activation_date", models.DateField(null=True)),
                ("expiration_date", models.DateField(null=True)),
                ("firstname", models.CharField(blank=True, db_default="", max_length=255)),
                ("lastname", models.CharField(blank=True, db_default="", max_length=255)),
                ("email", models.CharField(blank=True, db_default="", max_length=255)),
                ("phone1", models.CharField(blank=True, db_default="", max_length=64)),
                ("zip", models.CharField(blank=True, db_default="", max_length=16)),
                ("time_zone_name", models.CharField(blank=True, db_default="", max_length=64)),
                ("password", models.TextField(blank=True, db_default="")),
                ("h323_password", models.TextField(blank=True, db_default="")),
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
                (
                    "product",
                    models.ForeignKey(
                        db_column="i_product",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.product",
                    ),
                ),
                (
                    "sim_card",
                    models.OneToOneField(
                        db_column="i_sim_card",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.simcard",
                    ),
                ),
            ],
            options={
                "db_table": "accounts",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "visible_id"), name="accounts_id"),
                    models.CheckConstraint(
                        condition=models.Q(("visible_id", ""), _negated=True),
                        name="accounts_id_given",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "role__in",
                                [
                                    "universal",
                                    "phone_line",
                                    "auto_attendant",
                                    "pinless",
                                    "ipv4_address",
                                    "mobile",
                                    "prepaid_card",
                                    "voucher",
                                ],
                            )
                        ),
                        name="accounts_role",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("billing_model__in", [-1, 0, 1, 2, 4])),
                        name="accounts_billing_model",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("balance_control__in", ["subordinate", "individual"])),
                        name="accounts_balance_control",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bill_status__in", ["O", "S", "I", "C"])),
                        name="accounts_bill_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("blocked__in", ["Y", "N"])), name="accounts_blocked"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("balance__gt", Decimal(-10000000000)),
                            ("balance__lt", Decimal(10000000000)),
                        ),
                        name="accounts_balance",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("credit_limit__gt", Decimal(-10000000000)),
                            ("credit_limit__lt", Decimal(10000000000)),
                        ),
                        name="accounts_credit_limit",
                    ),
                ],
            },
        ),
        migrations.RunPython(_first_environment, migrations.RunPython.noop),
    ]
