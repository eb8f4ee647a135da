"""Port: where handlers read subscribers. SQLite and PostgreSQL implement it."""

from collections.abc import Sequence
from typing import Protocol

from espf.subscribers.details import Parts, Whose
from espf.subscribers.model import Subscriber
from espf.subscribers.services import Services


class SubscriberSource(Protocol):
    """Current data, read anew at each call. Everything raises StorageError only.

    Look-ups by IMSI and by id are over all environments: a far side knows none, so two accounts of
    two environments may claim one name there, and whoever asks must see both.
    """

    async def of_account(self, i_account: int) -> Subscriber | None:
        """The account's subscriber, None if there is no such account (any more)."""

    async def by_imsi(self, imsi: str) -> list[Subscriber]:
        """Those that hold a card of this IMSI, closed accounts included."""

    async def by_id(self, visible_id: str) -> list[Subscriber]:
        """Those with this visible id, closed accounts included."""

    async def has_card(self, imsi: str) -> bool:
        """Whether the inventory has a card of this IMSI, in use or not."""

    async def pages(
        self, after: int, limit: int, *, i_product: int | None = None
    ) -> list[Subscriber]:
        """At most `limit` subscribers with `i_account > after`, in that order; all, or a product's.

        An empty list is the end.
        """

    async def services(self, accounts: Sequence[int]) -> dict[int, Services]:
        """What these accounts are given, as it holds now; those that are given nothing left out."""

    async def count(self, *, i_product: int | None = None) -> int:
        """How many there are, for showing progress."""

    async def details(self, wanted: Sequence[Whose]) -> list[Parts]:
        """What applications are told of these, in their order; at most 64 at once."""

    async def close(self) -> None:
        """Give up the connection."""
