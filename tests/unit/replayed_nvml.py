"""Stands for NVML: answers as a recording has it, or as a test says.

The files in ``nvml_written_by_hand`` have the form of a recording and are none: no driver answered.
"""

import json
import queue
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inferwatch_agents.host.nvml import NvmlError
from inferwatch_agents.host.nvml_constants import Failure

WRITTEN = Path(__file__).parent / "nvml_written_by_hand"
WAIT = "nvmlEventSetWait_v2"
NO_INSTANCE = 2**32 - 1
# How long a wait for events takes here, whatever was asked for.
WAIT_SECONDS = 0.02


class ReplayedNvml:
    """Calls with the same arguments get their answers in order, and then the last one for ever.

    Attributes:
        calls: How often each function was called.
        failures: NVML's code by function, or by function and handle, in place of the recording.
        answers: Likewise, what is answered.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        """Read a recording."""
        self.calls: dict[str, int] = defaultdict(int)
        self.failures: dict[str | tuple[str, str], int] = {}
        self.answers: dict[str | tuple[str, str], Any] = {}
        self._recorded: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        for line in map(json.loads, lines):
            if line.get("call") == WAIT and "result" in line:
                self._events.put(line["result"])
            elif "call" in line:
                self._recorded[_key(line["call"], line["arguments"])].append(line)

    @classmethod
    def written(cls, name: str) -> "ReplayedNvml":
        """What was written by hand under this name."""
        return cls((WRITTEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())

    def happen(self, kind: int, data: int = 0, device: str | None = "gpu:0") -> None:
        """Have the driver tell of an event."""
        event = {"device": device, "eventType": int(kind), "eventData": data}
        self._events.put(event | {"gpuInstanceId": NO_INSTANCE, "computeInstanceId": NO_INSTANCE})

    def __call__(self, function: str, *arguments: Any) -> Any:
        """See ``Nvml``."""
        self.calls[function] += 1
        places = [(function, handle) for handle in arguments if isinstance(handle, str)]
        for place in (*places, function):
            if place in self.failures:
                raise NvmlError(self.failures[place], f"error {self.failures[place]}")
            if place in self.answers:
                return self.answers[place]
        if function == WAIT:
            try:
                return self._events.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                raise NvmlError(Failure.NVML_ERROR_TIMEOUT, "Timeout") from None
        recorded = self._recorded.get(_key(function, arguments))
        assert recorded, f"{function}{arguments} is not in the recording"
        line = recorded.popleft() if len(recorded) > 1 else recorded[0]
        if "error" in line:
            raise NvmlError(line["error"], line["text"])
        return line["result"]


def _key(function: str, arguments: Iterable[Any]) -> str:
    return json.dumps([function, *arguments])
