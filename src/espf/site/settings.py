"""Django's settings: registry, users and sessions on the database of `ESPF_DATABASE_URL`."""

import getpass
import os
from typing import Any

from django.utils.functional import lazy
from pydantic import SecretStr

from espf.database_url import (
    DEFAULT_URL,
    DatabaseUrl,
    PostgresUrl,
    SqliteUrl,
    parse_database_url,
)
from espf.secrets import derived_key, load_key

BUSY_TIMEOUT_S = 30


def database(url: DatabaseUrl) -> dict[str, Any]:
    """Django's description of a database, and our own address of it."""
    described = _sqlite(url) if isinstance(url, SqliteUrl) else _postgres(url)
    return {**described, "ESPF_URL": url.absolute}


def _postgres(url: PostgresUrl) -> dict[str, Any]:
    from espf.eventlog.postgres.connection import settings  # noqa: PLC0415 - the driver is heavy

    parts = dict(url.parts)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", None) or _default_name(parts),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**settings(url, "espf web"), **parts},
    }


def _default_name(parts: dict[str, str]) -> str:
    """libpq's own choice where the address names no database; Django wants to be told."""
    if "service" in parts:
        return ""
    named = os.environ.get("PGDATABASE") or parts.get("user") or os.environ.get("PGUSER")
    return named or getpass.getuser()


def _sqlite(url: SqliteUrl) -> dict[str, Any]:
    """Every writer begins IMMEDIATE (design)."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(url.path.absolute()),
        "OPTIONS": {
            "timeout": BUSY_TIMEOUT_S,
            "transaction_mode": "IMMEDIATE",
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON"
            ),
        },
    }


def _secret_key() -> str:
    return derived_key(load_key(DATABASES["default"]["ESPF_URL"]), "django")


DATABASES = {
    "default": database(parse_database_url(os.environ.get("ESPF_DATABASE_URL", DEFAULT_URL)))
}
# Lazy: a command that signs nothing needs no key, and must not make a key file.
SECRET_KEY = lazy(_secret_key, str)()

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "espf.schema",
    "espf.registry",
    "espf.console",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "espf.console.middleware.content_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "espf.site.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_NAME = "espf_session"
CSRF_COOKIE_NAME = "espf_csrf"
CSRF_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
LOGGING_CONFIG = None
# Ours; `espf.app` sets them from the configuration.
METRICS_TOKEN: SecretStr | None = None
LEASE_S = 0.0
