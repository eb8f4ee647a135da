"""Django app that owns the migrations of the engine's tables. It has no models."""

from django.apps import AppConfig


class SchemaConfig(AppConfig):
    """The event log's schema."""

    name = "espf.schema"
    label = "espf_schema"
