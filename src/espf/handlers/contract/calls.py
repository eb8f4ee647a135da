"""Calls of a far side: bounded in time, and with every failure as one of ours."""

import asyncio
import traceback
from collections.abc import Awaitable
from typing import TypeVar

import structlog

from espf.errors import ProvisioningError, StorageError
from espf.handlers.contract.failures import FarSideError, NotNow, Unclear

_Result = TypeVar("_Result")
_log = structlog.get_logger("espf.contract")


class Broken(ProvisioningError):  # noqa: N818 - the system's code is
    """A bug in a handler's own code; the message says where, and repeats no value."""


async def reading(title: str, timeout_s: float, call: Awaitable[_Result]) -> _Result:
    """Await a call that changes nothing: whatever its failure, it had no effect.

    Raises NotNow, Refused, StorageError, Broken.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except TimeoutError:
        raise NotNow(f"{title} did not answer a read within {timeout_s:g} s") from None
    except Unclear as error:
        raise NotNow(str(error), code=error.code, answer=error.answer) from None
    except (FarSideError, StorageError):
        raise
    except Exception as error:  # noqa: BLE001 - its text may repeat a secret: it ends here
        raise broken(title, error) from None


async def changing(title: str, timeout_s: float, call: Awaitable[_Result]) -> _Result:
    """Await a step. Raises FarSideError: Unclear if it may have acted; StorageError, Broken."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except TimeoutError:
        raise Unclear(f"{title} did not answer within {timeout_s:g} s") from None
    except (FarSideError, StorageError):
        raise
    except Exception as error:  # noqa: BLE001 - likewise
        raise broken(title, error) from None


def broken(title: str, error: Exception) -> Broken:
    """What is told and logged of a bug: its kind and its place."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    kind = type(error).__name__
    _log.error("handler.broken", system=title, kind=kind, trace=places)
    where = places[-1].rpartition("/")[2] if places else "an unknown place"
    return Broken(f"the handler of {title} failed with {kind} at {where}; see the log")
