"""The one seam to NVIDIA's management library: calls by name, with plain arguments and answers.

Everything above asks ``Nvml``: the driver, through pynvml; a recorder in front of it; a recording
in a test.
"""

from __future__ import annotations

import ctypes
import importlib
import itertools
from typing import Any, Final, Protocol

from inferwatch_agents.errors import AgentsError
from inferwatch_agents.host.nvml_constants import VALUE_MEMBERS, Failure

# Calls that answer with a handle, and what it is called.
HANDLES: Final = {
    "nvmlDeviceGetHandleByIndex": "gpu",
    "nvmlDeviceGetMigDeviceHandleByIndex": "mig",
    "nvmlEventSetCreate": "events",
}


class NvmlError(AgentsError):
    """A call of NVML failed.

    Attributes:
        code: NVML's, as in ``nvml_constants.Failure``.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Nvml(Protocol):
    """Calls a function of NVML."""

    def __call__(self, function: str, *arguments: Any) -> Any:
        """Its answer: a number, a text, a list, or a dictionary of a structure's fields.

        A handle of a GPU, a MIG instance or a set of events is a text, ``gpu:0``, here and in
        answers; it is good until ``nvmlShutdown``.

        Raises:
            NvmlError: It failed, or this driver or pynvml does not have it.
        """
        ...


class PynvmlLibrary:
    """The driver's NVML, through pynvml. NVML itself may be called from several threads."""

    def __init__(self) -> None:
        self._pynvml: Any = None
        self._pointers: dict[str, Any] = {}
        self._names: dict[int | None, str] = {}
        self._event_sets = itertools.count()

    def __call__(self, function: str, *arguments: Any) -> Any:
        """See ``Nvml``."""
        pynvml = self._pynvml or self._load()
        call = getattr(pynvml, function, None)
        if call is None:
            raise NvmlError(
                Failure.NVML_ERROR_FUNCTION_NOT_FOUND, f"This pynvml has no {function}."
            )
        given = [self._pointer(argument) for argument in arguments]
        try:
            answer = call(*given)
        except pynvml.NVMLError as error:
            raise NvmlError(error.value, str(error)) from error
        if function == "nvmlShutdown":
            self._pointers.clear()
            self._names.clear()
        elif function in HANDLES:
            return self._named(HANDLES[function], arguments, answer)
        elif function == "nvmlEventSetFree":
            self._names.pop(_address(self._pointers.pop(arguments[0])), None)
        return self._plain(answer)

    def _load(self) -> Any:
        try:
            self._pynvml = importlib.import_module("pynvml")
        except ImportError as error:
            raise NvmlError(
                Failure.NVML_ERROR_LIBRARY_NOT_FOUND,
                "pynvml is not installed: pip install 'inferwatch[gpu]'.",
            ) from error
        return self._pynvml

    def _pointer(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        if argument not in self._pointers:
            # C would take the text itself for the pointer.
            raise NvmlError(Failure.NVML_ERROR_UNINITIALIZED, f"{argument} is not open any more.")
        return self._pointers[argument]

    def _named(self, kind: str, arguments: tuple[Any, ...], pointer: Any) -> str:
        parent = [argument for argument in arguments if isinstance(argument, str)]
        number = arguments[-1] if arguments else next(self._event_sets)
        name = "/".join([*parent, f"{kind}:{number}"])
        self._pointers[name] = pointer
        self._names[_address(pointer)] = name
        return name

    def _plain(self, answer: Any) -> Any:
        if isinstance(answer, bytes):
            return answer.decode(errors="replace")
        if isinstance(answer, list | tuple | ctypes.Array):
            return [self._plain(item) for item in answer]
        if isinstance(answer, ctypes._Pointer):  # noqa: SLF001  # ctypes names its pointers' class so
            return self._names.get(_address(answer))
        if isinstance(answer, ctypes.Structure):
            fields = {name: getattr(answer, name) for name, *_ in answer._fields_}
        elif hasattr(answer, "__dict__"):
            # pynvml's own stand-in for a structure.
            fields = vars(answer)
        else:
            return answer
        if isinstance(union := fields.get("value"), ctypes.Union):
            kind = fields["valueType"]
            known = kind in range(len(VALUE_MEMBERS))
            fields["value"] = getattr(union, VALUE_MEMBERS[kind]) if known else None
        return {name: self._plain(value) for name, value in fields.items()}


def _address(pointer: Any) -> int | None:
    return ctypes.cast(pointer, ctypes.c_void_p).value
