"""The address of a study's database."""

from __future__ import annotations

import re


def without_password(url: str | None) -> str | None:
    """A database URL, its password hidden wherever it stands: before the host, or among the options."""
    if url is None:
        return None
    kind, slashes, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    place = place if at else re.sub(r"^([^:/]*):(?!\d*(/|$))[^/]*", r"\1:***", place)  # the host was forgotten
    shown = f"{kind}{slashes}{user}{':***' if colon else ''}{at}{place}"
    return re.sub(r"(?i)(pass\w*|pwd)=[^&]*", r"\1=***", shown)
