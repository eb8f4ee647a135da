"""Login and logout."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError

from espf.console import throttle


class ThrottledForm(AuthenticationForm):
    """Refuses to look at passwords for a while after too many wrong ones."""

    def clean(self) -> dict[str, Any]:
        """Check the password. Raises ValidationError, the same for a wrong name and password."""
        user = str(self.cleaned_data.get("username", ""))
        address = str(self.request.META.get("REMOTE_ADDR", "")) if self.request else ""
        if throttle.is_throttled(user, address):
            raise ValidationError("Too many failed attempts. Wait a minute, then try again.")
        try:
            cleaned = super().clean()
        except ValidationError:
            throttle.count_failure(user, address)
            raise
        throttle.forget(user, address)
        return dict(cleaned)


class Login(LoginView):
    """The login page."""

    template_name = "console/login.html"
    authentication_form = ThrottledForm
    redirect_authenticated_user = True
