"""Who the generated load pretends to be: models with their speeds, services that call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inferwatch_agents.prices import Price, load_prices

_LISTED: Final = load_prices()


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one provider.

    Attributes:
        provider: OpenTelemetry gen_ai.provider.name.
        name: Model as requested.
        release: Model as the response names it.
        tokens_per_second: Output speed of a call that runs alone.
        failure_ratio: Share of calls that fail without any outage.
        reasons: Whether part of the output is reasoning.
    """

    provider: str
    name: str
    release: str
    tokens_per_second: float
    failure_ratio: float = 0.004
    reasons: bool = False

    @property
    def price(self) -> Price | None:
        """The newest that the SDK's table lists; None for one that nobody bills by the token."""
        listed = _LISTED.model(self.name)
        return None if listed is None else listed.prices[0]


@dataclass(frozen=True, slots=True)
class Service:
    """One service with one endpoint.

    Attributes:
        name: OpenTelemetry service.name.
        endpoint: Its route.
        share: Share of all calls.
        models: Models it calls, with the share of each.
        median_seconds: Median duration of a call that runs alone.
        sigma: Standard deviation of the logarithm of that duration.
        median_input_tokens: Median length of the input.
        cache_ratio: Share of calls of which the provider has part of the input cached.
        operation: OpenTelemetry gen_ai.operation.name; embeddings have no output tokens.
    """

    name: str
    endpoint: str
    share: float
    models: tuple[tuple[Model, float], ...]
    median_seconds: float
    sigma: float
    median_input_tokens: int
    cache_ratio: float = 0.0
    operation: str = "chat"


GPT: Final = Model("openai", "gpt-4.1", "gpt-4.1-2025-04-14", 90)
GPT_MINI: Final = Model("openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", 110)
O4_MINI: Final = Model("openai", "o4-mini", "o4-mini-2025-04-16", 120, reasons=True)
SONNET: Final = Model("anthropic", "claude-sonnet-4-0", "claude-sonnet-4-20250514", 75)
EMBEDDING: Final = Model("openai", "text-embedding-3-small", "text-embedding-3-small", 1, 0.001)
LLAMA: Final = Model(
    "vllm", "llama-3.3-70b-instruct", "llama-3.3-70b-instruct", 45, failure_ratio=0.008
)

SERVICES: Final = (
    Service("assistant", "/v1/chat", 0.40, ((GPT, 0.3), (GPT_MINI, 0.7)), 1.8, 0.7, 900, 0.5),
    Service("search-answers", "/v1/answers", 0.25, ((SONNET, 1.0),), 3.0, 0.5, 4500, 0.3),
    Service("code-review", "/v1/reviews", 0.10, ((O4_MINI, 0.8), (SONNET, 0.2)), 6.0, 0.8, 6000),
    Service("support-bot", "/v1/tickets/{id}/reply", 0.15, ((LLAMA, 1.0),), 2.5, 0.6, 700),
    Service("indexer", "/v1/documents", 0.10, ((EMBEDDING, 1.0),), 0.12, 0.4, 1500,
            operation="embeddings"),
)  # fmt: skip
