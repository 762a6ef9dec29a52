"""The commands and their options. Each body imports its command only when it is run: help is quick."""

import sys
from typing import Annotated, Literal, NamedTuple

import typer

from balance_tracker import __version__
from balance_tracker.cli.database_commands import db_app
from balance_tracker.cli.exits import WRONG_USE, guarded, say
from balance_tracker.cli.key_commands import keys_app

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
app.add_typer(keys_app, name="keys")
app.add_typer(db_app, name="db")


type Output = Literal["table", "json", "csv"]
StakeTokens = Literal["position", "holding"]


class Typed(NamedTuple):
    """What was typed for ``portfolio`` and ``defi``."""

    addresses: list[str]
    networks: list[str] | None
    protocols: list[str] | None
    currency: str
    at: str | None
    search_nfts: bool = False
    stake_tokens: StakeTokens = "position"


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


def _output(*, as_json: bool, as_csv: bool) -> Output:
    """How the answer is written.

    Raises:
        typer.Exit: Both were asked for.
    """
    if as_json and as_csv:
        say("Error: --json and --csv can't be given together.")
        raise typer.Exit(WRONG_USE)
    return "json" if as_json else "csv" if as_csv else "table"


def _whole(subject: Literal["portfolio", "defi"], typed: Typed, output: Output) -> None:
    def command() -> int:
        from balance_tracker.cli.whole import Request, run  # noqa: PLC0415 - only when it is run

        return run(
            Request(
                subject=subject,
                addresses=tuple(dict.fromkeys(typed.addresses)),
                networks=tuple(typed.networks or ()),
                protocols=tuple(typed.protocols or ()),
                currency=typed.currency,
                at=typed.at,
                output=output,
                search_nfts=typed.search_nfts,
                stake_tokens=typed.stake_tokens,
            )
        )

    sys.exit(guarded(command))


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
    output = _output(as_json=as_json, as_csv=as_csv)

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
                output=output,
            )
        )

    sys.exit(guarded(command))


@app.command()
def portfolio(  # noqa: PLR0917 - typer passes by name
    addresses: Annotated[
        list[str], typer.Argument(metavar="ADDRESS…", help="EVM or Solana addresses, or names.")
    ],
    network: Annotated[
        list[str] | None,
        typer.Option("--network", "-n", metavar="SLUG", help="Only this network; repeatable."),
    ] = None,
    currency: Annotated[str, typer.Option(help="What values are in.")] = "usd",
    at: Annotated[
        str | None, typer.Option(metavar="BLOCK|TIME", help="A past block (one EVM network) or time.")
    ] = None,
    search_nfts: Annotated[
        bool, typer.Option("--search-nfts", help="Search for NFTs that no contract lists, too.")
    ] = False,
    stake_tokens: Annotated[
        StakeTokens, typer.Option(help="Whether stETH, mSOL and the like are shown as what is staked.")
    ] = "position",
    as_json: Annotated[bool, typer.Option("--json", help="The API's object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per holding and side.")] = False,
) -> None:
    """Show everything that addresses have, put together: balances, positions and NFTs."""
    typed = Typed(addresses, network, None, currency, at, search_nfts, stake_tokens)
    _whole("portfolio", typed, _output(as_json=as_json, as_csv=as_csv))


@app.command()
def defi(  # noqa: PLR0917 - typer passes by name
    addresses: Annotated[
        list[str], typer.Argument(metavar="ADDRESS…", help="EVM or Solana addresses, or names.")
    ],
    network: Annotated[
        list[str] | None,
        typer.Option("--network", "-n", metavar="SLUG", help="Only this network; repeatable."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", metavar="SLUG", help="Only this protocol; repeatable."),
    ] = None,
    currency: Annotated[str, typer.Option(help="What values are in.")] = "usd",
    at: Annotated[
        str | None, typer.Option(metavar="BLOCK|TIME", help="A past block (one EVM network) or time.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The API's object; a list for several addresses.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per side of a position.")] = False,
) -> None:
    """Show what protocols hold for addresses."""
    typed = Typed(addresses, network, protocol, currency, at)
    _whole("defi", typed, _output(as_json=as_json, as_csv=as_csv))


@app.command()
def nfts(  # noqa: PLR0917 - typer passes by name
    addresses: Annotated[
        list[str], typer.Argument(metavar="ADDRESS…", help="EVM or Solana addresses, or names.")
    ],
    network: Annotated[
        list[str] | None,
        typer.Option("--network", "-n", metavar="SLUG", help="Only this network; repeatable."),
    ] = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(metavar="CONTRACT", help="Only this collection, listed or not; repeatable."),
    ] = None,
    currency: Annotated[str, typer.Option(hidden=True, help="Not used: these have no value here.")] = "usd",
    at: Annotated[
        str | None, typer.Option(metavar="BLOCK|TIME", help="A past block (one EVM network) or time.")
    ] = None,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Fetch metadata from where URIs point.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The API's object; a list for several addresses.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per token id.")] = False,
) -> None:
    """Show what addresses hold of NFT collections."""
    del currency
    output = _output(as_json=as_json, as_csv=as_csv)

    def command() -> int:
        from balance_tracker.cli.nfts import Request, run  # noqa: PLC0415 - only when it is run

        return run(
            Request(
                addresses=tuple(dict.fromkeys(addresses)),
                networks=tuple(network or ()),
                collections=tuple(collection or ()),
                at=at,
                metadata=metadata,
                output=output,
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
def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="How many jobs are done at a time.")] = 8,
) -> None:
    """Do jobs for the API, on this or another machine (needs CELERY_BROKER_URL)."""

    def command() -> int:
        from balance_tracker.cli.worker import run_worker  # noqa: PLC0415 - only when it is run

        return run_worker(concurrency)

    sys.exit(guarded(command))


@app.command()
def beat() -> None:
    """Name what is due to the workers every few seconds (needs CELERY_BROKER_URL); one is enough."""

    def command() -> int:
        from balance_tracker.cli.worker import run_beat  # noqa: PLC0415 - only when it is run

        return run_beat()

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
