"""The many as shades of grey: counted in cells by the database, so that memory does not grow with the catalogue."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm

__all__ = ["count_cells", "draw_cells"]

# From light to middle grey: points, lines and words drawn over it stay readable.
CROWD = LinearSegmentedColormap.from_list("crowd", ["#e8ebed", "#848d95"])


def count_cells(
    connection, source_sql: str, cell: tuple[float, float], frame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count points in cells.

    Parameters
    ----------
    connection : DuckDB connection
    source_sql : str
        Query with columns x and y.
    cell : (float, float)
        Width and height of a cell, in the units of x and y. Cells begin at zero.
    frame : ((float, float), (float, float))
        Limits of x and of y; points outside are not counted.

    Returns
    -------
    edges_x : (n_x + 1,) float array
    edges_y : (n_y + 1,) float array
    counts : (n_y, n_x) float array
        NaN where there is none.
    """
    (left, right), (bottom, top) = frame
    found = connection.execute(
        f"""
        select floor(x / $dx)::int as i, floor(y / $dy)::int as j, count(*) as n
        from ({source_sql})
        where x between $left and $right and y between $bottom and $top
        group by all""",
        {"dx": cell[0], "dy": cell[1], "left": left, "right": right, "bottom": bottom, "top": top},
    ).fetchnumpy()
    if len(found["n"]) == 0:
        return np.array(frame[0]), np.array(frame[1]), np.full((1, 1), np.nan)
    i, j = (np.asarray(found[name]) for name in "ij")
    counts = np.full((j.max() - j.min() + 1, i.max() - i.min() + 1), np.nan)
    counts[j - j.min(), i - i.min()] = found["n"]
    edges = [
        width * (first + np.arange(n + 1))
        for width, first, n in zip(cell, (i.min(), j.min()), counts.T.shape, strict=True)
    ]
    return edges[0], edges[1], counts


def draw_cells(axes, edges_x, edges_y, counts):
    """Draw counts as shades of grey on a logarithmic scale, below everything else; returns the mesh."""
    most = max(float(np.nan_to_num(counts).max()), 10.0)
    return axes.pcolormesh(
        edges_x, edges_y, counts, cmap=CROWD, norm=LogNorm(vmin=1, vmax=most), rasterized=True, zorder=0
    )
