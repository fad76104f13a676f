"""What happens to a GPU, as ``device_event`` records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.host.nvml_constants import Reason

if TYPE_CHECKING:
    from inferwatch_agents.host.gpu_sample import Identity

Record = dict[str, Any]

XID, THROTTLE, ECC, LOST, OTHER = "xid", "throttle", "ecc", "fell_off_the_bus", "other"
INFO, WARNING, ERROR, CRITICAL = "info", "warning", "error", "critical"
# What NVIDIA's "XID Errors" says of those that are met most, in our words. The first four are
# mostly of the program; of the others the GPU, its memory or its links are the cause.
XIDS: Final = {
    13: (ERROR, "graphics engine exception"),
    31: (ERROR, "GPU memory page fault"),
    43: (ERROR, "GPU stopped processing for a program"),
    45: (ERROR, "a program's channel was ended, often after an earlier error"),
    48: (CRITICAL, "uncorrectable ECC error"),
    63: (WARNING, "a row or page of memory was put out of use"),
    64: (CRITICAL, "a row or page of memory could not be put out of use"),
    74: (CRITICAL, "NVLink error"),
    79: (CRITICAL, "GPU fell off the bus"),
    92: (WARNING, "many corrected ECC errors"),
    94: (ERROR, "contained ECC error"),
    95: (CRITICAL, "uncontained ECC error"),
    119: (CRITICAL, "the GPU's system processor does not answer"),
    120: (CRITICAL, "the GPU's system processor failed"),
}
NONE: Final = "none"
# The hardware protects itself; other reasons are limits that someone has set.
PROTECTIVE: Final = (
    Reason.HW_SLOWDOWN
    | Reason.SW_THERMAL_SLOWDOWN
    | Reason.HW_THERMAL_SLOWDOWN
    | Reason.HW_POWER_BRAKE_SLOWDOWN
)
NO_INSTANCE: Final = 2**32 - 1


def xid(gpu: Identity, code: int, instance: int = NO_INSTANCE) -> Record:
    """The driver told of an XID error.

    Args:
        gpu: Where.
        code: Which.
        instance: GPU instance id of the MIG instance.
    """
    severity, about = XIDS.get(code, (ERROR, ""))
    place = "" if instance == NO_INSTANCE else f" in GPU instance {instance}"
    text = f"XID {code}{place}" + (f": {about}" if about else "")
    return _event(gpu, XID, severity, text, code=code)


def throttle(gpu: Identity, before: Reason, after: Reason) -> Record | None:
    """Reasons for lower clocks changed; None where only idling did."""
    before, after = before.throttling, after.throttling
    if before == after:
        return None
    begun = Reason(int(after) & ~int(before))
    severity = WARNING if begun & PROTECTIVE else INFO
    return _event(
        gpu,
        THROTTLE,
        severity,
        f"Throttle reasons changed from {names(before)} to {names(after)}",
        code=int(after),
        state_before=names(before),
        state_after=names(after),
    )


def names(reasons: Reason) -> str:
    """Reasons in words, with a number for bits that have no name."""
    known = [reason.name.lower() for reason in Reason if reason in reasons and reason.name]
    rest = int(reasons) & ~sum(Reason)
    return ", ".join([*known, *([hex(rest)] if rest else [])]) or NONE


def ecc(gpu: Identity, kind: str, before: int, after: int) -> Record:
    """A counter of ECC errors, ``corrected`` or ``uncorrected``, has grown."""
    return _event(
        gpu,
        ECC,
        WARNING if kind == "corrected" else CRITICAL,
        f"{after - before} {kind} ECC errors",
        state_before=str(before),
        state_after=str(after),
    )


def ecc_told(gpu: Identity, kind: str) -> Record:
    """The driver told of an ECC error, and has no counter to say how many."""
    severity = WARNING if kind == "corrected" else CRITICAL
    return _event(gpu, ECC, severity, f"The driver tells of a {kind} ECC error")


def lost(gpu: Identity, reason: str, *, off_the_bus: bool) -> Record:
    """The GPU does not answer any more."""
    return _event(gpu, LOST if off_the_bus else OTHER, CRITICAL, reason)


def found(gpu: Identity) -> Record:
    """A GPU that was lost answers again."""
    return _event(gpu, OTHER, INFO, "The GPU answers again")


def _event(gpu: Identity, kind: str, severity: str, text: str, **more: Any) -> Record:
    return {
        "device": gpu.uuid,
        "gpu_index": gpu.index,
        "pci_bus_id": gpu.pci_bus_id,
        "kind": kind,
        "severity": severity,
        "text": text,
        **more,
    }
