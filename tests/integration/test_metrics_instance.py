"""An instance as monitoring sees it: real deliveries, real scrapes, on both engines."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from engine_rig import PLAIN
from espf import app
from espf.config import Config, load_config
from espf.engine import watch
from espf.eventlog import vitals
from espf.eventlog.operations import HandlerChange
from espf.metrics import endpoint
from espf.metrics.catalogue import Metric
from espf.metrics.server import MAX_OPEN
from http_receiver import Answer, Receiver, receiver
from metrics_rig import Scrape, ask, scrape
from postgres_rig import server
from storage_rig import ENGINES, PostgresStorage, Storage, storage_on

OPTIONS: dict[str, object] = {
    "EventSender.APIVersion": 1,
    "EventSender.AuthMethod": "None",
    "EventSender.TokenRate": 1000,
    "EventSender.TokenBurstiness": 1000,
    "Retry.FirstDelay": 3600,
}
BUSY = 7
"""The entity whose events are answered 503."""


class Watched:
    """Instances on a storage, each with an address to ask."""

    def __init__(self, storage: Storage, far: Receiver) -> None:
        self.storage = storage
        self.far = far
        self.bases: list[str] = []

    async def ask(self, path: str, **headers: str) -> tuple[int, str]:
        answer = await asyncio.to_thread(ask, self.bases[0] + path, headers)
        return answer.status, answer.text

    async def scrape(self) -> Scrape:
        return await asyncio.to_thread(scrape, self.bases[0] + "metrics")

    async def until(self, holds: Callable[[Scrape], bool], limit_s: float = 20) -> Scrape:
        async with asyncio.timeout(limit_s):
            while True:
                found = await self.scrape()
                with suppress(KeyError):  # what nobody counted yet
                    if holds(found):
                        return found
                await asyncio.sleep(0.2)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


def answer(body: dict[str, dict[str, int]]) -> Answer:
    return Answer(503 if body["variables"]["i_account"] == BUSY else 200)


@asynccontextmanager
async def watched(
    engine: str, folder: Path, *, instances: int = 1, **given: object
) -> AsyncIterator[Watched]:
    with storage_on(engine, folder) as storage:
        async with receiver(answer=answer) as far:
            change = HandlerChange(
                "hss", "EventSender", enabled=True, keep_events=True, start=1,
                subscriptions=("all",), event_types=frozenset([PLAIN]),
                options={**OPTIONS, "EventSender.URL": far.url},
            )  # fmt: skip
            storage.operations.apply([change])
            made, stop = Watched(storage, far), asyncio.Event()
            with ExitStack() as stack:
                async with asyncio.TaskGroup() as group:
                    for number in range(instances):
                        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                        made.bases.append(f"http://127.0.0.1:{listener.getsockname()[1]}/")
                        config = configured(storage, f"one-{number}", given)
                        started = asyncio.Event()
                        group.create_task(
                            app.run_instance(config, stop, started.set, metrics=listener)
                        )
                        await started.wait()
                    try:
                        yield made
                    finally:
                        stop.set()
        await storage.close()


def configured(storage: Storage, name: str, given: dict[str, object]) -> Config:
    told = {
        "database_url": str(storage.url),
        "instance_name": name,
        "grace_period_s": 1,
        "lease_s": 1,
    }
    return load_config({}, {**told, **given})


def append(storage: Storage, *entities: int) -> list[int]:
    return [
        number
        for entity in entities
        for number in storage.append([(entity, PLAIN)], f'{{"i_account":{entity}}}')
    ]


async def test_a_scrape_tells_what_was_delivered_and_what_waits(
    engine: str, tmp_path: Path
) -> None:
    async with watched(engine, tmp_path) as made:
        append(made.storage, *range(100, 110), BUSY, BUSY)
        labels = {"instance": "one-0", "handler": "hss"}
        found = await made.until(
            lambda now: (
                now("espf_attempts_total", **labels, outcome="delivered") == 10
                and now("espf_parked_events", handler="hss") == 2
            )
        )
        assert found("espf_attempts_total", **labels, outcome="retry") == 1
        assert found("espf_attempts_total", **labels, outcome="rejected") == 0
        assert found("espf_attempt_seconds_count", **labels) == 11
        assert found("espf_attempt_seconds_bucket", **labels, le="+Inf") == 11
        assert 0 < found("espf_attempt_seconds_sum", **labels) < 11
        assert found("espf_events_read_total", **labels) == 12
        assert found("espf_settlement_seconds_count", instance="one-0") >= 1
        assert found("espf_lag_events", handler="hss") == 2
        assert found("espf_parked_due_events", handler="hss") == 0
        assert found("espf_lanes_held", **labels) == 64
        assert found("espf_lanes_free", handler="hss") == 0
        assert found("espf_instances") == found("espf_database_up") == 1
        assert 0 < found("espf_bucket_tokens", handler="hss") <= 1000
        assert found("espf_bucket_burst_tokens", handler="hss") == 1000
        assert found("espf_handler_enabled", handler="hss") == 1
        assert found("espf_breaker_open", handler="hss") == 0
        assert found("process_resident_memory_bytes") > 0
        await asyncio.sleep(2)
        later = await made.scrape()
        assert later("espf_lag_seconds", handler="hss") > found("espf_lag_seconds", handler="hss")


async def test_every_metric_of_the_catalogue_is_exposed_with_its_type_and_no_other(
    engine: str, tmp_path: Path
) -> None:
    async with watched(engine, tmp_path) as made:
        found = await made.until(lambda now: now("espf_lanes_free", handler="hss") == 0)
        told = {metric.value.name: metric.value.kind for metric in Metric}
        assert {n: t for n, t in found.types.items() if n.startswith("espf_")} == told
        for metric in Metric:
            for name in metric.value.exposed:
                for labels in found.series(name):
                    names = {label for label, _ in labels} - {"le"}
                    assert names == set(metric.value.labels), name


async def test_pause_disabling_and_an_open_breaker_are_shown(engine: str, tmp_path: Path) -> None:
    async with watched(engine, tmp_path) as made:
        operations = made.storage.operations
        operations.set_paused("hss", True)
        await made.until(lambda now: now("espf_handler_paused", handler="hss") == 1)
        operations.set_paused("hss", False)
        await made.far.close()
        append(made.storage, *range(100, 120))
        await made.until(lambda now: now("espf_breaker_open", handler="hss") == 1)
        operations.set_enabled("hss", False)
        await made.until(lambda now: now("espf_handler_enabled", handler="hss") == 0)


# ---- health ----


async def test_healthz_fails_while_the_loop_does_not_go_round(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "STUCK_S", 1.5)
    async with watched(engine, tmp_path) as made:
        assert await made.ask("healthz") == (200, "loop: ok\n")
        asked = asyncio.create_task(asyncio.to_thread(_ask_after, 2.0, made.bases[0] + "healthz"))
        await asyncio.sleep(0)
        time.sleep(3)  # noqa: ASYNC251 - what must not happen happens
        assert await asked == (503, "loop: failed\n")
        await asyncio.sleep(0.1)
        assert (await made.ask("healthz"))[0] == 200


def _ask_after(delay_s: float, url: str) -> tuple[int, str]:
    time.sleep(delay_s)
    return ask(url)[:2]


async def test_readyz_names_the_part_that_fails_and_counters_outlive_the_database(
    engine: str, tmp_path: Path
) -> None:
    async with watched(engine, tmp_path) as made:
        append(made.storage, 100)
        labels = {"instance": "one-0", "handler": "hss", "outcome": "delivered"}
        await made.until(lambda now: now("espf_attempts_total", **labels) == 1)
        ready = "loop: ok\ndatabase: ok\nlease: ok\n"
        assert await made.ask("readyz") == (200, ready)
        with away(made.storage):
            await asyncio.sleep(1.5)
            status, text = await made.ask("readyz")
            assert status == 503
            assert "database: failed" in text
            assert ("lease: failed" in text) == (engine == "postgres")
            found = await made.scrape()
            assert found("espf_database_up") == 0
            assert found("espf_attempts_total", **labels) == 1
            assert not found.series("espf_lag_events")
        await made.until(lambda now: now("espf_database_up") == 1)
        await asyncio.sleep(1.5)
        assert await made.ask("readyz") == (200, ready)


def away(storage: Storage) -> ExitStack:
    """Take the database away; the other end of the stack brings it back."""
    stack = ExitStack()
    if isinstance(storage, PostgresStorage):
        name = storage.url.parts["dbname"]
        switch = f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS %s'
        server().execute(switch % "false")
        storage.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{name}' AND application_name LIKE 'espf%'"
        )
        stack.callback(server().execute, switch % "true")
    else:
        path = storage.path  # type: ignore[attr-defined]
        hidden = path.rename(path.with_name("hidden"))
        stack.callback(hidden.rename, path)
    return stack


# ---- the endpoint itself ----


async def test_with_a_token_only_this_machine_itself_reads_without_it(tmp_path: Path) -> None:
    token = "a-token-of-16-chars"
    async with watched("sqlite", tmp_path, metrics_token=token) as made:
        assert (await made.ask("metrics"))[0] == 200
        forwarded = {"X-Forwarded-For": "10.0.0.1"}
        status, text = await made.ask("metrics", **forwarded)
        assert status == 403
        assert "espf_" not in text
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await made.ask("metrics", **forwarded, **bearer))[0] == 200
        assert (await made.ask("healthz", **forwarded))[0] == 200


async def test_prometheus_gets_the_format_that_it_asks_for(tmp_path: Path) -> None:
    async with watched("sqlite", tmp_path) as made:
        url = made.bases[0] + "metrics"
        plain = await asyncio.to_thread(ask, url)
        assert plain.content_type.startswith("text/plain")
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        open_metrics = await asyncio.to_thread(ask, url, wanted)
        assert open_metrics.content_type.startswith("application/openmetrics-text")
        assert open_metrics.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"HEAD /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", None),
    ],
)
async def test_whatever_a_client_sends_it_gets_an_answer_or_none(
    tmp_path: Path, sent: bytes, status: int | None
) -> None:
    async with watched("sqlite", tmp_path) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(made))
        try:
            writer.write(sent)
            head = await reader.read()
        except ConnectionError:
            head = b""
        writer.close()
        assert head.split(b" ")[1:2] == ([] if status is None else [str(status).encode()])


def port_of(made: Watched) -> int:
    return int(made.bases[0].rstrip("/").rpartition(":")[2])


async def test_clients_that_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    async with watched("sqlite", tmp_path) as made:
        silent = [
            await asyncio.open_connection("127.0.0.1", port_of(made)) for _ in range(2 * MAX_OPEN)
        ]
        assert (await made.ask("healthz"))[0] == 200
        ended = [reader for reader, _ in silent if reader.at_eof()]
        assert len(ended) >= MAX_OPEN
        for _, writer in silent:
            writer.close()


# ---- a transaction that stays open ----


async def test_a_transaction_held_open_shows_is_told_once_and_readers_go_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "HELD_S", 1.0)
    monkeypatch.setattr(watch, "LOOK_S", 0.2)
    structlog.reset_defaults()
    with capture_logs() as logs:
        async with watched("postgres", tmp_path, instances=2) as made:
            storage = made.storage
            assert isinstance(storage, PostgresStorage)
            (before,) = append(storage, 100)
            await delivered(made, [before])
            with closing(psycopg.connect(storage.url.conninfo, application_name="billing")) as held:
                held.execute("INSERT INTO capture_gate VALUES ('a secret')")
                (after,) = append(storage, 101)
                first = await made.until(lambda now: now("espf_horizon_lag_events") == 1)
                await asyncio.sleep(2.5)
                later = await made.scrape()
                ages = [now("espf_oldest_transaction_seconds") for now in (first, later)]
                assert ages[1] > ages[0] + 1
                assert made.far.arrivals == [(before, 200)], "it is not visible to any reader"
                assert told(logs, "transaction.held_open")
                held.rollback()
            await delivered(made, [before, after])
            await made.until(lambda now: now("espf_oldest_transaction_seconds") == 0)
            await asyncio.sleep(0.5)
    (warning,) = told(logs, "transaction.held_open")
    assert (warning["application"], warning["log_level"]) == ("billing", "warning")
    assert warning["pid"] > 0
    assert warning["age_s"] >= 1
    assert "secret" not in str(logs)
    assert len(told(logs, "transaction.ended")) == 1


async def delivered(made: Watched, numbers: list[int]) -> None:
    async with asyncio.timeout(20):
        while [number for number, _ in made.far.arrivals] != numbers:  # noqa: ASYNC110 - its list
            await asyncio.sleep(0.02)


def told(logs: list[dict[str, object]], event: str) -> list[dict[str, object]]:
    return [entry for entry in logs if entry["event"] == event]
