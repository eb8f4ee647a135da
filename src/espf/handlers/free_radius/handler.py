"""The handler type FreeRADIUS."""

from espf.database_url import SqliteUrl
from espf.handlers.contract.handler import SystemType
from espf.handlers.contract.types import SERVICE_TYPES
from espf.handlers.free_radius.asking import RadiusDatabase
from espf.handlers.free_radius.disconnecting import Disconnector
from espf.handlers.free_radius.settings import FreeRadiusSettings
from espf.handlers.free_radius.sqlite import SqliteRadius
from espf.handlers.free_radius.system import FreeRadius
from espf.handlers.port import HandlerContext
from espf.handlers.settings import HandlerSettings


class FreeRadiusType(SystemType):
    """FreeRADIUS 3, by its SQL schema on SQLite or PostgreSQL."""

    name = "FreeRADIUS"
    settings = FreeRadiusSettings
    needed = SERVICE_TYPES | {"Account/ServicePassword/Changed"}

    def system(self, settings: HandlerSettings, context: HandlerContext) -> FreeRadius:
        """Connects at the first event."""
        assert isinstance(settings, FreeRadiusSettings)
        disconnector = Disconnector(
            settings.disconnect_port, settings.disconnect_timeout_s, context.service_ip
        )
        return FreeRadius(settings, _database(settings), disconnector)


def _database(settings: FreeRadiusSettings) -> RadiusDatabase:
    url = settings.database
    if isinstance(url, SqliteUrl):
        return SqliteRadius(url.path, settings.request_timeout_s)
    from espf.handlers.free_radius.postgres import PostgresRadius  # noqa: PLC0415 - the driver

    return PostgresRadius(url, settings.request_timeout_s)
