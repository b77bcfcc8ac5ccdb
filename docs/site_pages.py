"""Hooks of mkdocs: README, CONTRIBUTING, CHANGELOG and the model card are pages of the site, and every link fits it.

In the checkout a page links to files as they lie there, so that it can be read where the code is; here each link is turned
into one of the site. What is no page (a table of the code, say) keeps its words without a link.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "development/contributing.md",
    "CHANGELOG.md": "development/changes.md",
    "models/README.md": "development/model_card.md",
}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def on_files(files, config):
    """Add the pages that stand outside docs/."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links between files of the checkout into links of the site."""
    here = page.file.src_uri
    source = next((of for of, name in OUTSIDE.items() if name == here), f"docs/{here}")

    def moved(found: re.Match) -> str:
        image, words, target, anchor = found[1], found[2], found[3], found[4] or ""
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in OUTSIDE:
            path = OUTSIDE[path]
        elif path.startswith("docs/"):
            path = path.removeprefix("docs/")
        else:
            return words
        return f"{image}[{words}]({posixpath.relpath(path, posixpath.dirname(here) or '.')}{anchor})"

    return LINK.sub(moved, markdown)
