"""How many of the type strings of real catalogues are read.

    python -m benchmarks.spectral_types [FOLDER]

FOLDER is the folder of real data: BECAT_REAL_DATA, by default `../shared/real` from the project's root.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

from becat.etl.archives.spectral_types import parse

DEFAULT = Path(os.environ.get("BECAT_REAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "real"))
CATALOGUES = {
    "Jaschek & Egret 1982": ("catalogues/jaschek_egret_1982.csv", "sptype"),
    "Herbig & Bell 1988": ("catalogues/herbig_bell_1988.csv", "sptype"),
    "MILES": ("miles/stars.csv", "spectral_type"),
}


def table(folder: str | Path) -> str:
    """Types given, read, with a luminosity class, and what is not read, by catalogue; in Markdown."""
    lines = [
        "| catalogue | types | read | with subtype | with class | not read |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, (file, column) in CATALOGUES.items():
        with (Path(folder) / file).open(encoding="utf-8") as stream:
            texts = [row[column].strip() for row in csv.DictReader(stream) if row[column].strip()]
        found = [parse(text) for text in texts]
        read = [types for types in found if types is not None]
        n_subtype = sum(types.subtype_min is not None for types in read)
        n_class = sum(types.luminosity_min is not None for types in read)
        unread = sorted({f"`{text}`" for text, types in zip(texts, found, strict=True) if types is None})
        share = f"{len(read)} ({len(read) / len(texts):.1%})"
        lines.append(f"| {name} | {len(texts)} | {share} | {n_subtype} | {n_class} | {', '.join(unread)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if not folder.is_dir():
        sys.exit(f"no folder {folder}: give it, or set BECAT_REAL_DATA")
    print(table(folder))


if __name__ == "__main__":
    main()
