"""Who holds what: every right and year with its balances, and the money of every holder."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from ledger import facts
from ledger.journal.records import Decoded
from ledger.rows import ORDERS, REMOVALS, TRADES, USES
from ledger.tables import Array
from matching.types import Side, Status
from projections.base import Table, Upsert, page, summed

PARTIES: Final = Table("parties", ("party",), sets=("code", "kind", "name"))
RIGHTS: Final = Table(
    "rights", ("right",), sets=("code", "party", "kind", "source", "basin", "township", "industry", "licensed_l")
)
HOLDINGS: Final = Table(
    "holdings",
    ("right", "year"),
    adds=("issued_l", "free_l", "escrowed_l", "abstracted_l", "over_use_l", "saved_l", "sold_l", "bought_l"),
)
MONEY: Final = Table("money", ("right_or_party", "is_party"), adds=("free_fen", "escrowed_fen"))

HOLDINGS_QUERY: Final = """
    SELECT r.code AS right, h.year, p.code AS party, p.name, r.kind, r.source, r.basin, r.township, r.industry,
           h.issued_l, h.free_l, h.escrowed_l, h.abstracted_l, h.over_use_l, h.saved_l, h.sold_l, h.bought_l
    FROM holdings h JOIN rights r ON r.right = h.right JOIN parties p ON p.party = r.party
    ORDER BY r.right, h.year
"""
"""Every holding with names, over the tables of this projection."""


class Holdings:
    """Read model of holders, rights, holdings and money.

    Money is summed by the right that moved it (`is_party` 0) or, for deposits, by the holder (`is_party` 1); a query
    adds up both, so the fold needs no register.
    """

    name = "holdings/1"
    tables = (PARTIES, RIGHTS, HOLDINGS, MONEY)

    def fold(self, decoded: Decoded) -> Iterable[Upsert]:
        """Upserts for registrations, issues, orders, trades, removals and use."""
        for _, _, fact in decoded.facts:
            yield from fold_fact(fact)
        if decoded.pages:
            yield Upsert(HOLDINGS, water_rows(decoded))
            yield Upsert(MONEY, money_rows(decoded))


def fold_fact(fact: facts.Fact) -> Iterable[Upsert]:
    """Upserts of one rare fact."""
    match fact:
        case facts.PartyRegistered():
            yield Upsert(PARTIES, [(fact.party, fact.code, fact.kind, fact.name)])
        case facts.RightRegistered():
            row = (fact.right, fact.code, fact.party, fact.kind, fact.source, fact.basin, fact.township, fact.industry)
            yield Upsert(RIGHTS, [(*row, fact.licensed_l)])
        case facts.RightIssued():
            free = fact.volume_l - fact.covered_l
            yield holding(fact.right, fact.year, issued_l=fact.volume_l, free_l=free, over_use_l=-fact.covered_l)
        case facts.RightEnded():
            for year, volume_l in fact.left:
                yield holding(fact.right, year, free_l=-volume_l)
        case facts.SavingVerified():
            yield holding(fact.right, fact.year, saved_l=fact.volume_l)
        case facts.MoneyDeposited():
            yield Upsert(MONEY, [(fact.party, 1, fact.amount_fen, 0)])
        case facts.AgreementSettled():
            yield from fold_agreement(fact)
        case _:
            pass


def holding(right: int, year: int, **amounts: int) -> Upsert:
    """An upsert that adds named amounts to one holding."""
    return Upsert(HOLDINGS, [(right, year, *(amounts.get(name, 0) for name in HOLDINGS.adds))])


def fold_agreement(fact: facts.AgreementSettled) -> Iterable[Upsert]:
    """Water and money of an agreement."""
    free = fact.volume_l - fact.covered_l
    yield holding(fact.seller_right, fact.year, free_l=-fact.volume_l, sold_l=fact.volume_l)
    yield holding(fact.buyer_right, fact.year, free_l=free, over_use_l=-fact.covered_l, bought_l=fact.volume_l)
    yield Upsert(
        MONEY,
        [
            (fact.seller_right, 0, fact.amount_fen - fact.seller_fee_fen, 0),
            (fact.buyer_right, 0, -fact.amount_fen - fact.buyer_fee_fen, 0),
        ],
    )


def water_rows(decoded: Decoded) -> list[tuple[int, ...]]:
    """Changes of holdings by frequent facts, summed."""
    orders, trades = page(decoded, ORDERS), page(decoded, TRADES)
    removals, uses = page(decoded, REMOVALS), page(decoded, USES)
    offers = orders[(orders["side"] == Side.SELL) & (orders["status"] != Status.REJECTED)]
    offered = removals[removals["side"] == Side.SELL]
    free = trades["volume_l"] - trades["covered_l"]
    within = uses["volume_l"] - uses["over_l"]
    parts: list[tuple[Array, Array, dict[str, Array]]] = [
        (offers["right"], offers["year"], {"free_l": -offers["escrowed"], "escrowed_l": offers["escrowed"]}),
        (offered["right"], offered["year"], {"free_l": offered["released"], "escrowed_l": -offered["released"]}),
        (trades["seller_right"], trades["year"], {"escrowed_l": -trades["volume_l"], "sold_l": trades["volume_l"]}),
        (
            trades["buyer_right"],
            trades["year"],
            {"free_l": free, "over_use_l": -trades["covered_l"], "bought_l": trades["volume_l"]},
        ),
        (
            uses["right"],
            uses["year"],
            {"free_l": -within, "abstracted_l": uses["volume_l"], "over_use_l": uses["over_l"]},
        ),
    ]
    keys = [np.concatenate([part[at] for part in parts]) for at in (0, 1)]
    values = [
        np.concatenate([amounts.get(name, np.zeros(len(rights), np.int64)) for rights, _, amounts in parts])
        for name in HOLDINGS.adds
    ]
    return summed(keys, values)


def money_rows(decoded: Decoded) -> list[tuple[int, ...]]:
    """Changes of money by frequent facts, summed by the right that moved it."""
    orders, trades, removals = page(decoded, ORDERS), page(decoded, TRADES), page(decoded, REMOVALS)
    bids = orders[(orders["side"] == Side.BUY) & (orders["status"] != Status.REJECTED)]
    freed = removals[removals["side"] == Side.BUY]
    paid = trades["amount_fen"] + trades["buyer_fee_fen"] + trades["released_fen"]
    right = np.concatenate([bids["right"], freed["right"], trades["buyer_right"], trades["seller_right"]])
    proceeds = trades["amount_fen"] - trades["seller_fee_fen"]
    free = np.concatenate([-bids["escrowed"], freed["released"], trades["released_fen"], proceeds])
    escrowed = np.concatenate([bids["escrowed"], -freed["released"], -paid, np.zeros(len(trades), np.int64)])
    return summed([right, np.zeros(len(right), np.int64)], [free, escrowed])
