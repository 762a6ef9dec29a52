"""One portfolio of what the networks answered and what it is worth: what is shown, and what is left out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.portfolio import Balance, Excluded, Holding, Portfolio
from balance_tracker.services.coverage import NetworkAnswer
from balance_tracker.services.questions import Question
from balance_tracker.services.spam import judged
from balance_tracker.services.valuation import Priced, by_value, valued


def priceable(question: Question, answers: Sequence[NetworkAnswer]) -> list[Asset]:
    """The assets of an answer that prices are asked for: what is shown, and no spam."""
    mirrors = _mirrors(question)
    assets = {
        balance.asset.asset_id: balance.asset
        for answer in answers
        for balance in answer.balances
        if _is_shown(balance, question.tokens) and not _is_mirror(balance.asset, mirrors)
    }
    return [asset for asset in map(judged, assets.values()) if asset.trust != "spam"]


def moment_of(question: Question, answers: Sequence[NetworkAnswer]) -> datetime | None:
    """The time whose prices are asked for, ``None`` for now: that of a past block is the block's."""
    if question.at is None or isinstance(question.at, datetime):
        return question.at
    blocks = (answer.coverage.block for answer in answers)
    return next((block.as_of for block in blocks if block is not None), None)


def compose(
    question: Question,
    name: str | None,
    answers: Sequence[NetworkAnswer],
    taken_at: datetime,
    priced: Priced,
) -> Portfolio:
    """One portfolio of what the networks answered.

    The most valuable holdings come first; those without a known value in the order of the networks.
    """
    holdings: list[Holding] = []
    excluded: list[Excluded] = []
    mirrors = _mirrors(question)
    for balance in (balance for answer in answers for balance in _shown(answer, question.tokens)):
        asset = judged(balance.asset)
        holding = valued(balance if asset is balance.asset else replace(balance, asset=asset), priced)
        reason = _reason_to_exclude(holding, question, mirrors)
        if reason is None:
            holdings.append(holding)
        else:
            value = holding.value if reason == "dust" else None
            excluded.append(Excluded(asset, balance.raw_amount, reason, value))
    return Portfolio(
        address=question.owner.address,
        name=name,
        currency=question.currency,
        holdings=tuple(by_value(holdings)),
        coverage=tuple(answer.coverage for answer in answers),
        taken_at=taken_at,
        excluded=tuple(excluded),
        priced_for_seconds=priced.good_for_seconds,
    )


def _shown(answer: NetworkAnswer, tokens: Sequence[Address]) -> list[Balance]:
    """What is held, and what was asked for by name even at zero, in the order of answers."""
    return sorted((one for one in answer.balances if _is_shown(one, tokens)), key=_order)


def _is_shown(balance: Balance, tokens: Sequence[Address]) -> bool:
    return bool(balance.raw_amount) or balance.asset.contract_address in tokens


def _mirrors(question: Question) -> set[tuple[Slug, Address]]:
    return {(network.slug, mirror) for network in question.networks for mirror in network.mirrors}


def _is_mirror(asset: Asset, mirrors: set[tuple[Slug, Address]]) -> bool:
    return asset.contract_address is not None and (asset.network, asset.contract_address) in mirrors


def _reason_to_exclude(
    holding: Holding, question: Question, mirrors: set[tuple[Slug, Address]]
) -> str | None:
    asset = holding.balance.asset
    if _is_mirror(asset, mirrors):
        return "mirror"
    if asset.trust == "spam" and not question.spam:
        return "spam"
    if question.min_value is not None and holding.value is not None and holding.value < question.min_value:
        return "dust"
    return None


def _order(balance: Balance) -> tuple[bool, str, str]:
    asset = balance.asset
    return (not asset.native, (asset.symbol or "\U0010ffff").casefold(), asset.asset_id)
