"""How pages are looked at, and what somebody hostile would write on them."""

from typing import Any

from .chromium import PHONE

__all__ = ["EVIL", "LOOKS"]

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"
LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light"},
    {"color_scheme": "dark", "viewport": PHONE},
]
