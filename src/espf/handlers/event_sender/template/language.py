"""The part of Jinja2 that a body template may use: what always ends, and in time.

Left out is whatever could multiply: calls, arithmetic, variables of one's own, loops within loops
or over anything but members of the event, filters that repeat text. What is left is bounded in
nodes, those that are repeated more tightly: text may be compared without ever being put out.
"""

from collections.abc import Iterator, Sized

import orjson
from jinja2 import StrictUndefined, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from espf.events.catalogue import did_you_mean, nearest
from espf.handlers.event_sender.template.position import ByOffset

FILTERS = frozenset(
    {"abs", "default", "first", "float", "int", "last", "length", "lower", "string", "trim"}
    | {"upper"}
)
TESTS = frozenset(
    {"boolean", "defined", "eq", "even", "false", "ge", "gt", "in", "le", "lt", "mapping", "ne"}
    | {"none", "number", "odd", "sequence", "string", "true", "undefined"}
)
NAMES = {
    "event_type": "name of the event, as it would be sent",
    "variables": "its variables, as they would be sent",
    "i_event": "number of the event; the same in every repeat",
    "event_id": "the same as a UUID of handler and event",
    "event_time": "when it happened, YYYY-MM-DD HH:MM:SS in UTC",
    "handler_id": "name of the handler",
    "data": "event_type and variables as one object",
    "pb_data": "the account or customer as it is now: account_info, sim_info, …",
}
"""What a template may name → what it is."""
MAX_NODES = 2000
MAX_LOOPED_NODES = 200
"""Of all loops together: what stands in them is done again for each member."""
MAX_ROUNDS = 100
"""Of one loop; an access policy, the longest list that there is, has some dozens of attributes."""
_MEMBERS = "members"
"""A filter that templates cannot name: it is put on what a loop goes over."""

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List,
    nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem, nodes.If, nodes.CondExpr,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Filter,
    nodes.Test, nodes.Concat, nodes.For, nodes.Keyword,
)  # fmt: skip
_CALLED: dict[type[nodes.Node], str] = {
    nodes.Call: "calls",
    nodes.Assign: "{% set %}",
    nodes.AssignBlock: "{% set %}",
    nodes.Macro: "macros",
    nodes.Include: "other templates",
    nodes.Import: "other templates",
    nodes.FromImport: "other templates",
    nodes.Extends: "other templates",
    nodes.Slice: "slices",
}


class Refused(Exception):  # noqa: N818 - becomes a ValueError with its place
    """The template uses what it must not."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class _OfValues(ImmutableSandboxedEnvironment):
    """A dot leads to a member of an object and to nothing else: no value has a method here."""

    def getattr(self, obj: object, attribute: str) -> object:
        if isinstance(obj, LoopContext):
            return super().getattr(obj, attribute)
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return self.undefined(obj=obj, name=attribute)


def environment() -> ImmutableSandboxedEnvironment:
    """What templates are made with. A value put in stands as JSON: text has its quotes."""
    made = _OfValues(
        undefined=StrictUndefined, finalize=_as_json, extensions=[ByOffset], autoescape=False
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS} | {_MEMBERS: _members}
    made.tests = {name: made.tests[name] for name in TESTS}
    return made


def _as_json(value: object) -> str:
    if isinstance(value, StrictUndefined):
        str(value)  # raises UndefinedError, which says what is not there
    return orjson.dumps(value).decode()


def _members(value: object) -> object:
    """What a loop may go over. Raises TypeError, ValueError for a text and for too many."""
    if isinstance(value, str):
        raise TypeError("a loop goes over the members of an object or a list, not over a text")
    if isinstance(value, Sized) and len(value) > MAX_ROUNDS:
        raise ValueError(f"a loop goes over at most {MAX_ROUNDS} members, not {len(value)}")
    return value


def check(tree: nodes.Template) -> None:
    """Raise Refused for the first thing in it that is not of the language."""
    _check_size(tree)
    looped = {name.name for loop in tree.find_all(nodes.For) for name in _targets(loop)}
    for node in tree.find_all(nodes.Node):
        _check_node(node)
        if isinstance(node, nodes.Name) and node.ctx == "load":
            _check_name(node, NAMES.keys() | looped | {"loop"})


def bound(tree: nodes.Template) -> None:
    """Have the loops of a checked template look at what they are to go over."""
    for loop in list(tree.find_all(nodes.For)):
        over = loop.iter
        place = {"lineno": over.lineno, "environment": over.environment}
        loop.iter = nodes.Filter(over, _MEMBERS, [], [], None, None, **place)


def _check_size(tree: nodes.Template) -> None:
    for number, node in enumerate(tree.find_all(nodes.Node), 1):
        if number > MAX_NODES:
            told = f"the template has more than {MAX_NODES} parts; make it simpler"
            raise Refused(told, node.lineno)
    for number, node in enumerate(_repeated(tree), 1):
        if number > MAX_LOOPED_NODES:
            told = f"its loops have more than {MAX_LOOPED_NODES} parts; make them simpler"
            raise Refused(told, node.lineno)


def _repeated(tree: nodes.Template) -> Iterator[nodes.Node]:
    for loop in tree.find_all(nodes.For):
        yield from loop.find_all(nodes.Node)


def _targets(loop: nodes.For) -> list[nodes.Name]:
    if isinstance(loop.target, nodes.Name):
        return [loop.target]
    return list(loop.target.find_all(nodes.Name))


def _check_node(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED):
        called = _CALLED.get(type(node), type(node).__name__)
        raise Refused(f"{called} cannot be used here", node.lineno)
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        known = f"; there are {', '.join(sorted(FILTERS))}"
        raise Refused(f"there is no filter {node.name}{known}", node.lineno)
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        known = f"; there are {', '.join(sorted(TESTS))}"
        raise Refused(f"there is no test {node.name}{known}", node.lineno)
    if isinstance(node, nodes.For):
        _check_loop(node)


def _check_loop(loop: nodes.For) -> None:
    if loop.recursive or loop.find(nodes.For):
        raise Refused("a loop within a loop cannot be used here", loop.lineno)
    over = loop.iter
    while isinstance(over, nodes.Getattr | nodes.Getitem):
        over = over.node
    if not isinstance(over, nodes.Name) or over.name not in NAMES:
        told = "a loop goes over what the event has, such as variables or pb_data.account_info"
        raise Refused(told, loop.iter.lineno)


def _check_name(node: nodes.Name, known: set[str]) -> None:
    if node.name not in known:
        meant = did_you_mean(nearest(node.name, known))
        names = ", ".join(NAMES)
        raise Refused(f"{node.name} is not known{meant} There are {names}", node.lineno)
