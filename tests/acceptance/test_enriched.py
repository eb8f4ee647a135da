"""The installed command with an application that wants more than the event."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_rig import ENGINES, Installation, installation, until
from http_far_side import Asked, HttpFarSide, Said, serving_beside

TOML = """
[[handler]]
name = "connector"
type = "EventSender"
subscriptions = ["Account/New", "Account/Blocked"]
[handler.options]
"EventSender.URL" = "http://127.0.0.1:{port}/process-event"
"EventSender.APIVersion" = 1
"EventSender.BodyStyle" = "nsps"
"EventSender.SuccessCodes" = "2xx"
"EventSender.AuthMethod" = "Custom"
"EventSender.CustomAuth.Type" = "Bearer"
"EventSender.CustomAuth.Credentials" = "env:HSS_PASSWORD"
"Retry.FirstDelay" = 0.2

[[handler]]
name = "app"
type = "EventSender"
subscriptions = ["Account/New", "Account/Blocked"]
[handler.options]
"EventSender.URL" = "http://127.0.0.1:{port}/app"
"EventSender.AuthMethod" = "None"
"Retry.FirstDelay" = 0.2
"EventSender.SuccessCodes" = "2xx"
"EventSender.BodyTemplate" = '''
{{
  "number": {{{{ pb_data.account_info.id }}}},
  "blocked": {{{{ pb_data.account_info.blocked }}}}{mistake}
}}
'''
"""


class Application(HttpFarSide):
    """Takes two in three of what a connector is sent."""

    def __init__(self) -> None:
        self.got: dict[str, list[Any]] = {"/process-event": [], "/app": []}

    async def answer(self, asked: Asked) -> Said:
        got = self.got[asked.path]
        got.append(json.loads(asked.body))
        assert asked.path == "/app" or asked.headers["authorization"].startswith("Bearer ")
        return (503 if len(got) == 1 else 202), b""


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


def test_each_application_gets_the_body_that_it_wants(installed: Installation) -> None:
    with serving_beside(Application()) as app:
        mistaken = TOML.format(port=app.port, mistake=', "x": {{ pb_dta }}')
        wrong = installed.write("wrong.toml", mistaken)
        told = installed.run("apply", wrong)
        assert told.returncode != 0
        place = "line 3, column 58: pb_dta is not known; did you mean pb_data?"
        assert f'handler "app": EventSender.BodyTemplate is wrong in {place}' in told.stderr

        right = installed.write("right.toml", TOML.format(port=app.port, mistake=""))
        installed.ok("apply", right)
        installed.ok("registry", "add", "customer", "name=Easy Call")
        with installed.running("instance"):
            installed.ok("registry", "add", "account", "id=4912", "i_customer=1")
            until(lambda: len(app.got["/process-event"]) == 2, "an envelope and its repeat")
            installed.ok("registry", "update", "account", "id=4912", "blocked=Y")
            until(lambda: len(app.got["/process-event"]) == 3, "the block")
            until(lambda: len(app.got["/app"]) >= 2, "the other application")
            until(
                lambda: (
                    {one["status"] for one in installed.record("events", "list")}
                    <= {"finished", "retry"}
                ),
                "all through",
            )

    first, repeat, block = app.got["/process-event"]
    assert first["event_id"] == repeat["event_id"] != block["event_id"]
    assert block["data"]["event_type"] == "Account/Blocked"
    assert block["pb_data"]["account_info"]["blocked"] is True
    assert app.got["/app"][-1] == {"number": "4912", "blocked": True}
