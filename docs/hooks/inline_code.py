"""Where code in a line may break: a short one nowhere, and a name in a table between its words."""

from __future__ import annotations

import re
from typing import Any

_PARTS = re.compile(r"<pre.*?</pre>|<td.*?</td>", re.DOTALL)
_CODE = re.compile(r"<code>([^<]+)</code>")
#: Longer code may break between any two of its words.
_SHORT = 24
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9][_./])(?=\w)|(?<=[a-z])(?=[A-Z][a-z])")


def on_page_content(html: str, **kwargs: Any) -> str:
    """Mark the code of a page."""
    written, end = [], 0
    for part in _PARTS.finditer(html):
        written.append(_CODE.sub(_marked, html[end : part.start()]))
        in_table = part[0].startswith("<td")
        written.append(_CODE.sub(_breakable, part[0]) if in_table else part[0])
        end = part.end()
    return "".join([*written, _CODE.sub(_marked, html[end:])])


def _marked(code: re.Match[str]) -> str:
    return f'<code class="short">{code[1]}</code>' if len(code[1]) <= _SHORT else code[0]


def _breakable(code: re.Match[str]) -> str:
    return f"<code>{_BETWEEN_WORDS.sub('<wbr>', code[1])}</code>"
