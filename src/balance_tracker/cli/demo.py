"""``balance-tracker demo``: real local nodes, sample wallets, and what they hold."""

import uvicorn
from rich.text import Text

from balance_tracker.cli.exits import ALL_ANSWERED
from balance_tracker.cli.render import show_portfolio
from balance_tracker.cli.serve import APP, SERVER_OPTIONS
from balance_tracker.cli.session import prepare, terminal
from balance_tracker.cli.whole_render import show_whole
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.demo.run import Shown, run_demo
from balance_tracker.demo.stories import Wallet


def run(*, once: bool, host: str, port: int) -> int:
    """Run the demo; it serves until it is interrupted, unless ``once``.

    Raises:
        ConfigurationError: The nodes can't be had, or the port is taken.
    """
    prepare()
    console = terminal()

    def show(wallet: Wallet, answer: Shown) -> None:
        console.print(Text(wallet.title, style="bold magenta"))
        console.print(Text(wallet.story, style="dim"))
        if isinstance(answer, Portfolio):
            show_portfolio(answer, console)
        else:
            show_whole(answer, console)
        console.print()

    run_demo(once=once, host=host, port=port, show=show, serve=_serve)
    return ALL_ANSWERED


async def _serve(host: str, port: int) -> None:
    await uvicorn.Server(uvicorn.Config(APP, host=host, port=port, **SERVER_OPTIONS)).serve()
