"""A loop over aiohttp that sends as fast as it can: no log, no order, nothing repeated."""

import asyncio
import time

import aiohttp
from support.installation import BODY, KEY, USER


def measure(url: str, requests: int, connections: int = 64) -> float:
    """Requests a second."""
    return asyncio.run(_send(url, requests, connections))


async def _send(url: str, requests: int, connections: int) -> float:
    left = requests
    headers = {
        "Content-Type": "application/json",
        "Authorization": aiohttp.encode_basic_auth(USER, KEY),
    }
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                async with session.post(url, data=BODY.encode()) as answer:
                    await answer.read()
                    assert answer.status == 200

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())
        return requests / (time.perf_counter() - began)
