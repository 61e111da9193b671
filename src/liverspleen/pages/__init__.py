"""Files that HTML pages of several verbs contain: scripts, and the viewer of slices."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources


def part(name: str) -> str:
    """Return the text of a file of this package, such as `sortable.js`.

    >>> "data-sortable" in part("sortable.js")
    True
    """
    return resources.files(__name__).joinpath(name).read_text("utf-8")


def script_source(script: str) -> str:
    """Return the source expression of a Content Security Policy that allows an inline script of exactly this text.

    >>> script_source("alert(1)")
    "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
