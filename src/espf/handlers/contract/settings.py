"""Options that every handler of state has."""

from typing import Annotated

from pydantic import AfterValidator, Field

from espf.handlers.settings import HandlerSettings

MAX_GROUP_CHARS = 64


def _group(text: str) -> str:
    if len(text) > MAX_GROUP_CHARS or text != text.strip():
        raise ValueError(
            f"must be the name of a service group (`espf groups list`): at most {MAX_GROUP_CHARS} "
            "characters, no space at either end."
        )
    return text


ServiceGroup = Annotated[str, AfterValidator(_group)]


class StateSettings(HandlerSettings):
    """Base of a handler of state's settings. Another default is set by declaring the field anew."""

    service_group: ServiceGroup = Field(
        "HSS",
        alias="ServiceGroup",
        description="Service group in which its results are an account's provisioning status.",
    )

    @property
    def status_group(self) -> str:
        """`ServiceGroup`."""
        return self.service_group
