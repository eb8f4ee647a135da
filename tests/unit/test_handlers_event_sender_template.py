"""The body template: what it may say, what it gives, what is refused and where."""

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError, PayloadError
from espf.handlers.event_sender.settings import EventSenderSettings
from espf.handlers.event_sender.template.body import MAX_BODY_CHARS, BodyTemplate, NotThere
from espf.handlers.options import read_options

VALUES = {
    "event_type": "Account/Blocked",
    "variables": {"i_account": 3, "name": 'a"b\n', "items": 7},
    "i_event": 7,
    "pb_data": {"list": [{"n": 1}, {"n": 2}], "account_info": {"blocked": True, "email": None}},
}
NEEDED: dict[str, object] = {"EventSender.URL": "http://x/", "EventSender.AuthMethod": "None"}


def render(text: str) -> object:
    made = BodyTemplate(text).render(VALUES)
    return None if made is None else orjson.loads(made)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('{"sub":{{ variables.i_account }}}', {"sub": 3}),
        ('{"name":{{ variables.name }}}', {"name": 'a"b\n'}),
        ('{"tel":{{ "tel:" ~ variables.i_account }}}', {"tel": "tel:3"}),
        ("{{ variables }}", VALUES["variables"]),
        ("{{ variables.items }}", 7),
        ("{{ variables['items'] }}", 7),
        ('{{ variables.other | default("none") }}', "none"),
        ("{{ pb_data.account_info.email }}", None),
        ('{{ {"Account/Blocked": "suspend"}[event_type] }}', "suspend"),
        ('{{ "off" if pb_data.account_info.blocked else "on" }}', "off"),
        ('{% if event_type == "Account/Blocked" %}[1]{% else %}[2]{% endif %}', [1]),
        (
            "[{% for x in pb_data.list %}{{ x.n }}{% if not loop.last %},{% endif %}{% endfor %}]",
            [1, 2],
        ),
        ("{{ [event_type | lower, variables.name | length] }}", ["account/blocked", 4]),
        ('{% if event_type == "Account/New" %}{}{% endif %}', None),
        ("{# a remark #}\n{}\n", {}),
    ],
)
def test_a_template_gives_json_with_the_values_put_in(text, body):
    assert render(text) == body


@given(st.text(), st.text())
def test_no_value_becomes_anything_but_a_value(name, other):
    values = {"variables": {"name": name, "other": other}}
    text = '{"a":{{ variables.name }},"b":{{ "<" ~ variables.other ~ ">" }}}'
    given_ = BodyTemplate(text).render(values)

    assert given_ is not None
    assert orjson.loads(given_) == {"a": name, "b": f"<{other}>"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":\n  {{ varables.x }}}', "line 2, column 6: varables is not known; did you mean var"),
        ("{{ 1 + }}", "line 1, column 8: unexpected 'end of print statement'"),
        ('{"a":1,\n\n "b":{{ (i_event }}}', "line 3, column 18: unexpected '}', expected ')'"),
        ("{{ i_event", "line 1, column"),
        ("{{ ? }}", "line 1, column 4: unexpected char '?'"),
        ("{}\n{% if %}", "line 2, column 7: Expected an expression"),
        ("{}\r\n{% unless x %}", "line 2, column 4: Encountered unknown tag 'unless'"),
        ("{%- if i_event -%}\n  \n{{ x }}{% endif %}", "line 3, column 4: x is not known"),
        ('{{ event_type | replace("a","b") }}', "line 1, column 17: there is no filter replace"),
        ("{{ event_type is callable }}", "line 1, column 15: there is no test callable"),
        ('{{ "a" * 10000000 }}', "Mul cannot be used here"),
        ("{{ 9 ** 9 ** 9 }}", "Pow cannot be used here"),
        ('{{ "%99999999d" % 1 }}', "Mod cannot be used here"),
        ("{% set a = 1 %}{}", "{% set %} cannot be used here"),
        ("{{ range(100000) }}", "calls cannot be used here"),
        ('{{ pb_data.get("x") }}', "calls cannot be used here"),
        ('{% include "/etc/passwd" %}', "other templates cannot be used here"),
        ("{% macro m() %}{% endmacro %}", "macros cannot be used here"),
        (
            "{% for a in variables %}{% for b in variables %}{% endfor %}{% endfor %}",
            "a loop within a loop cannot be used here",
        ),
        ("{% for a in variables recursive %}{% endfor %}", "a loop within a loop"),
        *(
            (f"{{% for a in {over} %}}{{% endfor %}}", "a loop goes over what the event has, such")
            for over in ('"aaa"', "[1, 2]", "event_type ~ 1", "variables | string", "{1: 2}[1]")
        ),
        (
            "{% for a in data %}{% endfor %}{% for b in a %}{% endfor %}",
            "column 44: a loop goes ov",
        ),
        ("{% for a in data %}{% for b in a %}{% endfor %}{% endfor %}", "a loop within a loop"),
        ("{{ data | members }}", "there is no filter members"),
        (f"[{'{{1}},' * 1000}1]", "the template has more than 2000 parts; make it"),
        (
            f"{{% for a in data %}}{{{{ {'~'.join(['a'] * 200)} }}}}{{% endfor %}}",
            "its loops have more than 200 parts; make them simpler",
        ),
        (
            f"{{% for a in data %}}{{{{ {'~'.join(['a'] * 99)} }}}}{{% endfor %}}" * 2,
            "its loops have more than 200 parts; make them simpler",
        ),
        ("{{ self }}", "self is not known"),
        ("{{ cycler }}", "cycler is not known"),
    ],
)
def test_what_is_no_template_is_refused_with_its_place(text, why):
    with pytest.raises(ValueError, match="is wrong in line") as error:
        BodyTemplate(text)
    assert why in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ variables.__class__ }}",
        '{{ variables["__class__"] }}',
        "{{ variables.keys }}",
        "{{ event_type.format }}",
        "{{ pb_data.list.append }}",
        "{{ variables.other }}",
        "{{ pb_data.sim_info.imsi }}",
        "{% for a in pb_data.list %}{{ loop.__init__ }}{% endfor %}",
    ],
)
def test_nothing_but_values_can_be_reached(text):
    with pytest.raises(PayloadError):
        BodyTemplate(text).render(VALUES)


