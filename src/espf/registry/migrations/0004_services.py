"""Service features, attributes, access policies, add-on products and discount plans."""

import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_PRIORITY = (
    "ALTER TABLE products ADD COLUMN addon_priority smallint DEFAULT 0 NOT NULL"
    " CONSTRAINT products_addon_priority CHECK (addon_priority IN (0, 10, 15, 20, 25, 30))"
)
_FLAGS = (
    "replace(replace(replace(service_flags, 'Y', ''), 'N', ''), '^', '') = ''"
    " AND substr(service_flags, length(service_flags), 1) <> '^'"
)


def _columns() -> tuple[str, ...]:
    """Columns of tables that were there before, the same on both engines. Django would copy whole
    tables on SQLite, which takes minutes for large ones and forgets their highest keys.
    """
    return (
        _PRIORITY,
        *_reference("products", "i_vd_plan", "vd_plans"),
        *_reference("products", "i_access_policy", "access_policies"),
        *_reference("accounts", "i_customer_site", "customer_sites"),
        *_reference("accounts", "i_vd_plan", "vd_plans"),
        *_reference("accounts", "i_access_policy", "access_policies"),
        *(
            f"ALTER TABLE {table} ADD COLUMN service_flags varchar(64) DEFAULT '' NOT NULL"
            f" CONSTRAINT {table}_service_flags CHECK ({_FLAGS})"
            for table in ("products", "customers", "accounts")
        ),
    )


def _reference(table: str, column: str, to: str) -> list[str]:
    """Few rows have one, so the index is of those alone."""
    refers = f"REFERENCES {to} ({column}) DEFERRABLE INITIALLY DEFERRED"
    return [
        f"ALTER TABLE {table} ADD COLUMN {column} integer NULL {refers}",
        f"CREATE INDEX {table}_{column} ON {table} ({column}) WHERE {column} IS NOT NULL",
    ]


