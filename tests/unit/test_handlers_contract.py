"""Parts of the contract by themselves: event types, checks, steps, secrets, masks, locks."""

import asyncio
import pickle
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError, StorageError
from espf.events.catalogue import Catalogue
from espf.events.payload import account_in
from espf.handlers.contract.checks import (
    checked_amf,
    checked_imsi,
    checked_key,
    checked_msisdn,
)
from espf.handlers.contract.events import named_in
from espf.handlers.contract.failures import SubscriberError
from espf.handlers.contract.locks import Locks
from espf.handlers.contract.masking import KEPT_CHARS, SubscriberMask
from espf.handlers.contract.step import Step
from espf.handlers.contract.types import HSS_TYPES, PASSWORD_TYPES, resolve, subscribable
from espf.subscribers.model import SimCard, Subscriber
from espf.subscribers.secret import NO_SECRET, Secret
from subscriber_rig import event

KI = "000102030405060708090a0b0c0d0e0f"
CARD = SimCard(1, "001010000000001", ki=Secret(KI.upper()), amf="80AF")


# ---- event types ----


def test_all_means_what_the_system_needs():
    assert resolve(["all"], HSS_TYPES) == HSS_TYPES
    assert set(Catalogue.load().types) >= HSS_TYPES


def test_types_that_change_nothing_there_may_be_subscribed_to():
    assert resolve(["Account/*Password*"], HSS_TYPES) == PASSWORD_TYPES


def test_an_alias_stands_for_its_type():
    assert resolve(["Account/Status/Suspend"], HSS_TYPES) == {"Account/Status/Suspended"}


def test_what_concerns_no_one_subscriber_is_refused_with_the_way_it_comes():
    with pytest.raises(ConfigError, match="Customer/Blocked does not concern one subscriber"):
        resolve(["Customer/Blocked"], HSS_TYPES)


def test_an_unknown_type_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean Account/Blocked"):
        resolve(["Account/Bloked"], HSS_TYPES)


def test_every_subscribable_type_names_an_account():
    for name in subscribable():
        of = Catalogue.load().types[name]
        assert of.entity == "account" or "i_account" in of.variables


# ---- whom an event is about ----


def test_the_account_is_the_entity_or_a_variable():
    assert account_in(event("Account/Blocked", "account", 5)) == 5
    assert account_in(event("SIM/Changed", "sim", 7, '{"i_account":5}')) == 5
    assert account_in(event("SIM/Changed", "sim", 7, '{"i_account":"5"}')) is None
    assert account_in(event("SIM/Changed", "sim", 7)) is None


def test_names_before_and_after_are_found_each_once():
    swap = event("Account/SIMCardAssignment", "account", 5, '{"prev_imsi":"1","curr_imsi":null}')
    assert named_in(swap, "imsi") == ["1"]
    assert named_in(event("X", "account", 1, '{"prev_id":"a","curr_id":"b","id":"a"}'), "id") == [
        "a",
        "b",
    ]
    assert named_in(event("X", "account", 1, '{"imsi":7}'), "imsi") == []


# ---- checks ----


def test_good_data_are_given_in_the_form_that_systems_take():
    assert checked_imsi(CARD) == "001010000000001"
    assert checked_key(CARD, "ki") == KI
    assert checked_amf(CARD) == "80af"


@pytest.mark.parametrize("imsi", ["12345", "1" * 16, "00101000000000x", "", "١٢٣٤٥٦"])
def test_an_imsi_is_6_to_15_digits(imsi):
    with pytest.raises(SubscriberError, match="IMSI that is none"):
        checked_imsi(replace(CARD, imsi=imsi))