def test_what_is_not_there_is_said_with_how_to_mend_it():
    with pytest.raises(NotThere, match=r"no attribute 'other'.*default"):
        BodyTemplate("{{ variables.other }}").render(VALUES)


def test_what_comes_out_as_no_json_is_said_with_its_place():
    with pytest.raises(PayloadError, match=r"no JSON: .* in line 2, column 10 of what"):
        BodyTemplate('{\n"type":"{{ event_type }}"}').render(VALUES)


@pytest.mark.parametrize(
    "text",
    [
        f"{{{{ {'(' * 4000}1{')' * 4000} }}}}",
        f"{{{{ {'[' * 500}{']' * 500} }}}}",
        f"{{{{ 1{' and 1' * 900} }}}}",
        f"{'{% if 1 %}' * 120}1{'{% endif %}' * 120}",
    ],
    ids=["parentheses", "lists", "conditions", "blocks"],
)
def test_what_is_nested_too_deeply_is_refused(text):
    with pytest.raises(ValueError, match="is nested too deeply; make it simpler"):
        BodyTemplate(text)


@pytest.mark.parametrize(
    ("over", "why"),
    [
        ("event_type", "members of an object or a list, not over a text"),
        ("pb_data.many", "at most 100 members, not 101"),
        ("i_event", "not iterable"),
        ("pb_data.other", "no attribute 'other'"),
    ],
)
def test_a_loop_goes_over_members_and_not_too_many(over, why):
    text = f"[{{% for one in {over} %}}1,{{% endfor %}}1]"

    with pytest.raises(PayloadError, match=why):
        BodyTemplate(text).render(VALUES | {"pb_data": {"many": list(range(101))}})


def test_comparing_in_a_loop_is_bounded_although_nothing_is_put_out():
    """The most that a template may compare, over the largest values there are."""
    compared = "~".join(["pb_data"] * 190)
    text = f"[{{% for one in pb_data.most %}}{{% if ({compared}) is none %}}1{{% endif %}}"
    template = BodyTemplate(text + "{% endfor %}1]")
    most = {f"member_{number}": "x" * 60 for number in range(100)}
    began = time.perf_counter()

    assert template.render(VALUES | {"pb_data": {"most": most}}) == "[1]"
    assert time.perf_counter() - began < 2


def test_a_body_is_bounded_and_so_is_the_time_it_takes():
    """The longest template there can be, over the largest values."""
    most = "[" + "{{ pb_data }}," * 580 + "0]"
    loop = "[{% for one in pb_data.list %}" + "{{ pb_data }}," * 90 + "{% endfor %}0]"
    values = {"pb_data": {"list": ["x" * 60] * 100}}
    for text in (most, loop):
        template = BodyTemplate(text)
        began = time.perf_counter()
        with pytest.raises(PayloadError, match=f"more than {MAX_BODY_CHARS} characters"):
            template.render(values)
        assert time.perf_counter() - began < 0.5


def read(text: str, **options: object) -> EventSenderSettings:
    given_ = {"EventSender.BodyTemplate": text, **options}
    return read_options(EventSenderSettings, NEEDED | given_, "EventSender")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ varables }}", "EventSender.BodyTemplate is wrong in line 1, column 4: varables"),
        ('{"a":"{{ event_type }}"}', "gives no JSON: .*tried on Account/"),
        ('{"a":{{ variables.nobody_has_this }}}', "gives nothing for any event type: .*nobody_has"),
        ('{% if event_type == "Acount/New" %}{}{% endif %}', "gives nothing for any event type"),
        ("hello", "gives no JSON"),
        (
            "[{% for one in pb_data.account_info.assigned_addons %}{{ one.nam }}{% endfor %}]",
            "gives nothing for any event type: .*nam",
        ),
        ("{" * 9000, "must not be longer than 8192 characters"),
        ("{}\0", "control characters"),
    ],
)
def test_a_mistake_is_found_before_any_event_is_sent(text, why):
    with pytest.raises(ConfigError, match=why):
        read(text)


def test_a_template_may_have_lines_and_need_not_fit_every_type():
    text = '{\n\t"imsi": {{ variables.curr_imsi }},\n\t"on": {{ pb_data.account_info.blocked }}\n}'

    assert read(text).body_template == text
    assert read("  ").body_template == "  "


@pytest.mark.parametrize(
    "text",
    [
        "{{ pb_data.account_info.assigned_addons[0].addon_effective_to }}",
        "{{ pb_data.account_info.service_features[0].attributes[0].effective_value }}",
        "{{ pb_data.access_policy_info.attributes[0].group_name }}",
        "{{ pb_data.prev_sim_info.imsi }}",
    ],
)
def test_a_template_is_tried_with_every_part(text):
    assert read(text).body_template == text


def test_only_a_template_may_have_lines():
    with pytest.raises(ConfigError, match="AuthHeader must not contain control characters"):
        read("", **{"EventSender.AuthHeader": "X-A\nX-B"})
