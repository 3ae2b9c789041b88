"""The tables of arguments, made from signatures and docstrings when the site is built.

``<!-- arguments: package.module.Class -->`` in a page becomes the table of that class, and ``<!-- fields -->`` the
table of a customer's fields.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import griffe

_MARK = re.compile(r"<!-- arguments: (\S+) -->")
_TEMPLATED = "(templated) "
#: Where the operators' shared arguments are described.
_SHARED = (
    "airflow_provider_dub.sync.options.SyncOptions",
    "airflow_provider_dub.operators.base.DubSyncOperator",
)


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Put the tables into a page."""
    if "<!-- fields -->" in markdown:
        markdown = markdown.replace("<!-- fields -->", fields_table())
    return _MARK.sub(lambda mark: table(mark[1]), markdown)


def fields_table() -> str:
    """Return the fields of a customer in Markdown."""
    sys.path.insert(0, str(Path.cwd()))
    from airflow_provider_dub.customers.fields import FIELDS

    lines = ["| field | column | accepts | can be cleared |", "| --- | --- | --- | --- |"]
    for field in FIELDS.values():
        cells = [f"`{field.name}`", f"`{field.column}`", field.description, "yes" if field.nullable else "no"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table(path: str) -> str:
    """Return the table of a class in Markdown.

    :param path: The class.
    """
    class_ = _package()[path.partition(".")[2]]
    described = descriptions(class_)
    for shared in _SHARED:
        for name, text in descriptions(_package()[shared.partition(".")[2]]).items():
            described.setdefault(name, text)
    lines = ["| argument | meaning |", "| --- | --- |"]
    for parameter in class_.members["__init__"].parameters:
        if parameter.name in ("self", "kwargs", "options"):
            continue
        text = described.get(parameter.name)
        if text is None:
            raise ValueError(f"{path} has no :param {parameter.name}: in its docstring")
        default = "required" if parameter.default is None else f"default `{parameter.default}`"
        templated = ", templated" if parameter.name in templated_arguments(class_) else ""
        what = f"`{parameter.annotation}`, {default}{templated}"
        lines.append(f"| `{parameter.name}` | {text.removeprefix(_TEMPLATED)}<br>{what} |")
    return "\n".join(lines)


def templated_arguments(class_: griffe.Object) -> set[str]:
    """Return the names of the arguments that Airflow renders.

    :param class_: An operator.
    """
    base = _package()[_SHARED[-1].partition(".")[2]]
    said = " ".join(str(one.members["template_fields"].value) for one in (class_, base))
    names = set(re.findall(r"['\"](\w+)['\"]", said))
    return names | ({"dry_run"} if "only_validate" in names else set())


def descriptions(class_: griffe.Object) -> dict[str, str]:
    """Return what a class's docstring says about its parameters.

    :param class_: The class.
    """
    if not class_.docstring:
        return {}
    found: dict[str, str] = {}
    for section in class_.docstring.parse("sphinx", warnings=False):
        if section.kind is griffe.DocstringSectionKind.parameters:
            found.update({item.name: _markdown(item.description) for item in section.value})
    return found


def _markdown(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


@cache
def _package() -> griffe.Object:
    # As the rest of the reference has it: types and defaults as values, and roles as code.
    extensions = griffe.load_extensions("docs/hooks/rest_roles.py")
    loaded = griffe.load("airflow_provider_dub", search_paths=["."], extensions=extensions)
    assert isinstance(loaded, griffe.Object)
    return loaded