@pytest.mark.parametrize("key", ["", "0" * 31, "0" * 33, "g" * 32, f"{KI}\n"])
def test_a_key_is_32_hexadecimal_digits_and_never_shown(key):
    with pytest.raises(SubscriberError) as caught:
        checked_key(replace(CARD, ki=Secret(key)), "ki")
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ("visible_id", "msisdn"),
    [
        ("79123456789@msisdn", "79123456789"),
        ("4912345", "4912345"),
        ("+4912345", "4912345"),
        ("ann", None),
        ("49 123", None),
        ("@x", None),
        ("1" * 16, None),
        ("٤٩", None),
    ],
)
def test_the_number_is_the_digits_before_an_at_sign(visible_id, msisdn):
    subscriber = Subscriber(1, 1, 1, None, visible_id)
    assert subscriber.msisdn == msisdn
    if msisdn is None:
        with pytest.raises(SubscriberError, match="is no number"):
            checked_msisdn(subscriber)


# ---- steps ----


@dataclass(frozen=True, slots=True)
class SetEverything(Step):
    key: Secret
    on: bool
    services: frozenset[str] = frozenset()


def test_a_step_tells_what_it_does_without_its_secrets():
    step = SetEverything("001", Secret(KI), on=True, services=frozenset({"ps", "cs"}))

    assert str(step) == "set everything 001: key=…, on=True, services=cs,ps"
    assert step == SetEverything("001", Secret(KI), on=True, services=frozenset({"ps", "cs"}))
    assert len({step, step}) == 1


# ---- secrets ----


def test_a_secret_shows_itself_nowhere():
    secret = Secret(KI)

    assert f"{secret} {secret!r} {secret:>3} {[secret]}" == "… …   … […]"
    assert secret.reveal() == KI
    assert not NO_SECRET
    assert f"{NO_SECRET}" == ""
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_sealed_secret_is_opened_when_it_is_needed_and_once():
    opened = []

    def decrypt(ciphertext: str) -> str:
        opened.append(ciphertext)
        return KI

    secret = Secret.sealed("sealed", decrypt)
    assert secret
    assert opened == []
    assert secret == Secret(KI)
    assert secret.reveal() == KI
    assert opened == ["sealed"]
    assert Secret.sealed("", decrypt) == NO_SECRET


# ---- masks ----


def test_keys_are_masked_in_either_case_and_within_json():
    mask = SubscriberMask([Secret(KI)], ["api secret"])

    text = mask.text(f'{KI} {KI.upper()} "api secret" {"f" * 32}')

    assert text == '*** *** "***" ***'


def test_a_pin_is_masked_where_it_stands_alone():
    mask = SubscriberMask([Secret("1234")])

    assert mask.text("pin=1234, imsi 001234000000001, pin:1234") == (
        "pin=***, imsi 001234000000001, pin:***"
    )


def test_a_secret_of_another_key_does_not_stop_the_masking_of_others():
    def decrypt(_: str) -> str:
        raise StorageError("of another key")

    mask = SubscriberMask([Secret.sealed("x", decrypt), Secret("long enough")])

    assert mask.text("long enough") == "***"


@given(st.text(min_size=1, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_of_some_length_is_left_in_any_text(secret, before, after):
    text = SubscriberMask([Secret(secret)]).text(f"{before} {secret} {after}")

    if len(secret) >= 8 and secret.isprintable():
        assert secret not in text


@pytest.mark.parametrize("room", [1, 3, 8, 31])
def test_a_long_text_is_cut_after_it_was_masked(room):
    before = "x" * (KEPT_CHARS - room - 1)

    text = SubscriberMask([Secret(KI)]).text(f"{before} {KI} {KI.upper()}, and more")

    assert text == f"{before} *** ***, and more"[:KEPT_CHARS]
    assert KI[:8] not in text


# ---- locks ----


async def test_holders_of_common_names_take_turns_and_never_wait_for_each_other():
    locks, inside, seen = Locks(), set(), []

    async def work(*names: str) -> None:
        async with locks.hold(names):
            assert not inside & set(names)
            inside.update(names)
            await asyncio.sleep(0)
            inside.difference_update(names)
            seen.append(names)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(work("a", "b"))
            group.create_task(work("b", "c"))
            group.create_task(work("c", "a"))
            group.create_task(work("d"))

    assert len(seen) == 80
    assert locks._locks == {}
