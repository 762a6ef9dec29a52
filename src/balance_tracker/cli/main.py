"""The commands and their options. Each body imports its command only when it is run: help is quick."""

import sys
from typing import Annotated

import typer

from balance_tracker import __version__
from balance_tracker.cli.exits import WRONG_USE, guarded, say

app = typer.Typer(
    name="balance-tracker",
    help="What an address holds, on which network, at which block, and what could not be learnt.",
    epilog="Exit codes: 0 all answered; 2 wrong use; 3 answered in part; 4 nothing could be answered.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tokens_app = typer.Typer(help="The listed tokens.", no_args_is_help=True)
app.add_typer(tokens_app, name="tokens")


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    app(prog_name="balance-tracker")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"balance-tracker {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


@app.command()
def balances(  # noqa: PLR0917 - typer passes by name
    addresses: Annotated[
        list[str], typer.Argument(metavar="ADDRESS…", help="EVM or Solana addresses, or names.")
    ],
    network: Annotated[
        list[str] | None,
        typer.Option("--network", "-n", metavar="SLUG", help="Only this network; repeatable."),
    ] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(metavar="CONTRACT,…", help="More tokens to ask, shown also at zero; repeatable."),
    ] = None,
    currency: Annotated[str, typer.Option(help="What values are in.")] = "usd",
    at: Annotated[
        str | None, typer.Option(metavar="BLOCK|TIME", help="A past block (one EVM network) or time.")
    ] = None,
    spam: Annotated[bool, typer.Option("--spam", help="Show tokens that look like spam.")] = False,
    min_value: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Leave out holdings of a known lower value.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The API's object; a list for several addresses.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per holding.")] = False,
) -> None:
    """Show what addresses hold."""
    if as_json and as_csv:
        say("Error: --json and --csv can't be given together.")
        raise typer.Exit(WRONG_USE)

    def command() -> int:
        from balance_tracker.cli.balances import Request, run  # noqa: PLC0415 - only when it is run

        return run(
            Request(
                addresses=tuple(dict.fromkeys(addresses)),
                networks=tuple(network or ()),
                tokens=tuple(tokens or ()),
                currency=currency,
                at=at,
                spam=spam,
                min_value=min_value,
                several=len(addresses) > 1,
                output="json" if as_json else "csv" if as_csv else "table",
            )
        )

    sys.exit(guarded(command))


@app.command()
def networks(
    probe: Annotated[bool, typer.Option("--probe", help="Ask every endpoint for its health first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The API's object.")] = False,
) -> None:
    """Show the tracked networks and their endpoints."""

    def command() -> int:
        from balance_tracker.cli.networks import run  # noqa: PLC0415 - only when it is run

        return run(probe=probe, as_json=as_json)

    sys.exit(guarded(command))


@tokens_app.command("list")
def tokens_list(
    network: Annotated[
        list[str] | None,
        typer.Option("--network", "-n", metavar="SLUG", help="Only this network; repeatable."),
    ] = None,
    query: Annotated[str | None, typer.Option(help="Text in the symbol, the name or the address.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The API's object, all pages in one.")] = False,
) -> None:
    """Show the listed tokens."""

    def command() -> int:
        from balance_tracker.cli.tokens import show_list  # noqa: PLC0415 - only when it is run

        return show_list(tuple(network or ()), query, as_json=as_json)

    sys.exit(guarded(command))


@tokens_app.command("refresh")
def tokens_refresh(
    urls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URL…]", help="Token lists to read; those of TRACKER_TOKEN_LISTS without any."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Keep the difference; otherwise it is only shown.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The difference as JSON.")] = False,
) -> None:
    """Read token lists again, check them on chain and show the difference."""

    def command() -> int:
        from balance_tracker.cli.tokens import refresh  # noqa: PLC0415 - only when it is run

        return refresh(tuple(urls or ()), keep=yes, as_json=as_json)

    sys.exit(guarded(command))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; each has its own cache.")] = 1,
) -> None:
    """Serve the API."""

    def command() -> int:
        from balance_tracker.cli.serve import run  # noqa: PLC0415 - only when it is run

        return run(host, port, workers)

    sys.exit(guarded(command))


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Print the portfolios and exit.")] = False,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port of the API.")] = 8000,
) -> None:
    """Start real local nodes with sample wallets, print what they hold, and serve the API."""

    def command() -> int:
        from balance_tracker.cli.demo import run  # noqa: PLC0415 - only when it is run

        return run(once=once, host=host, port=port)

    sys.exit(guarded(command))
