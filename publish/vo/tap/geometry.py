"""Shapes on the sky as SQLite functions, as ADQL knows them: points, circles, boxes and polygons, in degrees.

A shape is a blob: one letter and its numbers. No table of a snapshot holds blobs, so a column of blobs is one of shapes.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from collections.abc import Callable
from functools import lru_cache

from becat.schema.sphere import separation_deg

__all__ = ["Shape", "decode", "register"]

Vector = tuple[float, ...]
LETTERS = {"point": b"P", "circle": b"C", "box": b"B", "polygon": b"G"}
KINDS = {letter: kind for kind, letter in LETTERS.items()}
COUNTS = {"point": 2, "circle": 3, "box": 4}
TINY = 1e-15
PARALLEL_STEP_DEG = 1.0  # a side of a box along a parallel is drawn by great circles of this length
FULL_SKY_DEG2 = 4 * math.pi * math.degrees(1) ** 2


class Shape:
    """A shape and what is needed to ask it about a point.

    Parameters
    ----------
    kind : str
        "point" (lon, lat), "circle" (lon, lat, radius), "box" (lon, lat, width, height: ranges of longitude and
        latitude) or "polygon" (lon, lat of each vertex; sides are great circles; the inner side is the smaller one).
    numbers : tuple of float
        Degrees.

    Raises
    ------
    ValueError
        The numbers make no such shape.
    """

    def __init__(self, kind: str, numbers: tuple[float, ...]):
        self.kind, self.numbers = kind, numbers
        _check(kind, numbers)
        if kind == "polygon":
            self.vertices = [unit_vector(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
            total = tuple(sum(vertex[axis] for vertex in self.vertices) for axis in range(3))
            length = math.hypot(*total)
            self.centre = tuple(part / length for part in total) if length > TINY else (0.0, 0.0, 1.0)
            if any(_dot(vertex, self.centre) <= 0 for vertex in self.vertices):
                raise ValueError("a polygon must fit in half of the sky")

    def holds(self, lon: float, lat: float) -> bool:
        """Whether a point lies in the shape or on its edge."""
        if self.kind == "circle":
            return separation_deg(lon, lat, *self.numbers[:2]) <= self.numbers[2]
        if self.kind == "box":
            lon0, lat0, width, height = self.numbers
            return abs(lat - lat0) <= height / 2 and abs((lon - lon0 + 180) % 360 - 180) <= width / 2
        if self.kind == "polygon":
            return _winds(unit_vector(lon, lat), self.vertices, self.centre)
        return separation_deg(lon, lat, *self.numbers) == 0

    def blob(self) -> bytes:
        """As the database keeps it."""
        return LETTERS[self.kind] + struct.pack(f"<{len(self.numbers)}d", *self.numbers)

    def text(self) -> str:
        """As DALI writes it: the numbers alone; a box as its four corners."""
        numbers = self.numbers
        if self.kind == "box":
            lon, lat, width, height = numbers
            low, high = max(lat - height / 2, -90.0), min(lat + height / 2, 90.0)
            west, east = (lon - width / 2) % 360, (lon + width / 2) % 360
            numbers = (west, low, east, low, east, high, west, high)
        return " ".join(repr(number) for number in numbers)


def _check(kind: str, numbers: tuple[float, ...]) -> None:
    if kind in COUNTS and len(numbers) != COUNTS[kind]:
        raise ValueError(f"a {kind} is made of {COUNTS[kind]} numbers")
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"the numbers of a {kind} must be finite")
    latitudes = numbers[1::2] if kind == "polygon" else numbers[1:2]
    if any(abs(latitude) > 90 for latitude in latitudes):
        raise ValueError(f"a latitude of this {kind} is not between -90 and 90 degrees")
    if kind == "circle" and not 0 <= numbers[2] <= 180:
        raise ValueError("the radius of a circle must be between 0 and 180 degrees")
    if kind == "box" and not (0 <= numbers[2] <= 360 and 0 <= numbers[3] <= 180):
        raise ValueError("a box is at most 360 degrees wide and 180 high")
    if kind == "polygon" and (len(numbers) < 6 or len(numbers) % 2):
        raise ValueError("a polygon needs the longitude and latitude of three vertices or more")


@lru_cache(maxsize=256)
def decode(blob: bytes) -> Shape:
    """The shape in a blob; ValueError where it holds none."""
    kind = KINDS.get(blob[:1]) if isinstance(blob, bytes) else None
    if kind is None:
        raise ValueError("this is not a shape: make one with POINT, CIRCLE, BOX or POLYGON")
    try:
        return Shape(kind, struct.unpack(f"<{len(blob) // 8}d", blob[1:]))
    except struct.error as error:
        raise ValueError("this shape is damaged") from error


def unit_vector(lon: float, lat: float) -> Vector:
    """Direction of a point, given in degrees."""
    lon, lat = math.radians(lon), math.radians(lat)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _angle(a: Vector, b: Vector) -> float:
    """Between two directions, radians, exact for small ones too."""
    return math.atan2(math.hypot(*_cross(a, b)), _dot(a, b))


def _winds(point: Vector, vertices: list[Vector], centre: Vector) -> bool:
    """Whether the polygon's edge goes round a point: the turns of the directions to its vertices add up to 360 degrees."""
    if _dot(point, centre) <= 0:
        return False
    turn, before = 0.0, None
    for vertex in [*vertices, vertices[0]]:
        along = _dot(vertex, point)
        tangent = tuple(part - along * own for part, own in zip(vertex, point, strict=True))
        if math.hypot(*tangent) < TINY:
            return True
        if before is not None:
            turn += math.atan2(_dot(point, _cross(before, tangent)), _dot(before, tangent))
        before = tangent
    return abs(turn) > math.pi


