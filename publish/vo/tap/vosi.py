"""What the service says of itself: capabilities, availability, tables (VOSI 1.1, TAPRegExt 1.0, VODataService 1.1)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from becat.publish.snapshot.address import address_of
from becat.publish.vo.tap.adql import FEATURES
from becat.publish.vo.tap.jobs import Limits

__all__ = ["availability", "capabilities", "tables"]

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
# Words of the features in TAPRegExt; the part after "features-adql" groups them.
FEATURE_TYPES = {
    "geometry": "ivo://ivoa.net/std/TAPRegExt#features-adqlgeo",
    "string": "ivo://ivoa.net/std/TAPRegExt#features-adql-string",
    "sets": "ivo://ivoa.net/std/TAPRegExt#features-adql-sets",
    "tables": "ivo://ivoa.net/std/TAPRegExt#features-adql-common-table",
    "types": "ivo://ivoa.net/std/TAPRegExt#features-adql-type",
    "offset": "ivo://ivoa.net/std/TAPRegExt#features-adql-offset",
}
OUTPUTS = (
    (
        "application/x-votable+xml",
        ("votable", "text/xml", "votable/td"),
        "ivo://ivoa.net/std/TAPRegExt#output-votable-td",
    ),
    ("text/csv", ("csv",), ""),
    ("text/tab-separated-values", ("tsv",), ""),
    ("application/fits", ("fits",), ""),
)


def availability() -> str:
    """That the service is up."""
    return (
        f'{HEAD}<vosi:availability xmlns:vosi="http://www.ivoa.net/xml/VOSIAvailability/v1.0">'
        "<vosi:available>true</vosi:available></vosi:availability>\n"
    )


def capabilities(address: str, limits: Limits) -> str:
    """What the TAP service at an address can do."""
    languages = (
        "<language><name>ADQL</name>"
        '<version ivo-id="ivo://ivoa.net/std/ADQL#v2.0">2.0</version><version ivo-id="ivo://ivoa.net/std/ADQL#v2.1">2.1</version>'
        "<description>Astronomical Data Query Language; positions are ICRS</description>"
        f"{''.join(_features(name) for name in FEATURES)}</language>"
    )
    outputs = "".join(_output(*output) for output in OUTPUTS)
    kept, kept_max = round(limits.kept_hours * 3600), round(limits.kept_hours_max * 3600)
    uploads = "".join(
        f'<uploadMethod ivo-id="ivo://ivoa.net/std/TAPRegExt#upload-{how}"/>' for how in ("inline", "http")
    )
    bounds = (
        f"<retentionPeriod><default>{kept}</default><hard>{kept_max}</hard></retentionPeriod>"
        f"<executionDuration><default>{limits.async_seconds}</default><hard>{limits.async_seconds_max}</hard></executionDuration>"
        f'<outputLimit><default unit="row">{limits.rows}</default><hard unit="row">{limits.rows_max}</hard></outputLimit>'
        f'<uploadLimit><default unit="row">{limits.upload_rows}</default><hard unit="row">{limits.upload_rows}</hard></uploadLimit>'
    )
    return (
        f'{HEAD}<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0" {XSI}'
        ' xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0" xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1">\n'
        f'<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">\n'
        f"{_interface(address, 'full', 'base', '1.1')}{languages}\n{outputs}\n{uploads}\n{bounds}\n</capability>\n"
        f"{vosi_capability('capabilities', f'{address}/capabilities')}"
        f"{vosi_capability('availability', f'{address}/availability')}"
        f"{vosi_capability('tables', f'{address}/tables', '-1.1')}"
        f'<capability standardID="ivo://ivoa.net/std/DALI#examples">{_interface(f"{address}/examples", "full")}</capability>\n'
        "</vosi:capabilities>\n"
    )


def vosi_capability(name: str, address: str, version: str = "") -> str:
    """A capability that only says where a document of VOSI is."""
    return (
        f'<capability standardID="ivo://ivoa.net/std/VOSI#{name}{version}">{_interface(address, "full")}</capability>\n'
    )


def _interface(address: str, use: str, url_use: str = "", version: str = "") -> str:
    said = f' version="{version}"' if version else ""
    return (
        f'<interface xsi:type="vs:ParamHTTP" role="std"{said}>'
        f'<accessURL use="{url_use or use}">{escape(address)}</accessURL></interface>'
    )


def _features(name: str) -> str:
    inner = "".join(f"<feature><form>{form}</form></feature>" for form in FEATURES[name])
    return f'<languageFeatures type="{FEATURE_TYPES[name]}">{inner}</languageFeatures>'


def _output(mime: str, aliases: tuple[str, ...], identity: str) -> str:
    known = f" ivo-id={quoteattr(identity)}" if identity else ""
    return f"<outputFormat{known}><mime>{mime}</mime>{''.join(f'<alias>{alias}</alias>' for alias in aliases)}</outputFormat>"


def tables(tap_schema: Path, only: str | None = None, *, with_columns: bool = True) -> str | None:
    """The set of tables, or one of them; None where there is no table `only`."""
    with closing(sqlite3.connect(address_of(tap_schema), uri=True)) as connection:
        connection.row_factory = sqlite3.Row

        def ask(sql: str, *values) -> list[sqlite3.Row]:
            return connection.execute(sql, values).fetchall()

        if only is not None:
            found = ask("select * from tables where lower(table_name) = lower(?)", only)
            return f"{HEAD}{_table(found[0], ask, 'vosi:table ' + SPACES, True)}" if found else None
        parts = [f"{HEAD}<vosi:tableset {SPACES}>\n"]
        for schema in ask("select * from schemas order by schema_index"):
            inner = ask("select * from tables where schema_name = ? order by table_index", schema["schema_name"])
            parts.append(
                f"<schema><name>{escape(schema['schema_name'])}</name>"
                f"<description>{escape(schema['description'])}</description>\n"
                f"{''.join(_table(table, ask, 'table', with_columns) for table in inner)}</schema>\n"
            )
        return "".join([*parts, "</vosi:tableset>\n"])


SPACES = (
    f'xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0" {XSI} xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1"'
)


def _table(table: sqlite3.Row, ask: Callable[..., list[sqlite3.Row]], element: str, with_columns: bool) -> str:
    name = table["table_name"]
    columns = ask("select * from columns where table_name = ? order by column_index", name) if with_columns else []
    keys = ask("select * from keys where from_table = ?", name) if with_columns else []
    return (
        f"<{element} type={quoteattr(table['table_type'])}><name>{escape(name)}</name>"
        f"<description>{escape(table['description'] or '')}</description>\n"
        f"{''.join(_column(column) for column in columns)}{''.join(_key(key, ask) for key in keys)}</{element.split()[0]}>\n"
    )


def _column(column: sqlite3.Row) -> str:
    parts = [f"<name>{escape(column['column_name'])}</name>"]
    parts += [
        f"<{name}>{escape(column[name])}</{name}>" for name in ("description", "unit", "ucd", "utype") if column[name]
    ]
    size = f" arraysize={quoteattr(column['arraysize'])}" if column["arraysize"] else ""
    parts.append(f'<dataType xsi:type="vs:VOTableType"{size}>{column["datatype"]}</dataType>')
    flags = [name for name in ("indexed", "principal") if column[name]]
    parts += [f"<flag>{name}</flag>" for name in flags]
    std = ' std="true"' if column["std"] else ""
    return f"<column{std}>{''.join(parts)}</column>\n"


def _key(key: sqlite3.Row, ask: Callable[..., list[sqlite3.Row]]) -> str:
    pairs = "".join(
        f"<fkColumn><fromColumn>{escape(pair['from_column'])}</fromColumn>"
        f"<targetColumn>{escape(pair['target_column'])}</targetColumn></fkColumn>"
        for pair in ask("select * from key_columns where key_id = ?", key["key_id"])
    )
    return f"<foreignKey><targetTable>{escape(key['target_table'])}</targetTable>{pairs}</foreignKey>\n"


def spectral_capabilities(address: str, rows: int, rows_max: int) -> str:
    """What the spectral access service at an address can do (SimpleDALRegExt 1.1)."""
    return (
        f'{HEAD}<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0" {XSI}'
        ' xmlns:ssap="http://www.ivoa.net/xml/SSA/v1.1" xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1">\n'
        '<capability standardID="ivo://ivoa.net/std/SSA" xsi:type="ssap:SimpleSpectralAccess">'
        f'<interface xsi:type="vs:ParamHTTP" role="std" version="1.1"><accessURL use="base">{escape(address)}?</accessURL>'
        "</interface><complianceLevel>query</complianceLevel><dataSource>survey</dataSource>"
        "<creationType>archival</creationType><supportedFrame>ICRS</supportedFrame><maxSearchRadius>180</maxSearchRadius>"
        f"<maxRecords>{rows_max}</maxRecords><defaultMaxRecords>{rows}</defaultMaxRecords>"
        "</capability>\n"
        f"{vosi_capability('capabilities', f'{address}/capabilities')}"
        f"{vosi_capability('availability', f'{address}/availability')}</vosi:capabilities>\n"
    )
