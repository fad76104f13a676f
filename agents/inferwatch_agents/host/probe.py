"""Asks NVML about one device: what it does not tell is null, and reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.host.nvml import Nvml, NvmlError
from inferwatch_agents.host.nvml_constants import Failure

if TYPE_CHECKING:
    from inferwatch_agents.host.gpu_quantities import Question
    from inferwatch_agents.host.reports import Reports

# The driver, and with it every GPU, does not answer any more.
DRIVER_GONE: Final = frozenset(
    {
        Failure.NVML_ERROR_UNINITIALIZED,
        Failure.NVML_ERROR_DRIVER_NOT_LOADED,
        Failure.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)
GONE: Final = DRIVER_GONE | {Failure.NVML_ERROR_GPU_IS_LOST}
# This driver, or this pynvml, does not have the call or its version.
LACKING: Final = frozenset(
    {
        Failure.NVML_ERROR_FUNCTION_NOT_FOUND,
        Failure.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        Failure.NVML_ERROR_DEPRECATED,
    }
)
# A property of the device or its driver, and nothing to be repaired.
USUAL: Final = LACKING | {Failure.NVML_ERROR_NOT_SUPPORTED}
IMPOSSIBLE: Final = "the driver answers with a value that is blank or cannot be"


class Probe:
    """One GPU or MIG instance; for any number of threads.

    Attributes:
        handle: NVML's.
        device: Its UUID, for reports.
    """

    def __init__(self, nvml: Nvml, handle: str, device: str, reports: Reports) -> None:
        self.handle = handle
        self.device = device
        self.nvml = nvml
        self.reports = reports

    def ask(self, question: Question) -> Any:
        """The answer as it is, or None.

        Raises:
            NvmlError: The GPU or the driver is gone; its code is one of ``GONE``.
        """
        answer = self._first(question)
        if answer is not None:
            self.reports.well(self.device, question.what)
        return answer

    def numbers(self, question: Question) -> dict[str, Any]:
        """The quantities of a question by name, each None where it was not told.

        Raises:
            NvmlError: The GPU or the driver is gone.
        """
        answer = self._first(question)
        if answer is None:
            return {quantity.name: None for quantity in question.quantities}
        return self.checked(question, answer)

    def checked(self, question: Question, answer: Any) -> dict[str, Any]:
        """The quantities in an answer by name, each None where it cannot be."""
        found = {quantity.name: quantity.of(answer) for quantity in question.quantities}
        used, total = found.get("memory_used"), found.get("memory_total")
        if used is not None and (not total or used > total):
            found["memory_used"] = None
        if None in found.values():
            self.reports.failed(self.device, question.what, IMPOSSIBLE)
        else:
            self.reports.well(self.device, question.what)
        return found

    def failed(self, what: str, error: NvmlError) -> None:
        """Report an error that is of this question alone.

        Raises:
            NvmlError: The GPU or the driver is gone.
        """
        if error.code in GONE:
            raise error
        self.reports.failed(self.device, what, str(error), usual=error.code in USUAL)

    def _first(self, question: Question) -> Any:
        for function, *arguments in question.ways:
            try:
                return self.nvml(function, self.handle, *arguments)
            except NvmlError as error:
                failure = error
                if error.code not in LACKING:
                    break
        self.failed(question.what, failure)
        return None
