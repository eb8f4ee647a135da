"""The handler type PyHSS."""

from espf.errors import HandlerError
from espf.handlers.contract.handler import SystemType
from espf.handlers.port import HandlerContext
from espf.handlers.pyhss.client import PyhssClient
from espf.handlers.pyhss.settings import PyhssSettings
from espf.handlers.pyhss.system import Pyhss
from espf.handlers.settings import HandlerSettings


class PyhssType(SystemType):
    """Subscribers on a PyHSS."""

    name = "PyHSS"
    settings: type[HandlerSettings] = PyhssSettings

    def system(self, settings: HandlerSettings, context: HandlerContext) -> Pyhss:
        """Make the HSS of these settings. Raises HandlerError."""
        if not isinstance(settings, PyhssSettings):
            raise HandlerError(f"PyHSS was given {type(settings).__name__}, which is not its own")
        if context.memory is None:
            raise HandlerError(f"{context.name} needs to remember its steps, which it cannot here.")
        return Pyhss(settings, PyhssClient(settings, context), context.memory)

    def warnings(self, settings: HandlerSettings) -> list[str]:
        """Return a sentence for each option that is allowed and probably not meant."""
        if not isinstance(settings, PyhssSettings):
            return []
        found = []
        if settings.url.scheme != "https":
            found.append("PyHSS.URL is not https: keys of SIM cards cross the network in clear.")
        elif not settings.tls_verify:
            found.append("PyHSS.TLS.Verify is off: anyone on the way can read the cards' keys.")
        if settings.provisioning_key is None:
            found.append(
                "PyHSS.ProvisioningKey is not set: an HSS that takes changes without one takes "
                "them from anyone."
            )
        return found
