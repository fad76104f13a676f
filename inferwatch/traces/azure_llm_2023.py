"""Azure LLM inference trace 2023: arrivals and tokens of two services, code and conv.

Source: Azure/AzurePublicDataset, AzureLLMInferenceTrace_code.csv and _conv.csv (CC-BY-4.0).
Columns: TIMESTAMP (UTC, seven decimals), ContextTokens, GeneratedTokens. The trace has neither
status, model nor latency, so these are null.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from inferwatch.traces.errors import TraceError
from inferwatch.traces.events import ENVIRONMENT, TraceEvent, TraceOptions
from inferwatch.traces.rows import Row, csv_rows
from inferwatch_schemas.instants import micros

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
PROVIDER: Final = "azure.ai.openai"
KIND: Final = re.compile(r"code|conv")


def read(path: Path, options: TraceOptions) -> Iterator[TraceEvent]:
    """Requests of one file, in its order and at its times, cut off to microseconds.

    Raises:
        TraceError: The file is not of this format, or neither name nor options tell the service.
    """
    if options.start is not None:
        raise TraceError("azure_llm_2023 has times of its own; leave out --start.")
    kind = KIND.search(path.name)
    if kind is None and options.service is None:
        raise TraceError(
            f"{path} has neither 'code' nor 'conv' in its name; name the service with --service."
        )
    service = options.service or f"azure-llm-{kind and kind[0]}"
    operation = "text_completion" if kind and kind[0] == "code" else "chat"
    for row in csv_rows(path, COLUMNS):
        record = {
            "service_name": service,
            "deployment_environment_name": ENVIRONMENT,
            "gen_ai_operation_name": operation,
            "gen_ai_provider_name": PROVIDER,
            "endpoint": "",
            "gen_ai_usage_input_tokens": row.whole("ContextTokens"),
            "gen_ai_usage_output_tokens": row.whole("GeneratedTokens"),
        }
        yield TraceEvent("request", _time(row), record)


def _time(row: Row) -> int:
    try:
        # Digits beyond microseconds are cut off.
        time = datetime.fromisoformat(row.text("TIMESTAMP"))
    except ValueError as error:
        raise row.error("TIMESTAMP", "a time such as 2023-11-16 18:17:03.9799600") from error
    return micros(time if time.tzinfo else time.replace(tzinfo=UTC))
