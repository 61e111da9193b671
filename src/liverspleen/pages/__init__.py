"""What HTML pages of several verbs share: their templates' rules, scripts, and the viewer of slices."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from liverspleen.errors import one_line

if TYPE_CHECKING:
    from jinja2 import Environment


def templates(package: str) -> Environment:
    """Return the environment of the templates in the folder `templates` of a package, such as `liverspleen.audit`.

    Texts are escaped. Names from the data are one line each, without marks that change the text direction.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") else one_line(value),  # a macro is markup
        trim_blocks=True,
        lstrip_blocks=True,
    )


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
