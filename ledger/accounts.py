"""Postings: every change of a balance, and of the caps it falls under. Each sums to zero in its unit.

The same kernels serve the deciding path and the replay, so an amount can only move in one way.
"""

from typing import Any

import numpy as np

from ledger.compiled import kernel
from ledger.tables import FEE_ROW, FIRST_YEAR, RESALE, Role
from ledger.units import PPM

FREE, ESCROWED, ABSTRACTED, OVER_USE = int(Role.FREE), int(Role.ESCROWED), int(Role.ABSTRACTED), int(Role.OVER_USE)


@kernel
def fee(notional_fen: int, ppm: int) -> int:
    """Fee on a cumulative notional: rounded down once, without forming notional x ppm (K22, K27)."""
    return (notional_fen // PPM) * ppm + (notional_fen % PPM) * ppm // PPM


@kernel
def most_notional(budget_fen: int, ppm: int) -> int:
    """The largest notional that a budget pays for, its fee included."""
    low, high = np.int64(0), budget_fen
    while low < high:
        middle = high - (high - low) // 2
        if middle + fee(middle, ppm) <= budget_fen:
            low = middle
        else:
            high = middle - 1
    return low


@kernel
def buy_escrow(limit_fen: int, leaves: int, notional_fen: int, ppm: int) -> int:
    """What a buy of `leaves` lots at `limit_fen` a lot must hold: the price, and the fee still to come on it (K22)."""
    price = limit_fen * leaves
    return price + fee(notional_fen + price, ppm) - fee(notional_fen, ppm)


@kernel
def holding_row(accounts: Any, right: int, year: int) -> int:
    """Row of a holding, or -1 where the right has none in that year."""
    column = year - accounts.scalars[FIRST_YEAR]
    if right < 0 or right >= len(accounts.right_rows) or column < 0 or column >= accounts.right_rows.shape[1]:
        return np.int64(-1)
    return np.int64(accounts.right_rows[right, column])


@kernel
def move_caps(accounts: Any, row: int, held_l: int, used_l: int, over_l: int, traded_l: int) -> None:
    """Add to every cap of a holding: what is held, used and over-used; `traded_l` > 0 imports, < 0 exports (K16)."""
    holding = accounts.account[row]
    for at in range(holding["caps_at"], holding["caps_at"] + holding["caps"]):
        cap = accounts.cap[accounts.cap_members[at]]
        cap["held_l"] += held_l
        cap["used_l"] += used_l
        cap["over_l"] += over_l
        if traded_l > 0:
            cap["imported_l"] += traded_l
        else:
            cap["exported_l"] -= traded_l


@kernel
def credit_water(accounts: Any, row: int, volume_l: int) -> int:
    """Give water to a holding; over-use is covered first (K15). Returns the litres that covered over-use."""
    covered = min(volume_l, -accounts.balance[row, OVER_USE])
    accounts.balance[row, OVER_USE] += covered
    accounts.balance[row, FREE] += volume_l - covered
    accounts.party[accounts.account[row]["owner"]]["over_l"] -= covered
    return covered


@kernel
def settle_water(accounts: Any, seller: int, buyer: int, volume_l: int, role: int) -> int:
    """Move sold water from the seller's balance `role` to the buyer. Returns the litres that covered over-use."""
    accounts.balance[seller, role] -= volume_l
    covered = credit_water(accounts, buyer, volume_l)
    accounts.account[seller]["sold_l"] += volume_l
    accounts.account[buyer]["bought_l"] += volume_l
    move_caps(accounts, seller, -volume_l, np.int64(0), np.int64(0), -volume_l)
    move_caps(accounts, buyer, volume_l - covered, covered, -covered, volume_l)
    return covered


@kernel
def settle_money(
    accounts: Any, seller: int, buyer: int, role: int, amount_fen: int, buyer_fee: int, seller_fee: int, released: int
) -> None:
    """Pay a trade from the buyer's balance `role`, both fees to the fee account, `released` back to the buyer."""
    payer = accounts.party[accounts.account[buyer]["owner"]]["money"]
    payee = accounts.party[accounts.account[seller]["owner"]]["money"]
    accounts.balance[payer, role] -= amount_fen + buyer_fee + released
    accounts.balance[payer, FREE] += released
    accounts.balance[payee, FREE] += amount_fen - seller_fee
    accounts.balance[accounts.scalars[FEE_ROW], FREE] += buyer_fee + seller_fee


@kernel
def use_water(accounts: Any, row: int, volume_l: int, over_l: int) -> None:
    """Book water taken: `volume_l` - `over_l` from the free balance, the rest as over-use (K15)."""
    within = volume_l - over_l
    accounts.balance[row, FREE] -= within
    accounts.balance[row, ABSTRACTED] += volume_l
    accounts.balance[row, OVER_USE] -= over_l
    accounts.party[accounts.account[row]["owner"]]["over_l"] += over_l
    move_caps(accounts, row, -within, within, over_l, np.int64(0))


@kernel
def own_water(accounts: Any, row: int) -> int:
    """Free litres of a holding above the basic need, without what was bought where that may not be sold on (K17)."""
    holding = accounts.account[row]
    bought = np.int64(0) if accounts.scalars[RESALE] != 0 else holding["bought_l"]
    return accounts.balance[row, FREE] - holding["floor_l"] - bought


@kernel
def sellable(accounts: Any, row: int) -> int:
    """Litres that a holding may still offer (K17)."""
    holding, own = accounts.account[row], own_water(accounts, row)
    if not holding["licence"]:
        return own
    resold = holding["bought_l"] if accounts.scalars[RESALE] != 0 else np.int64(0)
    return min(own, holding["saved_l"] - holding["sold_l"] - accounts.balance[row, ESCROWED] + resold)
