"""Reads what the documents say, so that tests can hold them to it."""

from __future__ import annotations

import re
from pathlib import Path

from stack.layout import REPO

DOCUMENTS = sorted(
    file
    for file in [
        *REPO.glob("*.md"),
        *(REPO / "docs").rglob("*.md"),
        REPO / "loadtest" / "README.md",
    ]
)


def section(file: Path, heading: str) -> str:
    """The text under a heading, up to the next one of the same depth or above."""
    text = file.read_text()
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"{file.name} has no heading {heading}"
    end = re.search(rf"^#{{1,{len(start[1])}}} ", text[start.end() :], re.MULTILINE)
    return text[start.end() :][: end.start() if end else None]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    tables = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for number, line in enumerate(lines)
        if not re.fullmatch(r"[|\- :]+", line)
        and not (number + 1 < len(lines) and re.fullmatch(r"[|\- :]+", lines[number + 1]))
    ]
    return tables


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def shell_lines(file: Path) -> list[str]:
    """The commands of the `sh` blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", file.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]
