"""NVML's numbers that the agent uses, under NVML's names (nvml.h), or those in capitals."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final


class Failure(IntEnum):
    """What a call of NVML may fail with, as far as the agent treats it apart."""

    NVML_ERROR_UNINITIALIZED = 1
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_NOT_FOUND = 6
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_TIMEOUT = 10
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25
    NVML_ERROR_DEPRECATED = 26


class Event(IntFlag):
    """Kinds of event that a driver may tell of: nvmlEventType..."""

    SINGLE_BIT_ECC_ERROR = 0x1
    DOUBLE_BIT_ECC_ERROR = 0x2
    XID_CRITICAL_ERROR = 0x8
    CLOCK = 0x10


class Reason(IntFlag):
    """Why clocks are lower than they could be: nvmlClocksEventReason..."""

    GPU_IDLE = 0x1
    APPLICATIONS_CLOCKS_SETTING = 0x2
    SW_POWER_CAP = 0x4
    HW_SLOWDOWN = 0x8
    SYNC_BOOST = 0x10
    SW_THERMAL_SLOWDOWN = 0x20
    HW_THERMAL_SLOWDOWN = 0x40
    HW_POWER_BRAKE_SLOWDOWN = 0x80
    DISPLAY_CLOCK_SETTING = 0x100

    @property
    def throttling(self) -> Reason:
        """All but idling; bits that have no name here stay."""
        # In whole numbers: the complement of a flag has only the bits with names.
        return Reason(int(self) & ~int(Reason.GPU_IDLE))


class Field(IntEnum):
    """Values that are asked for by number."""

    NVML_FI_DEV_MEMORY_TEMP = 82
    NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX = 138
    NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX = 139


class Choice(IntEnum):
    """Arguments that choose what a call tells."""

    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_PCIE_UTIL_TX_BYTES = 0
    NVML_PCIE_UTIL_RX_BYTES = 1
    NVML_MEMORY_ERROR_TYPE_CORRECTED = 0
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
    NVML_VOLATILE_ECC = 0
    NVML_AGGREGATE_ECC = 1
    NVML_DEVICE_MIG_ENABLE = 1


# nvmlMemory_v2: the size of the structure and its version, as NVML wants it to be told.
MEMORY_V2: Final = 0x2000028
# What stands for a value that there is none of: all bits of an unsigned int, or of a long one.
BLANKS: Final = frozenset({2**32 - 1, 2**64 - 1})
# A field of all NVLinks together.
ALL_LINKS: Final = 2**32 - 1
# Member of the union in which a field value of each type stands, by NVML_VALUE_TYPE_*.
VALUE_MEMBERS: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
