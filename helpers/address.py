"""Stamp the public address of the series, which stands in pyproject.toml, into the badges and the setup cells.

    python -m helpers.address https://github.com/OWNER/NAME     set it, and stamp it
    python -m helpers.address                                   stamp the address that pyproject.toml holds
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from helpers.pages import NOTEBOOKS, ROOT, write

ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+?(?=[\"'/)\s]|\.git|$)")
PLACE = re.compile(r'^Repository = "(.*)"$', re.MULTILINE)
# where the address stands elsewhere: the setup cell's constant, Colab's badges, and the README's git clone
STAMPED = re.compile(
    r"(?P<before>REPOSITORY = [\\\"]+https://github\.com/|colab\.research\.google\.com/github/|git clone https://github\.com/)"
    r"(?P<name>[\w.-]+/[\w.-]+)"
)


def address(root: Path = ROOT) -> str:
    """The address in pyproject.toml's [project.urls]. Raises ValueError if it is not one of a GitHub repository."""
    found = PLACE.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if not found or not ADDRESS.fullmatch(found[1]):
        raise ValueError(f'expected Repository = "https://github.com/OWNER/NAME" in pyproject.toml, got {found and found[1]!r}')
    return found[1]


def stamp(root: Path = ROOT) -> list[Path]:
    """Write the address of pyproject.toml wherever it stands; return the files that changed."""
    name = address(root).removeprefix("https://github.com/")
    changed = []
    for path in [root / "README.md", *(root / "notebooks" / notebook.name for notebook in NOTEBOOKS)]:
        before = path.read_text(encoding="utf-8")
        after = STAMPED.sub(lambda match: match["before"] + name, before)
        if after != before:
            write(after, path)
            changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    """Run the command line; 0 if the address was good."""
    if arguments:
        new = arguments[0].removesuffix("/").removesuffix(".git")
        if not ADDRESS.fullmatch(new):
            print(f"expected https://github.com/OWNER/NAME, got {arguments[0]}", file=sys.stderr)
            return 2
        place = ROOT / "pyproject.toml"
        write(PLACE.sub(f'Repository = "{new}"', place.read_text(encoding="utf-8")), place)
    for path in stamp():
        print("stamped", path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
