"""The commands of the page on what an account is given do what the page says."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

import registry_rig
from espf.clock import SystemClock
from espf.registry import services
from espf.subscribers.engines import open_subscribers

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-an-account-is-given.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


def run(words: list[str]) -> None:
    program, group, verb, entity, *rest = words
    assert (program, group) == ("espf", "registry")
    key = [rest.pop(0)] if verb == "update" else []
    getattr(services, verb)(entity, *key, dict(word.split("=", 1) for word in rest))


@pytest.mark.parametrize("engine", registry_rig.ENGINES)
def test_the_commands_of_the_page_give_what_it_says(tmp_path, engine):
    with registry_rig.registry(tmp_path, engine) as rig:
        services.add("customer", {"name": "Ann"})
        services.add("product", {"name": "LTE"})
        for number in range(1, 6):
            services.add("account", {"i_customer": 1, "id": f"10{number}", "i_product": 1})
        for words in commands():
            run(words)

        async def given():
            source = open_subscribers(rig.url, SystemClock(), str)
            try:
                return await source.services([4, 5])
            finally:
                await source.close()

        found = asyncio.run(given())
        assert found[5].attribute("voicemail", "greeting") == "hi"
        assert found[4].attribute("voicemail", "greeting") == "hello"
        policy = found[4].access_policy
        assert policy.value("lte.wtl", "cs_profile") == "1"
        assert policy.value("lte.wtl", "cs_profile", "after the quota") == "2"
        assert [(one.name, one.priority) for one in found[5].addons] == [("Music", 20)]
