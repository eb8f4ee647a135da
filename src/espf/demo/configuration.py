"""The demo's handlers.toml: an EventSender subscribed to the handbook's 14 types (domain, 9)."""

from espf.demo.processes import USER

HANDLER = "demo-hss"
TYPES = (
    "Account/New",
    "Account/SIMCardAssignment",
    "Account/ServicePassword/Changed",
    "Account/Password/Changed",
    "Account/ID/Changed",
    "Account/ZeroAvailableFunds",
    "Account/AvailableFundsAppear",
    "Account/Product/Changed",
    "Account/Blocked",
    "Account/Unblocked",
    "Customer/ZeroAvailableFunds",
    "Customer/AvailableFundsAppear",
    "Customer/Blocked",
    "Customer/Unblocked",
)


def handlers_toml(url: str) -> str:
    """The file; short delays, so that an outage of seconds shows what one of hours would."""
    subscriptions = ",\n".join(f'    "{name}"' for name in TYPES)
    return f"""\
[[handler]]
name = "{HANDLER}"
type = "EventSender"
subscriptions = [
{subscriptions},
]
[handler.options]
"EventSender.URL" = "{url}events"
"EventSender.APIVersion" = 1
"EventSender.AuthMethod" = "Basic"
"EventSender.BasicAuth.User" = "{USER}"
"EventSender.BasicAuth.Key" = "env:ESPF_RECEIVER_KEY"
"EventSender.TokenRate" = 1000
"EventSender.TokenBurstiness" = 1000
"Retry.FirstDelay" = 0.5
"Retry.MaxDelay" = 1
"Breaker.ProbeInterval" = 0.5
"""
