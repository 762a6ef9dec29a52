"""Tables as Parquet; the only place that knows pyarrow, which is an extra."""

import io
from typing import Any

from balance_tracker.core.errors import InputError
from balance_tracker.services.exporting import Cell, Kind, Table, text_of


def parquet_of(table: Table) -> bytes:
    """A table as a Parquet file.

    Decimals are text in it, since no decimal type of Parquet holds every amount of a chain; times are
    timestamps in UTC.

    Raises:
        InputError: ``parquet_unavailable``: pyarrow is not installed here.
    """
    try:
        import pyarrow  # noqa: PLC0415 - an extra, and large
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "This service can't write Parquet: pyarrow is not installed.",
            code="parquet_unavailable",
            hint="Use format=csv, or install 'balance-tracker[parquet]' on the server.",
        ) from None
    types = {"integer": pyarrow.int64(), "time": pyarrow.timestamp("us", "UTC")}
    fields = [
        pyarrow.field(column.name, types.get(column.kind, pyarrow.string())) for column in table.columns
    ]
    arrays = [
        pyarrow.array([_cell(row[place], column.kind) for row in table.rows], type=fields[place].type)
        for place, column in enumerate(table.columns)
    ]
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(arrays, schema=pyarrow.schema(fields)), file)
    return file.getvalue()


def _cell(cell: Cell, kind: Kind) -> Any:
    return cell if kind in {"integer", "time"} else text_of(cell)
