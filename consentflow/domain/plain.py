"""What nearly every address and domain looks like: plain ASCII, seen at a glance.

Reading the others takes tables of Unicode, and many times as long. For a plain one they would say the same.
"""

import re
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES

_LONGEST_HOST: Final = 253
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}+(?<!-))?"
# Two hyphens in a row can announce an A-label, and a last label that ends with a digit an IP address.
_HOST: Final = re.compile(rf"(?!.*--)(?:{_LABEL}\.)+{_LABEL}(?<![0-9])", re.ASCII)
_LOCAL: Final = re.compile(r"[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]++(?:\.[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]++)*+", re.ASCII)
_SPECIAL_USE: Final = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)


def is_plain_host(text: str) -> bool:
    """Whether it is a name of two labels or more, in letters, digits and single hyphens, which is its own A-labels."""
    return len(text) <= _LONGEST_HOST and _HOST.fullmatch(text) is not None


def is_plain_address(text: str) -> bool:
    """Whether it is an address that can be written to, with a plain local part at a plain host.

    Its length is the caller's to look at.
    """
    local, _, host = text.rpartition("@")
    return _LOCAL.fullmatch(local) is not None and is_plain_host(host) and not f".{host.lower()}".endswith(_SPECIAL_USE)
