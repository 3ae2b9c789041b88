"""Docstrings are reST and the site is Markdown: show their roles as code, and arguments with the values they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|mod|attr|data|exc|obj):`~?(?:[\w.]+\.)?(\w+)`")
#: Headings that say more about what a role names than a page of its own would.
_SECTIONS = {"DubSyncOperator": "what-both-do", "faults": "what-can-be-changed"}


class RestRoles(griffe.Extension):
    """Turns ``:class:`~a.b.C``` into ``C``, and a ``::`` before a block into a fence of its own."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            plain = _ROLE.sub(_as_code, obj.docstring.value)
            obj.docstring.value = re.sub(r"^::$", "", plain, flags=re.M).replace("::\n\n", ":\n\n")

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Write out the values behind the names of literals and of the default connection."""
        objects = [*_all_members(pkg)]
        literals = {
            one.name: spelled_out(one.value)
            for one in objects
            if isinstance(one, griffe.Attribute) and str(one.value).startswith("Literal[")
        }
        names = re.compile(rf"\b(?:{'|'.join(literals)})\b")
        for one in objects:
            arguments = [*one.parameters] if isinstance(one, griffe.Function) else []
            for described in (one, *arguments):
                annotation = str(getattr(described, "annotation", None) or "")
                if names.search(annotation):
                    described.annotation = names.sub(lambda name: literals[name[0]], annotation)
            for argument in arguments:
                is_named = argument.kind is not griffe.ParameterKind.var_keyword
                argument.default = _as_elsewhere(argument.default) if is_named else "none"
            if isinstance(one, griffe.Attribute):  # the default of an option
                one.value = _as_elsewhere(one.value)


def spelled_out(literal: object) -> str:
    """Return the values of a literal.

    :param literal: Such as ``Literal['a', 'b']``.
    """
    values = str(literal).removeprefix("Literal[").removesuffix("]")
    return " | ".join(value.strip().replace("'", '"') for value in values.split(","))


def _as_code(role: re.Match[str]) -> str:
    code = f"`{role[1]}`"
    return f"[{code}][{_SECTIONS[role[1]]}]" if role[1] in _SECTIONS else code


def _as_elsewhere(default: Any) -> Any:
    text = str(default)
    if text.removeprefix("DubHook.") == "default_conn_name":
        return '"dub_default"'
    return f'"{text[1:-1]}"' if re.fullmatch(r"'\w*'", text) else default


def _all_members(of: griffe.Object) -> Iterator[griffe.Object]:
    for member in of.members.values():
        if isinstance(member, griffe.Object):
            yield member
            yield from _all_members(member)
