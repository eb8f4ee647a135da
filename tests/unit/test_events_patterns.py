"""Type patterns: `*` crosses `/`, letter case counts, each must match something."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError
from espf.events.catalogue import Catalogue
from espf.events.patterns import matches, select, split_patterns

SPELLINGS = Catalogue.load().spellings
NAMES = st.sampled_from(sorted(SPELLINGS))


def test_patterns_are_separated_by_commas_or_white_space() -> None:
    assert split_patterns(" a,b  c,,\td\n") == ["a", "b", "c", "d"]
    assert split_patterns("") == []


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("Customer/*", "Customer/Status/Closed", True),
        ("Customer/*", "CustomerSite/ServiceAttribute/Changed", False),
        ("*/Blocked", "Account/Blocked", True),
        ("*/Blocked", "Account/Unblocked", False),
        ("*locked", "Account/Unblocked", True),
        ("A*/*d", "Account/Product/Changed", True),
        ("*", "Account/New", True),
        ("**", "Account/New", True),
        ("account/*", "Account/New", False),
        ("Account/New", "Account/New", True),
        ("Account/Ne?", "Account/New", False),
        ("Account/New*", "Account/New", True),
        ("aa*aa", "aaa", False),
        ("a*b*a", "aba", True),
        ("a*ab*b", "aabb", True),
        ("", "Account/New", False),
    ],
)
def test_a_star_stands_for_any_characters(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


@given(st.text("ab/*", max_size=8), st.text("ab/", max_size=8))
def test_matching_agrees_with_regular_expressions(pattern: str, name: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, name) is bool(re.fullmatch(expression, name))


@given(NAMES, st.data())
def test_a_name_with_any_part_starred_out_still_selects_it(name: str, picks: st.DataObject) -> None:
    start = picks.draw(st.integers(0, len(name)))
    end = picks.draw(st.integers(start, len(name)))
    assert SPELLINGS[name] in select([f"{name[:start]}*{name[end:]}"], SPELLINGS)


def test_an_alias_selects_the_newer_name() -> None:
    assert select(["Account/Id/Changed"], SPELLINGS) == {"Account/ID/Changed"}


def test_many_stars_take_no_time() -> None:
    assert not matches("*a" * 20_000 + "!", "Account/Service/Netaccess/QuotaExceeded")


def test_every_pattern_that_matches_nothing_is_reported_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        select(["Account/Blokked", "Acount/*", "Account/New", "§§§"], SPELLINGS)
    assert caught.value.problems == (
        "Account/Blokked matches no known event type; did you mean Account/Blocked?",
        "Acount/* matches no known event type; did you mean Account/*?",
        "§§§ matches no known event type.",
    )
