"""Every type of the catalogue comes from somewhere: a change, a dispatcher, or from outside."""

import pytest

from espf.capture.origins import OUTSIDE, origins
from espf.capture.rules import rules
from espf.events.catalogue import Catalogue
from espf.events.patterns import matches

CATALOGUE = Catalogue.load()


def test_every_type_comes_from_somewhere():
    assert origins().keys() == CATALOGUE.types.keys()


def test_only_these_come_from_outside_alone():
    """Issue 4: no other type may."""
    outside = {name for name, origin in origins().items() if origin.how == "outside"}
    assert outside == {
        "Account/Service/Msg/QuotaExceeded",
        "Account/Service/Msg/QuotaExpired",
        "Account/Service/Netaccess/QuotaExceeded",
        "Account/Service/Netaccess/QuotaExpired",
        "Account/Service/QuotaAvailable",
        "Account/Service/QuotaExceeded",
        "Account/Service/QuotaExpired",
        "Connection/Changed",
        "Connection/Deleted",
        "Connection/New",
        "Custom/Jasper/CapReached",
        "PaymentTransaction/New",
        "PaymentTransaction/ResultCode/Changed",
        "PaymentTransaction/Status/Changed",
    }
    assert all(any(matches(pattern, name) for pattern in OUTSIDE) for name in outside)


def test_a_type_that_is_derived_only_has_its_dispatcher():
    derived = {name: origin.by for name, origin in origins().items() if origin.how == "dispatcher"}
    assert derived == {
        "Account/Status/Exported": ("CustomerToAccountsDispatcher",),
        "Account/Status/Imported": ("CustomerToAccountsDispatcher",),
        "Customer/ServiceAttribute/Changed": ("ServiceAttributeDispatcher",),
        "CustomerSite/ServiceAttribute/Changed": ("ServiceAttributeDispatcher",),
        "Product/ServiceAttribute/Changed": ("ServiceAttributeDispatcher",),
    }


@pytest.mark.parametrize("name", ["Customer/Status/Suspend"])
def test_an_older_name_is_not_raised_beside_the_newer(name):
    assert origins()[name].how == "older"
    assert name not in rules().event_types
    assert origins()[name].by[0] in rules().event_types


def test_a_changed_attribute_is_told_by_capture_as_it_is_and_by_the_dispatcher_as_whose():
    """So no type is raised twice: capture raises none that the dispatcher makes of an attribute,
    but for accounts that move, where no attribute changed."""
    made = {
        row.output for row in CATALOGUE.dispatches if row.handler == "ServiceAttributeDispatcher"
    }
    raised = [rule for rule in rules().rule if rule.event in made]
    assert [(rule.event, rule.entity, rule.on, rule.watch) for rule in raised] == [
        ("Account/ServiceAttribute/Changed", "account", "update", ("i_customer_site", "i_customer"))
    ]
