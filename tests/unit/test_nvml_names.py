"""Every function and number of NVML that the agent uses is one that pynvml has."""

import ast
import re
from enum import EnumMeta
from pathlib import Path

import pynvml
import pytest

import inferwatch_agents.host
from inferwatch_agents.host import nvml_constants
from inferwatch_agents.host.nvml_constants import Choice, Event, Failure, Field, Reason

PACKAGE = Path(inferwatch_agents.host.__path__[0])


def functions() -> set[str]:
    """Names of NVML's functions that stand as texts in the agent's modules."""
    return {
        node.value
        for file in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"nvml(Init|Shutdown|System|Device|Event)\w*", node.value)
    }


def test_functions_exist() -> None:
    """What is called by name can be called."""
    names = functions()
    assert {"nvmlInit", "nvmlDeviceGetUUID", "nvmlEventSetWait_v2"} <= names
    assert {name for name in names if not callable(getattr(pynvml, name, None))} == set()


@pytest.mark.parametrize("numbers", [Failure, Field, Choice])
def test_numbers_are_those_of_the_same_name(numbers: EnumMeta) -> None:
    """An error, a field or an argument has NVML's number."""
    ours = {name: int(member) for name, member in numbers.__members__.items()}
    assert ours == {name: getattr(pynvml, name) for name in ours}


@pytest.mark.parametrize(
    ("numbers", "prefix"), [(Event, "nvmlEventType"), (Reason, "nvmlClocksEventReason")]
)
def test_bits_are_those_of_the_same_name(numbers: EnumMeta, prefix: str) -> None:
    """A kind of event or a reason, in capitals here, has NVML's bit."""
    for name, member in numbers.__members__.items():
        theirs = prefix + "".join(word.capitalize() for word in name.split("_"))
        assert int(member) == getattr(pynvml, theirs)


def test_types_of_field_values_are_in_pynvmls_order() -> None:
    """The member of the union is chosen by the number of its type."""
    kinds = ("DOUBLE", "UNSIGNED_INT", "UNSIGNED_LONG", "UNSIGNED_LONG_LONG",
             "SIGNED_LONG_LONG", "SIGNED_INT", "UNSIGNED_SHORT")  # fmt: skip
    numbers = [getattr(pynvml, f"NVML_VALUE_TYPE_{kind}") for kind in kinds]
    assert numbers == list(range(len(nvml_constants.VALUE_MEMBERS)))
    union = {name for name, _ in pynvml.c_nvmlValue_t._fields_}
    assert set(nvml_constants.VALUE_MEMBERS) <= union


def test_blanks_and_versions() -> None:
    """What stands for no value, and the version of the structure for memory."""
    blanks = {pynvml.NVML_VALUE_NOT_AVAILABLE_uint.value}
    blanks |= {pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value}
    assert blanks == nvml_constants.BLANKS
    assert pynvml.nvmlMemory_v2 == nvml_constants.MEMORY_V2