def _sides(polygon: Shape) -> list[tuple[Vector, Vector]]:
    return list(zip(polygon.vertices, [*polygon.vertices[1:], polygon.vertices[0]], strict=True))


def _distance_to_edge(point: Vector, polygon: Shape) -> float:
    """To the nearest side, degrees."""
    nearest = math.inf
    for start, end in _sides(polygon):
        pole = _cross(start, end)
        length = math.hypot(*pole)
        nearest = min(nearest, _angle(point, start), _angle(point, end))
        if length > TINY and _dot(_cross(pole, start), point) >= 0 and _dot(_cross(end, pole), point) >= 0:
            nearest = min(nearest, abs(math.asin(max(-1.0, min(1.0, _dot(point, pole) / length)))))
    return math.degrees(nearest)


def _cut(a: tuple[Vector, Vector], b: tuple[Vector, Vector]) -> bool:
    """Whether two arcs shorter than half a circle cross each other."""
    pole_a, pole_b = _cross(*a), _cross(*b)
    sides_a = [_dot(pole_a, end) for end in b]
    sides_b = [_dot(pole_b, end) for end in a]
    if sides_a[0] * sides_a[1] >= 0 or sides_b[0] * sides_b[1] >= 0:
        return False
    middles = [tuple(x + y for x, y in zip(*arc, strict=True)) for arc in (a, b)]
    return _dot(*middles) > 0 or _dot(_cross(pole_a, pole_b), middles[0]) * _dot(_cross(pole_a, pole_b), middles[1]) > 0


def _as_polygon(shape: Shape) -> Shape:
    """A box as a polygon that follows its parallels."""
    if shape.kind != "box":
        return shape
    lon, lat, width, height = shape.numbers
    steps = max(1, math.ceil(width / PARALLEL_STEP_DEG))
    longitudes = [lon - width / 2 + width * step / steps for step in range(steps + 1)]
    low, high = max(lat - height / 2, -90.0), min(lat + height / 2, 90.0)
    pairs = [(x, low) for x in longitudes] + [(x, high) for x in reversed(longitudes)]
    return Shape("polygon", tuple(number for pair in pairs for number in pair))


def _vertices(shape: Shape) -> list[tuple[float, float]]:
    return list(zip(shape.numbers[::2], shape.numbers[1::2], strict=True))


def contains(inner: Shape, outer: Shape) -> bool:
    """Whether all of the first shape lies in the second."""
    if inner.kind == "point":
        return outer.holds(*inner.numbers)
    if outer.kind == "point":
        return False
    inner, outer = _as_polygon(inner), _as_polygon(outer)
    if inner.kind == "circle" and outer.kind == "circle":
        return separation_deg(*inner.numbers[:2], *outer.numbers[:2]) + inner.numbers[2] <= outer.numbers[2]
    if inner.kind == "circle":
        centre = inner.numbers[:2]
        return outer.holds(*centre) and _distance_to_edge(unit_vector(*centre), outer) >= inner.numbers[2]
    if not all(outer.holds(*vertex) for vertex in _vertices(inner)):
        return False
    return outer.kind == "circle" or not any(_cut(a, b) for a in _sides(inner) for b in _sides(outer))


