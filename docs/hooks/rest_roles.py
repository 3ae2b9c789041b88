"""Docstrings are reST and the site is Markdown: show their roles as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|mod|attr|data|exc|obj):`~?(?:[\w.]+\.)?(\w+)`")


class RestRoles(griffe.Extension):
    """Turns ``:class:`~a.b.C``` into ``C``, and a ``::`` before a block into a fence of its own."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            plain = _ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = re.sub(r"^::$", "", plain, flags=re.M).replace("::\n\n", ":\n\n")
