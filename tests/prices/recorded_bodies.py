"""What real services answered, and what their OpenAPI documents say, from ``recorded/``."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recorded"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer as it was received."""

    url: str
    status: int
    body: bytes
    recorded_at: datetime | None
    content_type: str

    def digits(self, key: str) -> list[str]:
        """The numbers behind a key, as they were written."""
        return re.findall(rf'"{key}": (-?[0-9.eE+-]+)', self.body.decode())


def recorded(name: str) -> list[Recorded]:
    """All answers of one file."""
    rows = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return [
        Recorded(
            url=row["url"],
            status=row["status"],
            body=row["body"].encode(),
            recorded_at=datetime.fromisoformat(row["recorded_at"]) if row["recorded_at"] else None,
            content_type=row.get("content_type", "application/json"),
        )
        for row in rows
    ]


def specification(name: str) -> dict[str, Any]:
    """Paths with their parameters and an example each."""
    return json.loads((FOLDER / f"{name}_api.json").read_text(encoding="utf-8"), parse_float=Decimal)


def parameters(document: dict[str, Any], path: str, place: str = "query") -> tuple[set[str], set[str]]:
    """The parameters that a path takes, and those that it must have."""
    rows = [row for row in document[path]["parameters"] if row["in"] == place]
    return {row["name"] for row in rows}, {row["name"] for row in rows if row["required"]}
