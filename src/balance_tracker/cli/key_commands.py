"""The commands of ``balance-tracker keys`` and their options."""

import sys
from typing import Annotated

import typer

from balance_tracker.cli.exits import guarded

keys_app = typer.Typer(
    help="API keys, managed where the database is: on the machine of the service.", no_args_is_help=True
)

_Json = Annotated[bool, typer.Option("--json", help="The API's object.")]
_Key = Annotated[
    str, typer.Argument(metavar="KEY", help="Its id, or the first characters that `list` shows of it.")
]


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, for people.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, write or admin; repeatable. Without it: read and write."),
    ] = None,
    rate_limit: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="Its own limit, as 600/minute.")
    ] = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Refused after so many days.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Make a key and show it, this once; only its SHA-256 is kept."""

    def command() -> int:
        from balance_tracker.cli import keys  # noqa: PLC0415 - only when it is run

        wanted = keys.NewKeyRequest(name, tuple(scope or ()), rate_limit, expires_in_days, as_json)
        return keys.create(wanted)

    sys.exit(guarded(command))


@keys_app.command("list")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="A list of the API's objects.")] = False,
) -> None:
    """Show the keys, the newest first; never the secrets."""

    def command() -> int:
        from balance_tracker.cli import keys  # noqa: PLC0415 - only when it is run

        return keys.show(as_json=as_json)

    sys.exit(guarded(command))


@keys_app.command("revoke")
def revoke(key: _Key) -> None:
    """Refuse a key from now on, in every process."""

    def command() -> int:
        from balance_tracker.cli import keys  # noqa: PLC0415 - only when it is run

        return keys.revoke(key)

    sys.exit(guarded(command))


@keys_app.command("rotate")
def rotate(
    key: _Key,
    overlap_seconds: Annotated[
        int, typer.Option(min=0, max=2_592_000, help="How long the old secret works on.")
    ] = 86_400,
    as_json: _Json = False,
) -> None:
    """Give a key a new secret and show it, this once."""

    def command() -> int:
        from balance_tracker.cli import keys  # noqa: PLC0415 - only when it is run

        return keys.rotate(key, overlap_seconds, as_json=as_json)

    sys.exit(guarded(command))
