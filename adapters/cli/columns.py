"""The columns of the tables that the command line prints, and how figures look to people."""

from typing import Any, Final
from zoneinfo import ZoneInfo

from adapters.cli.show import Cell
from ledger.codes import reason, texts
from ledger.policy import Policy
from ledger.units import show_m3, show_share, show_time, show_yuan

KINDS: Final = {"licence": "取水许可", "irrigation": "灌溉", "network": "管网", "regional": "区域"}


def code_text(number: int) -> str:
    """A code with its name and Chinese text, empty for none."""
    return f"{number} {reason(number).name} {texts(number)[1]}" if number else ""


def volume(name: str) -> Any:
    """A cell that shows litres as cubic metres."""
    return lambda row: show_m3(row[name])


def text(name: str) -> Any:
    """A cell that shows a value as it is."""
    return lambda row: str(row[name])


def time_cell(name: str, zone: ZoneInfo) -> Any:
    """A cell that shows nanoseconds as local time."""
    return lambda row: show_time(row[name], zone)


def holdings_columns(policy: Policy) -> list[Cell]:
    """Columns of the holdings table."""
    sources, townships = ({label.code: label.zh for label in labels} for labels in (policy.sources, policy.townships))
    return [
        ("用水权", "right", text("right")),
        ("持有人", "holder", lambda row: f"{row['party']} {row['name'] or '（个人）'}"),
        ("类型", "kind", lambda row: KINDS[row["kind"]]),
        ("水源", "source", lambda row: sources[row["source"]]),
        ("街镇", "township", lambda row: townships[row["township"]]),
        ("年度", "year>", text("year")),
        ("发放 m³", "issued>", volume("issued_l")),
        ("可用 m³", "free>", volume("free_l")),
        ("冻结 m³", "escrowed>", volume("escrowed_l")),
        ("已用 m³", "used>", volume("abstracted_l")),
        ("超用 m³", "over-use>", volume("over_use_l")),
        ("购入 m³", "bought>", volume("bought_l")),
        ("售出 m³", "sold>", volume("sold_l")),
    ]


def use_columns() -> list[Cell]:
    """Columns of use against rights."""
    return [
        ("用水权", "right", text("right")),
        ("持有人", "holder", lambda row: f"{row['party']} {row['name'] or '（个人）'}"),
        ("年度", "year>", text("year")),
        ("月份", "month>", text("month")),
        ("取水量 m³", "taken>", volume("volume_l")),
        ("其中超用 m³", "over-use>", volume("over_l")),
        ("读数区间", "intervals>", text("intervals")),
    ]


def trade_columns(zone: ZoneInfo, tick_yuan: dict[int, str]) -> list[Cell]:
    """Columns of the list of trades; `tick_yuan` gives the unit of price of each instrument."""
    return [
        ("编号", "seq>", text("seq")),
        ("时间", "time", time_cell("at_ns", zone)),
        ("品种", "instrument", text("instrument")),
        ("转让方", "seller", text("seller")),
        ("受让方", "buyer", text("buyer")),
        ("水量 m³", "volume>", volume("volume_l")),
        (f"单价 {tick_yuan.get(0, '元/m³')}", "price>", lambda row: row["price_yuan"]),
        ("金额 元", "amount>", lambda row: show_yuan(row["amount_fen"])),
        ("手续费 元", "fees>", lambda row: show_yuan(row["fees_fen"])),
        ("方式", "mode", text("mode")),
    ]


def reading_columns(zone: ZoneInfo) -> list[Cell]:
    """Columns of the list of readings."""
    return [
        ("编号", "seq>", text("seq")),
        ("计量时间", "measured", time_cell("measured_at_ns", zone)),
        ("到报时间", "received", time_cell("received_at_ns", zone)),
        ("计量设施", "meter", text("meter")),
        ("读数 m³", "register>", lambda row: "缺测" if row["value_l"] is None else show_m3(row["value_l"])),
        ("取水量 m³", "taken>", volume("volume_l")),
        ("处理", "outcome", lambda row: code_text(row["code"])),
    ]


def refusal_columns() -> list[Cell]:
    """Columns of refusals by reason."""
    return [
        ("对象", "what", text("kind")),
        ("代码", "code>", text("code")),
        ("原因", "reason", lambda row: texts(row["code"])[1]),
        ("", "", lambda row: texts(row["code"])[0]),
        ("次数", "count>", lambda row: f"{row['count']:,}"),
    ]


def share_of(row: dict[str, Any]) -> str:
    """Use of a holding as a share of what was issued."""
    return show_share(row["abstracted_l"], row["issued_l"])
