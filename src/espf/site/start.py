"""Brings Django up on a database. Call `start` before importing models."""

import os

import django
from django.apps import apps
from django.db import connections

from espf.database_url import DatabaseUrl
from espf.site import settings


def start(url: DatabaseUrl) -> None:
    """Use this database from now on, in this process. A second call moves to another database."""
    if not apps.ready:
        os.environ["ESPF_DATABASE_URL"] = str(url)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "espf.site.settings")
        django.setup()
    description = settings.database(url)
    current = connections["default"].settings_dict
    if current["ESPF_URL"] == description["ESPF_URL"]:
        return
    connections["default"].close()
    if current["ENGINE"] == description["ENGINE"]:
        current.update(description)
    else:  # another backend: a new wrapper, made at the next use
        connections.settings["default"] = connections.configure_settings({"default": description})[
            "default"
        ]
        del connections["default"]
