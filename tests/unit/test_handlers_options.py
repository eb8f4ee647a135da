"""Options: every mistake at once, in plain words, and never a secret in them."""

# ruff: noqa: E501 - the table of messages is easier to read unwrapped

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError
from espf.handlers.event_sender.settings import EventSenderSettings
from espf.handlers.options import describe, flattened, read_options, secret_names

RIGHT = {
    "EventSender.URL": "http://127.0.0.1:5000",
    "EventSender.BasicAuth.User": "espf",
    "EventSender.BasicAuth.Key": "geheim",
}


def read(**changed: object) -> EventSenderSettings:
    options = RIGHT | {name.replace("__", "."): value for name, value in changed.items()}
    return read_options(EventSenderSettings, options, "EventSender")


def problems(raw: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_options(EventSenderSettings, raw, "EventSender")
    assert "geheim" not in str(caught.value)
    return caught.value.problems


def problem(name: str, value: object) -> str:
    (found,) = problems({**RIGHT, name: value})
    assert found.startswith(f"{name} ")
    return found.removeprefix(f"{name} ")


def test_the_three_needed_options_are_enough() -> None:
    settings = read()
    assert settings.url_text == "http://127.0.0.1:5000"
    assert settings.concurrency == 1


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("EventSender.TokenRat", "EventSender.TokenRate"),
        ("eventsender.tokenrate", "EventSender.TokenRate"),
        ("TokenRate", "EventSender.TokenRate"),
        ("CAFile", "EventSender.TLS.CAFile"),
        ("concurency", "Concurrency"),
        ("Retry.Firstdelay", "Retry.FirstDelay"),
        ("EventSender.BasicAuth.Password", "EventSender.BasicAuth.User"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_name(wrong: str, meant: str) -> None:
    (found,) = problems({**RIGHT, wrong: "geheim"})
    assert found == f"{wrong} is not an option of EventSender; did you mean {meant}?"


def test_an_option_like_no_other_is_refused_without_a_proposal() -> None:
    assert problems({**RIGHT, "zzz": 1}) == ("zzz is not an option of EventSender.",)
    (found,) = problems({**RIGHT, "x" * 1_000_000: 1})
    assert len(found) < 120


def test_python_names_of_the_fields_are_not_options() -> None:
    assert len(problems({**RIGHT, "token_refill": 5})) == 1


def test_all_mistakes_are_reported_at_once() -> None:
    found = problems(
        {
            "EventSender.TokenRat": 5,
            "Concurrency": 0,
            "EventSender.AsyncMode": "maybe",
            "EventSender.BasicAuth.User": "a:b",
            "EventSender.AllowedTypes": "Acount/*, Account/Blocked",
        }
    )
    assert found == (
        "EventSender.TokenRat is not an option of EventSender; did you mean EventSender.TokenRate?",
        "Concurrency must be at least 1, not 0.",
        (
            "EventSender.AllowedTypes has wrong patterns: Acount/* matches no event type of "
            "APIVersion 2. Account/Blocked matches no event type of "
            "APIVersion 2, where it is sent as Subscriber/Updated."
        ),
        "EventSender.AsyncMode must be on or off, not maybe.",
        "EventSender.BasicAuth.User must not contain a colon: it ends the name in Basic authentication.",
        "EventSender.URL is needed and has no value.",
        "EventSender.BasicAuth.Key is needed when EventSender.AuthMethod is Basic.",
    )


@pytest.mark.parametrize(
    ("method", "needed"),
    [
        ("Basic", ["BasicAuth.User", "BasicAuth.Key"]),
        ("Custom", ["CustomAuth.Type", "CustomAuth.Credentials"]),
        ("Signature", ["SignatureAuth.KeyId", "SignatureAuth.Key"]),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_only_the_chosen_methods_options_are_needed(
    method: str, needed: list[str], empty: bool
) -> None:
    raw = {"EventSender.URL": "http://h", "EventSender.AuthMethod": method}
    if empty:
        raw |= {f"EventSender.{name}": "" for name in needed}
    assert problems(raw) == tuple(
        f"EventSender.{name} is needed when EventSender.AuthMethod is {method}." for name in needed
    )


def test_the_method_none_needs_nothing() -> None:
    raw = {"EventSender.URL": "http://h", "EventSender.AuthMethod": "None"}
    assert read_options(EventSenderSettings, raw, "EventSender").auth_method == "None"


def test_a_client_key_needs_its_certificate() -> None:
    assert "is needed when EventSender.TLS.KeyFile is set" in str(
        problems({**RIGHT, "EventSender.TLS.KeyFile": "key.pem"})
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("Concurrency", "many", "must be a whole number, not many."),
        ("Concurrency", 1.5, "must be a whole number, not 1.5."),
        ("Concurrency", True, "must be a whole number, not true or false."),
        ("Concurrency", 10**9, "must be at most 10000, not 1000000000."),
        ("Concurrency", [1], "must be one plain value: text, a number, true or false."),
        ("Concurrency", None, "must be one plain value: text, a number, true or false."),
        ("EventSender.AsyncMode", 2, "must be on or off, not 2."),
        ("EventSender.RequestTimeout", 0, "must be more than 0, not 0."),
        ("EventSender.MaxWaitTime", -1, "must be more than 0, not -1."),
        ("EventSender.TokenRate", math.inf, "must be a number, not inf."),
        ("EventSender.TokenRate", math.nan, "must be a number, not nan."),
        ("EventSender.TokenRate", 0, "must be more than 0, not 0."),
        ("EventSender.TokenBurstiness", 0, "must be at least 1, not 0."),
        ("Retry.FirstDelay", math.inf, "must be a number, not inf."),
        ("Retry.Jitter", 1, "must be less than 1, not 1."),
        ("EventSender.APIVersion", 3, "must be one of 1, 2, not 3."),
        ("EventSender.AuthMethod", "basic", "must be one of Basic, Custom, Signature, None, not basic."),
        ("EventSender.SignatureAuth.Profile", "x", "must be one of date-value, date-line, hmac-sha256, not x."),
        ("EventSender.BodyStyle", "xml", "must be one of espf, nsps, not xml."),
        ("EventSender.AuthHeader", "X Auth", "must be a header's name: letters, digits and - without spaces."),
        ("EventSender.AuthHeader", "Content-Type", "must not be Content-Type: that header has a meaning of its own."),
        ("EventSender.AuthHeader", "date", "must not be date: that header has a meaning of its own."),
        ("EventSender.CustomAuth.Type", "Two words", "must be one word, such as Bearer: no space, no punctuation."),
        ("EventSender.CustomAuth.Credentials", "ge heim", "must be visible ASCII characters without a space."),
        ("EventSender.SignatureAuth.KeyId", 'a"b', "must be visible ASCII characters without space, quote or backslash."),
        ("EventSender.BasicAuth.Key", 12345, "must be text: put it in quotes."),
        ("EventSender.BasicAuth.Key", "gehe\x00im", "must not contain control characters (line breaks, tabs, NUL)."),
        ("EventSender.BasicAuth.User", "a\r\nX: y", "must not contain control characters (line breaks, tabs, NUL)."),
        ("EventSender.BasicAuth.User", "x" * 1_000_000, "must not be longer than 8192 characters."),
        ("EventSender.SuccessCodes", "", "must name at least one status code, such as 200."),
        ("EventSender.AllowedNetworks", "10.0.0.1/8", "must be networks such as 10.0.0.0/8, separated by commas; 10.0.0.1/8 is none."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_plain_words(name: str, value: object, words: str) -> None:
    assert problem(name, value) == words


@pytest.mark.parametrize("codes", ["9xx", "abc", "200-299", "99"])
def test_a_wrong_status_code_is_refused(codes: str) -> None:
    assert problem("EventSender.SuccessCodes", codes).startswith("is wrong: ")
    assert problem("EventSender.TemporaryCodes", codes).startswith("is wrong: ")


@pytest.mark.parametrize("value", [True, "true", "on", "On", "yes", "1", 1])
def test_a_switch_is_on(value: object) -> None:
    assert read(EventSender__WithUniqueID=value).with_unique_id is True


@pytest.mark.parametrize("value", [False, "false", "off", "OFF", "no", "0", 0])
def test_a_switch_is_off(value: object) -> None:
    assert read(EventSender__WithUniqueID=value).with_unique_id is False


def test_numbers_may_come_as_text_and_texts_of_digits_as_numbers() -> None:
    settings = read(
        Concurrency="8", EventSender__APIVersion="1", EventSender__SuccessCodes=202,
        EventSender__BasicAuth__User=42,
    )  # fmt: skip
    assert (settings.concurrency, settings.api_version) == (8, 1)
    assert (settings.success_codes_text, settings.basic_user) == ("202", "42")


def test_dotted_names_without_quotes_mean_the_same() -> None:
    nested = {"EventSender": {"URL": "http://h", "BasicAuth": {"User": "u", "Key": "k"}}}
    assert flattened(EventSenderSettings, nested) == {
        "EventSender.URL": "http://h",
        "EventSender.BasicAuth.User": "u",
        "EventSender.BasicAuth.Key": "k",
    }
    assert read_options(EventSenderSettings, nested, "EventSender").basic_user == "u"


NAMES = st.sampled_from([option.name for option in describe(EventSenderSettings)]) | st.text()
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.just("geheim geheim\x00") | st.lists(st.integers(), max_size=2)
)  # fmt: skip


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_whatever_is_given_ends_in_settings_or_in_a_list_of_problems(
    raw: dict[str, object],
) -> None:
    found: tuple[str, ...] = ("settings",)
    try:
        read_options(EventSenderSettings, raw, "EventSender")
    except ConfigError as error:
        found = error.problems
    assert found
    assert all("\n" not in problem and "\x00" not in problem for problem in found)
    assert "geheim" not in str(found)


def test_secrets_are_named_and_described_as_such() -> None:
    names = secret_names(EventSenderSettings)
    assert names == {
        "EventSender.BasicAuth.Key",
        "EventSender.CustomAuth.Credentials",
        "EventSender.SignatureAuth.Key",
    }
    assert {option.name for option in describe(EventSenderSettings) if option.secret} == names


def test_every_option_is_described_in_a_line() -> None:
    options = describe(EventSenderSettings)
    assert len({option.name for option in options}) == len(options)
    for option in options:
        assert option.help.endswith((".",))
        assert "\n" not in option.help
        assert option.type


def test_a_description_says_type_default_and_need() -> None:
    options = {option.name: option for option in describe(EventSenderSettings)}
    assert options["EventSender.URL"].needed_when == "always"
    assert options["EventSender.URL"].default is None
    assert options["EventSender.BasicAuth.Key"].needed_when == "EventSender.AuthMethod is Basic"
    assert options["EventSender.APIVersion"].choices == (1, 2)
    assert options["EventSender.AsyncMode"].type == "on or off"
    assert options["EventSender.TokenRate"].default == 10


def test_settings_show_no_secret() -> None:
    assert "geheim" not in repr(read())
