"""``balance-tracker demo``: real local nodes, sample wallets, and what they hold."""

from balance_tracker.cli.exits import ALL_ANSWERED
from balance_tracker.cli.render import show_portfolio
from balance_tracker.cli.session import terminal
from balance_tracker.demo.run import run_demo


def run(*, once: bool, host: str, port: int) -> int:
    """Run the demo; it serves until it is interrupted, unless ``once``."""
    console = terminal()
    run_demo(once=once, host=host, port=port, show=lambda portfolio: show_portfolio(portfolio, console))
    return ALL_ANSWERED
