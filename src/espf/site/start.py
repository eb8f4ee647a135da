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
    mine, everyones = connections["default"].settings_dict, connections.settings["default"]
    if mine is everyones and mine["ESPF_URL"] == url.absolute:
        return
    # Perhaps another backend: a new connection, made at the next use, in this and later threads.
    connections["default"].close()
    described = {"default": settings.database(url)}
    connections.settings["default"] = connections.configure_settings(described)["default"]
    del connections["default"]
