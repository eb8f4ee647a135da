"""Failures of a request by HTTP, as failures of a call to a far side."""

from collections.abc import Awaitable

from espf.delivery.errors import AnswerTimeout, ConnectionLost, ConnectRefused, DeliveryError
from espf.delivery.model import Response
from espf.handlers.contract.failures import NotNow, Unclear


async def answered(request: Awaitable[Response]) -> Response:
    """Await a request's answer, whatever its status.

    Raises NotNow if it did not leave or had no effect, Unclear if it may have been carried out.
    """
    try:
        return await request
    except DeliveryError as error:
        if isinstance(error, AnswerTimeout | ConnectionLost) and error.sent:
            raise Unclear(str(error)) from None
        raise NotNow(str(error), refused=isinstance(error, ConnectRefused)) from None
