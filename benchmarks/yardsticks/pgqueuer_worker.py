"""The worker that PgQueuer's users would write, with aiohttp.

    python pgqueuer_worker.py fill JOBS    makes its tables and fills the queue
    python pgqueuer_worker.py work         works on it until it is told to end

The environment says where the database is and where to POST.
"""

import asyncio
import os
import signal
import sys

import aiohttp
import asyncpg
import uvloop
from pgqueuer import Job, PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

CONNECTIONS = 64
BATCH = 100


async def connected() -> asyncpg.Connection:
    """A connection to the database."""
    return await asyncpg.connect(dsn=os.environ["YARDSTICK_DATABASE"])


async def work() -> None:
    """Work on the queue."""
    connection = await connected()
    queue = PgQueuer(AsyncpgDriver(connection))
    headers = {
        "Content-Type": "application/json",
        "Authorization": aiohttp.encode_basic_auth(*os.environ["YARDSTICK_CREDENTIALS"].split(":")),
    }
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        @queue.entrypoint("post")
        async def post(job: Job) -> None:
            async with session.post(os.environ["YARDSTICK_URL"], data=job.payload) as answer:
                await answer.read()
                answer.raise_for_status()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, queue.shutdown.set)
        await queue.run(batch_size=BATCH)


async def fill(jobs: int, body: bytes) -> None:
    """Make the tables and put the jobs into the queue."""
    connection = await connected()
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    for start in range(0, jobs, 1000):
        some = min(1000, jobs - start)
        await queries.enqueue(["post"] * some, [body] * some, [0] * some)
    await connection.close()


if __name__ == "__main__":
    filling = sys.argv[1] == "fill"
    job = fill(int(sys.argv[2]), os.environ["YARDSTICK_BODY"].encode()) if filling else work()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(job)