def _first_feature(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The one that is known by name (domain, 5.2); operators add theirs."""
    features = apps.get_model("espf_registry", "ServiceFeature").objects
    features.using(schema_editor.connection.alias).create(name="netaccess_policy")


class Migration(migrations.Migration):
    dependencies = [
        ("espf_registry", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="VdPlan",
            fields=[
                ("i_vd_plan", models.AutoField(primary_key=True, serialize=False)),
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
                ("name", models.CharField(max_length=255)),
                ("description", models.CharField(blank=True, db_default="", max_length=255)),
            ],
            options={
                "db_table": "vd_plans",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "name"), name="vd_plans_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="Service",
            fields=[
                ("i_service", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255, unique=True)),
            ],
            options={
                "db_table": "services",
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="ServiceFeature",
            fields=[
                ("i_service_feature", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=64, unique=True)),
            ],
            options={
                "db_table": "service_features",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("i_service_feature__gte", 1), ("i_service_feature__lte", 64)
                        ),
                        name="service_features_number",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AccessPolicy",
            fields=[
                ("i_access_policy", models.AutoField(primary_key=True, serialize=False)),
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
                ("name", models.CharField(max_length=255)),
                ("description", models.CharField(blank=True, db_default="", max_length=255)),
            ],
            options={
                "db_table": "access_policies",
                "constraints": [
                    models.UniqueConstraint(fields=("env", "name"), name="access_policies_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="AccessPolicyPhase",
            fields=[
                ("i_access_policy_phase", models.AutoField(primary_key=True, serialize=False)),
                (
                    "access_policy",
                    models.ForeignKey(
                        db_column="i_access_policy",
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.accesspolicy",
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("description", models.CharField(blank=True, db_default="", max_length=255)),
            ],
            options={
                "db_table": "policy_phases",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("access_policy", "name"), name="policy_phases_name"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AccessPolicyAttribute",
            fields=[
                ("i_access_policy_attribute", models.AutoField(primary_key=True, serialize=False)),
                (
                    "access_policy",
                    models.ForeignKey(
                        db_column="i_access_policy",
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.accesspolicy",
                    ),
                ),
                (
                    "access_policy_phase",
                    models.ForeignKey(
                        db_column="i_access_policy_phase",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.accesspolicyphase",
                    ),
                ),
                ("group_name", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=64)),
                ("value", models.CharField(blank=True, db_default="", max_length=1024)),
            ],
            options={
                "db_table": "policy_attributes",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("access_policy_phase", None)),
                        fields=("access_policy", "group_name", "name"),
                        name="policy_attributes_name",
                    ),
                    models.UniqueConstraint(
                        fields=("access_policy_phase", "group_name", "name"),
                        name="policy_attributes_phase",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True),
                        name="policy_attributes_named",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CustomerSite",
            fields=[
                ("i_customer_site", models.AutoField(primary_key=True, serialize=False)),
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
                    "customer",
                    models.ForeignKey(
                        db_column="i_customer",
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.customer",
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("service_flags", models.CharField(blank=True, db_default="", max_length=64)),
            ],
            options={
                "db_table": "customer_sites",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("customer", "name"), name="customer_sites_name"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Replace(
                                    django.db.models.functions.text.Replace(
                                        django.db.models.functions.text.Replace(
                                            models.F("service_flags"),
                                            models.Value("Y"),
                                            models.Value(""),
                                        ),
                                        models.Value("N"),
                                        models.Value(""),
                                    ),
                                    models.Value("^"),
                                    models.Value(""),
                                ),
                                models.Value(""),
                            ),
                            models.Q(("service_flags__endswith", "^"), _negated=True),
                        ),
                        name="customer_sites_service_flags",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountAddon",
            fields=[
                ("i_account_addon", models.AutoField(primary_key=True, serialize=False)),
                (
                    "account",
                    models.ForeignKey(
                        db_column="i_account",
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.account",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_column="i_product",
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.product",
                    ),
                ),
                ("addon_effective_from", models.CharField(max_length=19, null=True)),
                ("addon_effective_to", models.CharField(max_length=19, null=True)),
            ],
            options={
                "db_table": "account_addons",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "product"), name="account_addons_product"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Length("addon_effective_from"), 19
                            )
                        ),
                        name="account_addons_addon_effective_from",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Length("addon_effective_to"), 19
                            )
                        ),
                        name="account_addons_addon_effective_to",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("addon_effective_to__gt", models.F("addon_effective_from"))
                        ),
                        name="account_addons_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ServiceAttribute",
            fields=[
                ("i_service_attribute", models.AutoField(primary_key=True, serialize=False)),
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
                    "account",
                    models.ForeignKey(
                        db_column="i_account",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.account",
                    ),
                ),
                (
                    "customer_site",
                    models.ForeignKey(
                        db_column="i_customer_site",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.customersite",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        db_column="i_customer",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.customer",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_column="i_product",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.product",
                    ),
                ),
                (
                    "service_feature",
                    models.ForeignKey(
                        db_column="i_service_feature",
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.servicefeature",
                    ),
                ),
                ("name", models.CharField(max_length=64)),
                ("value", models.CharField(blank=True, db_default="", max_length=1024)),
            ],
            options={
                "db_table": "service_attributes",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("account__isnull", False),
                                ("customer__isnull", True),
                                ("customer_site__isnull", True),
                                ("product__isnull", True),
                            ),
                            models.Q(
                                ("account__isnull", True),
                                ("customer__isnull", True),
                                ("customer_site__isnull", False),
                                ("product__isnull", True),
                            ),
                            models.Q(
                                ("account__isnull", True),
                                ("customer__isnull", False),
                                ("customer_site__isnull", True),
                                ("product__isnull", True),
                            ),
                            models.Q(
                                ("account__isnull", True),
                                ("customer__isnull", True),
                                ("customer_site__isnull", True),
                                ("product__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="service_attributes_owner",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True),
                        name="service_attributes_named",
                    ),
                    models.UniqueConstraint(
                        fields=("account", "service_feature", "name"),
                        name="service_attributes_account",
                    ),
                    models.UniqueConstraint(
                        fields=("customer_site", "service_feature", "name"),
                        name="service_attributes_customer_site",
                    ),
                    models.UniqueConstraint(
                        fields=("customer", "service_feature", "name"),
                        name="service_attributes_customer",
                    ),
                    models.UniqueConstraint(
                        fields=("product", "service_feature", "name"),
                        name="service_attributes_product",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Accessibility",
            fields=[
                ("i_accessibility", models.AutoField(primary_key=True, serialize=False)),
                (
                    "product",
                    models.ForeignKey(
                        db_column="i_product",
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="espf_registry.product",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        db_column="i_service",
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.service",
                    ),
                ),
            ],
            options={
                "db_table": "accessibility",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("product", "service"), name="accessibility_service"
                    )
                ],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_columns())],
            state_operations=[
                migrations.AddField(
                    model_name="product",
                    name="addon_priority",
                    field=models.SmallIntegerField(db_default=0),
                ),
                migrations.AddField(
                    model_name="product",
                    name="vd_plan",
                    field=models.ForeignKey(
                        db_column="i_vd_plan",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.vdplan",
                    ),
                ),
                migrations.AddField(
                    model_name="product",
                    name="access_policy",
                    field=models.ForeignKey(
                        db_column="i_access_policy",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.accesspolicy",
                    ),
                ),
                migrations.AddField(
                    model_name="product",
                    name="service_flags",
                    field=models.CharField(blank=True, db_default="", max_length=64),
                ),
                migrations.AddConstraint(
                    model_name="product",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("addon_priority__in", [0, 10, 15, 20, 25, 30])),
                        name="products_addon_priority",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="product",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Replace(
                                    django.db.models.functions.text.Replace(
                                        django.db.models.functions.text.Replace(
                                            models.F("service_flags"),
                                            models.Value("Y"),
                                            models.Value(""),
                                        ),
                                        models.Value("N"),
                                        models.Value(""),
                                    ),
                                    models.Value("^"),
                                    models.Value(""),
                                ),
                                models.Value(""),
                            ),
                            models.Q(("service_flags__endswith", "^"), _negated=True),
                        ),
                        name="products_service_flags",
                    ),
                ),
                migrations.AddField(
                    model_name="customer",
                    name="service_flags",
                    field=models.CharField(blank=True, db_default="", max_length=64),
                ),
                migrations.AddConstraint(
                    model_name="customer",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Replace(
                                    django.db.models.functions.text.Replace(
                                        django.db.models.functions.text.Replace(
                                            models.F("service_flags"),
                                            models.Value("Y"),
                                            models.Value(""),
                                        ),
                                        models.Value("N"),
                                        models.Value(""),
                                    ),
                                    models.Value("^"),
                                    models.Value(""),
                                ),
                                models.Value(""),
                            ),
                            models.Q(("service_flags__endswith", "^"), _negated=True),
                        ),
                        name="customers_service_flags",
                    ),
                ),
                migrations.AddField(
                    model_name="account",
                    name="customer_site",
                    field=models.ForeignKey(
                        db_column="i_customer_site",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.customersite",
                    ),
                ),
                migrations.AddField(
                    model_name="account",
                    name="vd_plan",
                    field=models.ForeignKey(
                        db_column="i_vd_plan",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.vdplan",
                    ),
                ),
                migrations.AddField(
                    model_name="account",
                    name="access_policy",
                    field=models.ForeignKey(
                        db_column="i_access_policy",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="espf_registry.accesspolicy",
                    ),
                ),
                migrations.AddField(
                    model_name="account",
                    name="service_flags",
                    field=models.CharField(blank=True, db_default="", max_length=64),
                ),
                migrations.AddConstraint(
                    model_name="account",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Replace(
                                    django.db.models.functions.text.Replace(
                                        django.db.models.functions.text.Replace(
                                            models.F("service_flags"),
                                            models.Value("Y"),
                                            models.Value(""),
                                        ),
                                        models.Value("N"),
                                        models.Value(""),
                                    ),
                                    models.Value("^"),
                                    models.Value(""),
                                ),
                                models.Value(""),
                            ),
                            models.Q(("service_flags__endswith", "^"), _negated=True),
                        ),
                        name="accounts_service_flags",
                    ),
                ),
            ],
        ),
        migrations.RunPython(_first_feature, migrations.RunPython.noop),
    ]