def intersects(a: Shape, b: Shape) -> bool:
    """Whether two shapes have a point in common."""
    if a.kind == "point" or b.kind == "point":
        return contains(a, b) if a.kind == "point" else contains(b, a)
    a, b = _as_polygon(a), _as_polygon(b)
    if a.kind == "circle" and b.kind == "circle":
        return separation_deg(*a.numbers[:2], *b.numbers[:2]) <= a.numbers[2] + b.numbers[2]
    if a.kind == "circle" or b.kind == "circle":
        circle, polygon = (a, b) if a.kind == "circle" else (b, a)
        centre = circle.numbers[:2]
        return polygon.holds(*centre) or _distance_to_edge(unit_vector(*centre), polygon) <= circle.numbers[2]
    some = any(b.holds(*vertex) for vertex in _vertices(a)) or any(a.holds(*vertex) for vertex in _vertices(b))
    return some or any(_cut(side, other) for side in _sides(a) for other in _sides(b))


def area_deg2(shape: Shape) -> float:
    """Area in square degrees."""
    if shape.kind == "polygon":
        return abs(sum(_excess(shape.centre, *side) for side in _sides(shape))) * math.degrees(1) ** 2
    if shape.kind == "circle":
        return FULL_SKY_DEG2 * (1 - math.cos(math.radians(shape.numbers[2]))) / 2
    if shape.kind == "box":
        _, lat, width, height = shape.numbers
        low, high = max(lat - height / 2, -90.0), min(lat + height / 2, 90.0)
        return width * math.degrees(math.sin(math.radians(high)) - math.sin(math.radians(low)))
    return 0.0


def _excess(a: Vector, b: Vector, c: Vector) -> float:
    """Signed solid angle of a triangle (Van Oosterom and Strackee 1983)."""
    return 2 * math.atan2(_dot(a, _cross(b, c)), 1 + _dot(a, b) + _dot(b, c) + _dot(c, a))


def centroid(shape: Shape) -> Shape:
    """Centre of a circle or box; of a polygon the mean direction of its vertices."""
    if shape.kind != "polygon":
        return Shape("point", shape.numbers[:2])
    x, y, z = shape.centre
    return Shape("point", (math.degrees(math.atan2(y, x)) % 360, math.degrees(math.asin(max(-1.0, min(1.0, z))))))


def _distance(a: bytes, b: bytes) -> float:
    shapes = decode(a), decode(b)
    if any(shape.kind != "point" for shape in shapes):
        raise ValueError("DISTANCE is between two points")
    return separation_deg(*shapes[0].numbers, *shapes[1].numbers)


def _coordinate(position: int) -> Callable[[bytes], float]:
    def coordinate(blob: bytes) -> float:
        shape = decode(blob)
        if shape.kind != "point":
            raise ValueError("COORD1 and COORD2 are of a point")
        return shape.numbers[position]

    return coordinate


def _maker(kind: str) -> Callable[..., bytes]:
    return lambda *numbers: Shape(kind, tuple(float(number) for number in numbers)).blob()


FUNCTIONS: dict[str, tuple[int, Callable]] = {
    "becat_separation": (4, separation_deg),
    "becat_point": (2, _maker("point")),
    "becat_circle": (3, _maker("circle")),
    "becat_box": (4, _maker("box")),
    "becat_polygon": (-1, _maker("polygon")),
    "becat_holds": (3, lambda lon, lat, outer: int(decode(outer).holds(lon, lat))),
    "becat_contains": (2, lambda a, b: int(contains(decode(a), decode(b)))),
    "becat_intersects": (2, lambda a, b: int(intersects(decode(a), decode(b)))),
    "becat_distance": (2, _distance),
    "becat_coord1": (1, _coordinate(0)),
    "becat_coord2": (1, _coordinate(1)),
    "becat_area": (1, lambda a: area_deg2(decode(a))),
    "becat_centroid": (1, lambda a: centroid(decode(a)).blob()),
}


def register(connection: sqlite3.Connection) -> list[str]:
    """Give a connection the functions ``becat_...``; NULL in any argument gives NULL.

    Returns
    -------
    list of str
        Grows by the text of each complaint of a function: SQLite itself only says that one complained.
    """
    complaints: list[str] = []

    def careful(function: Callable) -> Callable:
        def call(*values):
            if None in values:
                return None
            try:
                return function(*values)
            except (ValueError, TypeError, OverflowError) as error:
                complaints.append(str(error))
                raise

        return call

    for name, (count, function) in FUNCTIONS.items():
        connection.create_function(name, count, careful(function), deterministic=True)
    return complaints
