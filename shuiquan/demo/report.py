"""What the story shows at each step, in Chinese and English."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from adapters.cli import columns
from adapters.cli.queries import yuan_per_m3
from adapters.cli.show import console, print_table
from ledger.answers import Answer
from ledger.audit import check_state
from ledger.codes import texts
from ledger.policy import Policy
from ledger.units import show_m3, show_share, show_yuan
from projections.coverage import COVERAGE_QUERY, coverage
from shuiquan.demo.over_use import OverUse
from shuiquan.demo.refusals import Attempt
from shuiquan.demo.season import PUBLISHED_FRAMES
from shuiquan.exchange import Exchange


def heading(number: int, chinese: str, english: str) -> None:
    """The title of a step."""
    console.print(f"\n[bold cyan]{'①②③④⑤⑥'[number - 1]} {chinese}[/]  {english}")


def show_policy(policy: Policy) -> None:
    """Step 1: what the policy says."""
    heading(1, "政策", f"policy: {policy.en}, {policy.document}")
    console.print(
        f"  交易分区 zones {len(policy.basins)} · 街镇 townships {len(policy.townships)} · 行业 industries "
        f"{len(policy.industries)} · 总量指标 indexes {len(policy.indexes)} · 分配上限 caps {len(policy.caps)}"
    )
    for index in policy.indexes:
        if index.year == policy.instruments[0].year:
            note = "（示例数字 illustrative）" if index.illustrative else index.document
            console.print(f"  {index.year} {index.source:<10} {show_m3(index.volume_l):>14} m³ {note}")
    for terms in policy.instruments:
        modes = ", ".join(f"{mode.mode}{' [仿真 simulation]' if mode.simulation else ''}" for mode in terms.modes)
        console.print(f"  {terms.code:<12} {terms.zh}: {modes}", soft_wrap=True)


def show_register(exchange: Exchange, folder: Path, found: Any) -> None:
    """Step 2: what was imported."""
    heading(2, "登记", f"register: {len(list(folder.iterdir()))} files from {folder}")
    for fault in found.faults:
        console.print(f"  [red]✗ {fault}[/]")
    state = exchange.state
    kinds = [right.kind for right in state.rights]
    counted = " · ".join(f"{columns.KINDS[kind]} {kind} {kinds.count(kind)}" for kind in columns.KINDS)
    console.print(f"  持有人 holders {len(state.parties)} · 用水权 rights {len(state.rights)} ({counted})")
    console.print(f"  取水口 intakes {len(state.intakes)} · 计量设施 meters {len(state.meter_facts)}")
    issued = state.accounts.account["issued_l"].sum()
    console.print(f"  已发放水量 issued {show_m3(int(issued))} m³, 全部在上限之内 all within {len(state.caps)} caps")


def show_published(exchange: Exchange, answer: Answer) -> None:
    """Step 3: the published frames."""
    heading(3, "计量", "meter reports: published SZY206-2016 frames first")
    for frame, reading in zip(PUBLISHED_FRAMES, answer.readings, strict=True):
        meter = exchange.state.meter_facts[reading["meter"]]
        console.print(
            f"  {frame[:26]}… 站 {meter.station} → {meter.code} 读数 {show_m3(int(reading['value_l']))} m³, "
            f"取水 {show_m3(int(reading['volume_l']))} m³ {columns.code_text(int(reading['code']))}"
        )


def show_season(exchange: Exchange, season: Any, faults: int) -> None:
    """Step 3: what the season brought."""
    rows = exchange.query(
        "SELECT SUM(readings) AS readings, SUM(booked) AS booked, SUM(duplicate) AS duplicate, SUM(late) AS late,"
        " SUM(missing) AS missing, SUM(held) AS held, SUM(refused) AS refused, SUM(volume_l) AS volume_l FROM reports"
    )[0]
    sent, sheets = len(season.arrivals), len(season.manual)
    console.print(f"  报文 frames {sent:,} · 人工抄表 sheets {sheets:,} · 损坏被拒 damaged, refused {faults}")
    console.print(
        f"  入账 booked {rows['booked']:,} · 重复 duplicate {rows['duplicate']:,} · 迟到 late {rows['late']:,} · "
        f"缺测 missing {rows['missing']:,} · 待核查 held {rows['held']:,} · 翻转 wrapped {wraps(exchange)}"
    )
    console.print(f"  取水量 water taken {show_m3(rows['volume_l'])} m³, 已记入用水权 booked to rights")


def wraps(exchange: Exchange) -> int:
    """Registers that wrapped past their modulus."""
    rows = exchange.query("SELECT SUM(count) AS count FROM refusals WHERE kind = 'reading' AND code = 508")
    return rows[0]["count"] or 0


def show_coverage(exchange: Exchange, at_ns: int) -> None:
    """Step 3: how much is measured."""
    found = coverage(exchange.query(COVERAGE_QUERY), exchange.policy, at_ns)
    console.print(
        f"  取水口计量率 metered intakes {found.metered}/{found.intakes} = "
        f"{show_share(found.metered, found.intakes)} · "
        f"按许可水量 by licensed volume {show_share(found.metered_l, found.licensed_l)} · "
        f"规模以上在线计量率 online above scale "
        f"{found.online_working}/{found.online_required} = "
        f"{show_share(found.online_working, found.online_required)}",
        soft_wrap=True,
    )


def show_prepared(savings: Sequence[Any], deposits: Sequence[Any], opened: Sequence[Any]) -> None:
    """Step 4: before the market opens."""
    heading(4, "市场", "market")
    console.print(
        f"  核定节水 savings verified {len(savings)} · 保证金到账 deposits {len(deposits)} · "
        f"开市品种 instruments open {len(opened)}"
    )


def show_market(exchange: Exchange) -> None:
    """Step 4: the market by instrument, with the best prices of the books."""
    rows = exchange.query(
        "SELECT i.code, i.tick_fen, i.lot_l, m.*, l.price AS last FROM instruments i JOIN market m ON m.instrument ="
        " i.instrument JOIN last_prices l ON l.instrument = i.instrument ORDER BY i.instrument"
    )

    def price(ticks: int, row: dict[str, Any]) -> str:
        return yuan_per_m3(ticks * row["tick_fen"], row["lot_l"])

    def best(row: dict[str, Any]) -> str:
        depth = exchange.depth(row["code"], 1)
        bids, asks = (price(side[0][0], row) if side else "–" for side in depth)
        return f"{bids} / {asks}"

    def resting(row: dict[str, Any]) -> str:
        depth = exchange.depth(row["code"], 65_535)
        bids, asks = (show_m3(sum(level[1] for level in side) * row["lot_l"]) for side in depth)
        return f"{bids} / {asks}"

    print_table(
        "行情 Market（连续竞价为仿真 continuous mode is a simulation）",
        [
            ("品种", "instrument", lambda row: row["code"]),
            ("成交笔数", "trades>", lambda row: f"{row['trades']:,}"),
            ("成交量 m³", "volume>", lambda row: show_m3(row["volume_l"])),
            ("最新价 元/m³", "last>", lambda row: price(row["last"], row)),
            ("加权均价", "vwap>", lambda row: yuan_per_m3(row["amount_fen"], row["volume_l"])),
            ("买一/卖一", "best bid / ask>", best),
            ("挂单 m³", "resting bid / ask>", resting),
            ("手续费 元", "fees>", lambda row: show_yuan(row["fees_fen"])),
        ],
        rows,
        "各分区合并显示；无通道的分区之间不成交 zones shown together; without a passage they do not trade",
    )
    show_depth(exchange, rows[0]["code"])


def show_depth(exchange: Exchange, code: str, levels: int = 5) -> None:
    """Step 4: the best prices of one book."""
    terms = exchange.state.instruments[exchange.instrument(code)]
    depth = exchange.depth(code, levels)

    def level(row: tuple[int, int, int]) -> str:
        price, lots, orders = row
        return f"{yuan_per_m3(price * terms.tick_fen, terms.lot_l)} × {show_m3(lots * terms.lot_l):>7} m³ ({orders})"

    console.print(f"  {code} 盘口 depth, 价 price × 量 volume (笔 orders):")
    for number, (bid, ask) in enumerate(zip_longest(depth.bids, depth.asks), start=1):
        left, right = (level(row) if row else "–" for row in (bid, ask))
        console.print(f"    {number}  买 bid {left:<28}  卖 ask {right}")


def show_refused(attempts: Sequence[Attempt]) -> None:
    """Step 4: what had to be refused."""
    console.print("  应当拒绝的 what must be refused:")
    for attempt in attempts:
        right = attempt.found == attempt.expected
        mark = "[green]✓[/]" if right else "[red]✗[/]"
        shown = " / ".join(texts(attempt.found)[::-1])
        console.print(f"  {mark} {attempt.zh} {attempt.en} → {attempt.found} {shown}", soft_wrap=True)
    if any(attempt.found != attempt.expected for attempt in attempts):
        raise SystemExit(1)


def show_over_use(exchange: Exchange, found: OverUse) -> None:
    """Step 4: the pump that moved the book."""
    readings, removals, uses = found.answer.readings, found.answer.removals, found.answer.uses
    sold, rights = found.sold, exchange.state.rights
    console.print(
        f"  协议转让 agreement: {found.right} → {rights[sold.buyer_right].code} {show_m3(sold.volume_l)} m³, "
        f"{show_yuan(sold.amount_fen)} 元 yuan; 余水部分挂单 the rest is partly offered"
    )
    console.print(f"  超许可取水 over-use by {found.right}: 一帧报文 one frame {found.frame.hex().upper()[:32]}…")
    for name, (free, escrowed, over) in (("之前 before", found.before), ("之后 after ", found.after)):
        console.print(
            f"    {name} 可用 free {show_m3(free)} · 冻结 escrowed {show_m3(escrowed)} · 超用 over {show_m3(over)} m³"
        )
    seqs = np.concatenate([readings["seq"], removals["seq"], uses["seq"]])
    console.print(
        f"    同一决定 one decision, seq {seqs.min()}–{seqs.max()}: 撤回挂单 offers withdrawn {len(removals)} "
        f"({show_m3(int(removals['released'].sum()))} m³), "
        f"记超用 over-use booked {show_m3(int(uses['over_l'].sum()))} m³"
    )
    if not len(removals) or found.after[1] or not found.after[2]:
        raise SystemExit("the offers were not withdrawn")


def show_ledger(exchange: Exchange) -> None:
    """Step 5: holdings, use, refusals, trial balance and the checks."""
    heading(5, "账本", "the ledger")
    policy, rows = exchange.policy, exchange.holdings()
    most = sorted(rows, key=lambda row: -row["abstracted_l"])[:6] + [row for row in rows if row["over_use_l"]][:3]
    cells = [*columns.holdings_columns(policy), ("用水占比", "used>", columns.share_of)]
    shown = [cell for cell in cells if cell[1] not in ("year>", "township")]
    print_table("用水权持有与使用 Holdings and use", shown, most, f"{len(rows)} holdings in all")
    print_table(
        "拒绝原因 Refusals by reason",
        columns.refusal_columns(),
        exchange.query("SELECT * FROM refusals ORDER BY count DESC"),
    )
    console.print("  试算平衡 trial balance:")
    for unit, total in sorted(exchange.totals().items()):
        name = "资金 money" if unit < 0 else f"{policy.sources[unit // 10_000].zh} {unit % 10_000}"
        console.print(f"    {name}: {show_yuan(total) if unit < 0 else show_m3(total)}")
    check_state(exchange.state)
    console.print(
        f"  [green]✓[/] 各单位合计为零，{len(exchange.state.caps)} 项上限均未突破 sums are zero, every cap holds"
    )


def show_replay(replayed: Exchange, live: str, found: str, seconds: float) -> None:
    """Step 6: the ledger read from disk again; reading checks each record against the hash of the one before."""
    heading(6, "重开", "closed and opened again from disk")
    facts = replayed.state.next_seq - 1
    console.print(f"  链完整 chain verified: {replayed.position:,} records, {facts:,} facts in {seconds:.2f} s")
    console.print(
        f"  实时状态 live     {live}\n  回放状态 replayed {found} {'[green]✓[/]' if live == found else '[red]✗[/]'}"
    )


def show_next_day(path: Path, seconds: float) -> None:
    """What a user may do next."""
    size = path.stat().st_size / 2**20
    console.print(f"\n[bold]{seconds:.1f} s[/], {path} ({size:.1f} MiB). 接下来 next:")
    for command in ("holdings", "usage", "trades", "readings", "journal", "audit verify"):
        console.print(f"  .venv/bin/shuiquan {command} --ledger {path}")
