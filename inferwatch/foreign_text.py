"""Text from elsewhere, as a terminal may be shown it.

Names, summaries and comments come from events of services and from people. A terminal would obey
the escape sequences in them: set its title, hide what follows, or write what nobody typed.
"""

import re
from typing import Final

# C0 but tabulators and line ends, C1, what turns the direction of writing (Unicode Standard Annex
# 9, section 2), and halves of surrogates, which are no text.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(text: str) -> str:
    """The text with what a terminal would obey spelt out: a backslash, x1b for an escape."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
