"""The handler type YateHSS."""

from espf.errors import HandlerError
from espf.handlers.contract.handler import SystemType
from espf.handlers.port import HandlerContext
from espf.handlers.settings import HandlerSettings
from espf.handlers.yate_hss.client import YateClient
from espf.handlers.yate_hss.settings import YateHssSettings
from espf.handlers.yate_hss.system import YateHss


class YateHssType(SystemType):
    """Subscribers on a Yate HSS/HLR."""

    name = "YateHSS"
    aliases = ("Yate HSS",)
    settings: type[HandlerSettings] = YateHssSettings

    def system(self, settings: HandlerSettings, context: HandlerContext) -> YateHss:
        """Make the HSS of these settings. Raises HandlerError."""
        if not isinstance(settings, YateHssSettings):
            raise HandlerError(f"YateHSS was given {type(settings).__name__}, which is not its own")
        if context.memory is None:
            raise HandlerError(f"{context.name} needs to remember its steps, which it cannot here.")
        return YateHss(settings, YateClient(settings, context), context.memory)

    def warnings(self, settings: HandlerSettings) -> list[str]:
        """Return a sentence for each option that is allowed and probably not meant."""
        if not isinstance(settings, YateHssSettings):
            return []
        found = []
        if settings.url.scheme != "https":
            found.append("YateHSS.URL is not https: keys of SIM cards cross the network in clear.")
        elif not settings.tls_verify:
            found.append("YateHSS.TLS.Verify is off: anyone on the way can read the cards' keys.")
        if not settings.read_back:
            found.append(
                "YateHSS.ReadBack is off: an HSS that says yes and does nothing is believed."
            )
        return found
