"""Distances and shapes on the sky for whoever writes SQL on the site: the functions that ADQL is carried over to."""

from __future__ import annotations

from datasette import hookimpl

from becat.publish.vo.tap.geometry import register


@hookimpl
def prepare_connection(conn):
    register(conn)
