"""The statements of this package, and their parameters: the same on both engines."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from espf.clock import Clock, utc_text
from espf.database_url import EngineName
from espf.eventlog.statements import lists_adapted, read_files
from espf.subscribers.details import Whose
from espf.subscribers.steps import ResyncMark

_WHOLE = ("of_account", "of_imsi", "of_id", "of_page", "of_page_of_product")


class Question(NamedTuple):
    """A statement's name with its parameters."""

    name: str
    bound: Mapping[str, object]


@cache
def as_written() -> dict[str, str]:
    """All statements by name, with `:name` for parameters."""
    parts = read_files("espf.subscribers", ["shared", "services", "steps"])
    start = parts.pop("subscriber")
    return {name: f"{start}\n{text}" if name in _WHOLE else text for name, text in parts.items()}


@cache
def in_words_of(dialect: EngineName, name: str) -> str:
    """A statement with its lists as the engine takes them; parameters stay `:name`."""
    return lists_adapted(as_written()[name], dialect)


# ---- subscribers ----


def page(after: int, limit: int, i_product: int | None) -> Question:
    """What `pages` asks."""
    bound: dict[str, object] = {"after": after, "limit": limit}
    if i_product is None:
        return Question("of_page", bound)
    return Question("of_page_of_product", bound | {"i_product": i_product})


def count(i_product: int | None) -> Question:
    """What `count` asks."""
    if i_product is None:
        return Question("count_all", {})
    return Question("count_of_product", {"i_product": i_product})


def services_of(keys: Sequence[int], clock: Clock) -> Question:
    """What `services` asks: as it holds now."""
    return Question("services", {"keys": list(keys), "now": utc_text(clock.now_us())})


def details_of(wanted: Sequence[Whose], clock: Clock) -> list[Question]:
    """What `details` asks: as many questions however much is wanted; `Found` has their answers."""
    keys: dict[str, list[int]] = {"account": [], "customer": [], "sim": []}
    for one in wanted:
        keys[one.kind].append(one.key)
        if one.prev_i_sim_card is not None:
            keys["sim"].append(one.prev_i_sim_card)
    accounts = keys["account"]
    return [
        Question("details_of_accounts", {"keys": accounts}),
        Question("details_of_customers", {"keys": keys["customer"]}),
        Question("details_of_cards", {"keys": keys["sim"]}),
        Question("details_of_addons", {"keys": accounts, "now": utc_text(clock.now_us())}),
        services_of(accounts, clock),
    ]


# ---- steps ----


def parts_of(i_handler: int, identity: str) -> Question:
    """What `parts` asks."""
    return Question("parts", {"i_handler": i_handler, "identity": identity})


def noting(i_handler: int, identity: str, parts: Mapping[str, str]) -> list[Question]:
    """What `note` writes."""
    given = {"i_handler": i_handler, "identity": identity}
    return [
        Question("note_part", given | {"part": part, "digest": digest})
        for part, digest in parts.items()
    ]


def forgetting(i_handler: int, identity: str) -> Question:
    """What `forget` writes."""
    return Question("forget_parts", {"i_handler": i_handler, "identity": identity})


def mark_of(i_handler: int, scope: str) -> Question:
    """What `mark` asks."""
    return Question("mark", {"i_handler": i_handler, "scope": scope})


def marking(i_handler: int, scope: str, mark: ResyncMark | None) -> Question:
    """What `set_mark` writes."""
    given = {"i_handler": i_handler, "scope": scope}
    if mark is None:
        return Question("drop_mark", given)
    return Question("set_mark", given | mark._asdict())
