"""Stands for the SDK's client and keeps the calls that end."""

from dataclasses import dataclass, field

from inferwatch_agents.calls import Call
from inferwatch_agents.prices import parse_prices

# 2025-07-01.
AT = 1_751_328_000_000_000
NO_PRICES = parse_prices({"currency": "USD", "models": []})


@dataclass
class Recorder:
    """Keeps what it is told.

    Attributes:
        calls: Calls that ended.
        open: Calls that began and have not ended.
        faults: Where something failed inside the SDK.
        traces: There are none.
    """

    service: str = "svc"
    environment: str = "test"
    calls: list[Call] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    faults: list[tuple[str, BaseException]] = field(default_factory=list)
    traces: None = None

    def began(self, call: Call) -> None:
        """Keep it as open."""
        self.open.add(id(call))

    def ended(self, call: Call) -> None:
        """Keep it."""
        self.open.discard(id(call))
        call.complete(NO_PRICES, AT)
        self.calls.append(call)

    def forget(self, call: Call) -> None:
        """It is none after all."""
        self.open.discard(id(call))

    def fault(self, where: str, error: BaseException) -> None:
        """Keep it."""
        self.faults.append((where, error))

    def one(self) -> Call:
        """The only call that ended; nothing is open, nothing failed inside."""
        (call,) = self.calls
        assert (self.open, self.faults) == (set(), [])
        return call
