"""Answers as files: CSV and Parquet, where a route offers them."""

import asyncio
from typing import Any, Literal

from fastapi import Response
from pydantic import Field

from balance_tracker.api.documented import Answers
from balance_tracker.services.exporting import Table, csv_of
from balance_tracker.services.parquet import parquet_of

type Format = Literal["json", "csv", "parquet"]

FORMAT: Any = Field(
    default="json",
    description="`csv` (RFC 4180) and `parquet` are tables; decimals are text in both, and exact.",
)
CSV_TYPE = "text/csv; charset=utf-8"
PARQUET_TYPE = "application/vnd.apache.parquet"


def as_files(answers: Answers) -> Answers:
    """The documented answers of a route that gives files, too."""
    content = {
        **answers[200]["content"],
        "text/csv": {"schema": {"type": "string"}},
        PARQUET_TYPE: {"schema": {"type": "string", "format": "binary"}},
    }
    return {**answers, 200: {**answers[200], "content": content}}


async def file_of(table: Table, wanted: Format, headers: dict[str, str] | None = None) -> Response:
    """A table as a file to be kept.

    Raises:
        InputError: ``parquet_unavailable``.
    """
    write, kind = (csv_of, CSV_TYPE) if wanted == "csv" else (parquet_of, PARQUET_TYPE)
    body = await asyncio.to_thread(write, table)
    named = {"Content-Disposition": f'attachment; filename="{table.name}.{wanted}"'}
    return Response(body, headers={**named, **(headers or {})}, media_type=kind)
