"""Addresses that services take as links: those of the web, and no paths or other schemes."""

from __future__ import annotations

from typing import Final

MAX_LENGTH: Final = 2_000


def web_address(address: str | None) -> str | None:
    """The address where it is one of the web and not too long, else None."""
    if address is None or not address.startswith(("http://", "https://")):
        return None
    return address if len(address) <= MAX_LENGTH and address.isprintable() else None
