"""Pins in the one form in which uv can be told of each the index that it comes from.

In a requirements file every index is asked for every name, and the first that knows a name has to
have the version too.
"""

import json
from collections.abc import Sequence

from packaging.requirements import Requirement

from boxship.build.asked import requirement_lines
from boxship.build.asked.requirement_lines import Line


def make(lines: Sequence[Line]) -> str:
    """A ``pyproject.toml`` that depends on what ``lines`` pin; options among them are left out."""
    urls = dict.fromkeys(line.index for line in lines if line.index)
    names = {url: f"index-{number}" for number, url in enumerate(urls)}
    asked: list[str] = []
    sources: dict[str, list[str]] = {}
    for line in lines:
        if line.text.startswith("-"):
            continue
        text, _ = requirement_lines.hashes(line.text)
        asked.append(text)
        if line.index:
            one = Requirement(text)
            marker = f", marker = {_quoted(str(one.marker))}" if one.marker else ""
            source = f"{{ index = {_quoted(names[line.index])}{marker} }}"
            sources.setdefault(one.name, []).append(source)
    written = [
        "[project]", 'name = "asked-for"', 'version = "0"', "dependencies = [",
        *(f"    {_quoted(one)}," for one in asked), "]",
    ]  # fmt: skip
    for url, name in names.items():
        written += ["[[tool.uv.index]]", f"name = {_quoted(name)}", f"url = {_quoted(url)}"]
        written += ["explicit = true"]
    written += ["[tool.uv.sources]"]
    written += [f"{_quoted(name)} = [{', '.join(one)}]" for name, one in sources.items()]
    return "\n".join([*written, ""])


def _quoted(text: str) -> str:
    """A string of TOML: all escapes of JSON's are its own too."""
    return json.dumps(text, ensure_ascii=False)
