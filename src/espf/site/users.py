"""Users of the console. Start Django first (`espf.site.start`)."""

import secrets
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from espf.errors import ConfigError

ADMIN = "admin"


class NewUser(NamedTuple):
    """A user that was made."""

    name: str
    generated: str | None
    """The password, if we made it up: to be shown once."""


def create_user(name: str, password: str, *, admin: bool = False) -> None:
    """Add a user. Raises ConfigError for a name that is taken or wrong, or a weak password."""
    model = get_user_model()
    user = model(username=name, is_staff=admin, is_superuser=admin)
    try:
        user.full_clean(exclude=["password"], validate_unique=False)
        validate_password(password, user)
    except ValidationError as error:
        raise ConfigError(f"The user {name} cannot be made:", error.messages) from error
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise ConfigError(f"There is a user {name} already.") from None


def first_admin(password: str | None) -> NewUser | None:
    """Make the user admin if there is no user at all; None if there is one.

    Raises ConfigError for a password that is too weak.
    """
    if get_user_model().objects.exists():
        return None
    generated = None if password else secrets.token_urlsafe(15)
    create_user(ADMIN, password or generated or "", admin=True)
    return NewUser(ADMIN, generated)
