"""The handler type OsmoHLR."""

from espf.handlers.contract.handler import SystemType
from espf.handlers.contract.types import CARD_TYPES, SERVICE_TYPES
from espf.handlers.osmo_hlr.client import CtrlClient
from espf.handlers.osmo_hlr.listing import Vty
from espf.handlers.osmo_hlr.settings import OsmoHlrSettings
from espf.handlers.osmo_hlr.system import OsmoHlr
from espf.handlers.port import HandlerContext
from espf.handlers.settings import HandlerSettings


class OsmoHlrType(SystemType):
    """osmo-hlr of Osmocom, by its control interface."""

    name = "OsmoHLR"
    settings = OsmoHlrSettings
    needed = (CARD_TYPES | SERVICE_TYPES) - {"Account/Product/Changed"}
    """A product is nothing to osmo-hlr."""

    def system(self, settings: HandlerSettings, context: HandlerContext) -> OsmoHlr:
        """Connects at the first event."""
        assert isinstance(settings, OsmoHlrSettings)
        client = CtrlClient(
            settings.host,
            settings.port,
            settings.request_timeout_s,
            local_address=context.service_ip,
            may_send=context.may_send,
        )
        return OsmoHlr(settings, client, _vty(settings))


def _vty(settings: OsmoHlrSettings) -> Vty | None:
    if settings.vty_port == 0:
        return None
    return Vty(settings.host, settings.vty_port, settings.request_timeout_s)
