"""Makes a catalogue, a snapshot, its pages and the report's figure of the selection: run in a process of its own.

    python -m tests.tools.new_step FOLDER

The package that is imported may hold a step that the checkout does not (tests/test_selection.py). Prints what the pages and the
figure say of the steps.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from becat.publish import site
from becat.publish.report.figures.funnel import FUNNEL
from becat.publish.snapshot import write as snapshot
from tests.tools.view_rows import add_astrometry, add_star, catalogue


async def pages(path: Path) -> list[str]:
    """HTML of the front page and of the page of sliders."""
    datasette = site.create(path)
    await datasette.invoke_startup()
    return [(await datasette.client.get(address)).text for address in ("/", "/thresholds")]


def main(folder: Path) -> None:
    """Two stars, one of which the new step refuses."""
    with catalogue(folder / "c.duckdb") as connection:
        for star_id, ruwe in ((1, 1.0), (2, 3.0)):
            add_star(connection, star_id)
            add_astrometry(connection, star_id, 8.0, ruwe=ruwe)
        connection.execute("checkpoint")
        figure = Figure()
        FUNNEL.draw(connection, figure)
    made = snapshot.write(folder / "c.duckdb", folder / "c.sqlite", progress=False).path
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    print(json.dumps({"pages": asyncio.run(pages(Path(made))), "figure": labels}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
