"""Commands that ask a ledger: holdings, use, trades and readings, now or as of a time."""

from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import App, Parameter

from adapters.cli import columns, queries
from adapters.cli.options import AsOf, Json, Ledger, Limit, OpenLedger, asked, moment
from adapters.cli.show import SHOWN_TO_PEOPLE, Cell, print_json, print_table
from projections.places import EVER

MeasuredAsOf = Annotated[
    str | None, Parameter(name="--measured-as-of", help="readings measured up to a time, whenever they came in")
]


def show(title: str, cells: list[Cell], rows: Iterable[dict[str, Any]], limit: int | None, *, json: bool) -> None:
    """Print rows as JSON, or the first of them as a table with a note on what is left out."""
    listed = list(rows)
    shown = listed[: limit if limit is not None else None if json else SHOWN_TO_PEOPLE]
    if json:
        print_json(shown)
        return
    note = (
        f"{len(shown)} of {len(listed):,} rows; --limit N for more, --json for programs"
        if len(shown) < len(listed)
        else ""
    )
    print_table(title, cells, shown, note)


def add_queries(app: App, open_ledger: OpenLedger) -> None:
    """Commands that read a ledger."""

    @app.command
    def holdings(*, ledger: Ledger, as_of: AsOf = None, limit: Limit = None, json: Json = False) -> None:
        """Who holds how much. 用水权持有情况。

        Example: shuiquan holdings --ledger out/yongchuan.db --as-of 2024-06-05 --limit 5
        """
        with asked(open_ledger, ledger, as_of) as opened:
            show("用水权持有 Holdings", columns.holdings_columns(opened.policy), opened.holdings(), limit, json=json)

    @app.command
    def usage(*, ledger: Ledger, as_of: AsOf = None, limit: Limit = None, json: Json = False) -> None:
        """Who used how much, by month. 取用水量。

        Example: shuiquan usage --ledger out/yongchuan.db --json
        """
        with asked(open_ledger, ledger, as_of) as opened:
            show("取用水量 Use", columns.use_columns(), opened.usage(), limit, json=json)

    @app.command
    def trades(*, ledger: Ledger, as_of: AsOf = None, limit: Limit = None, json: Json = False) -> None:
        """Every trade: fills of the book and agreements. 成交记录。

        Example: shuiquan trades --ledger out/yongchuan.db
        """
        with asked(open_ledger, ledger, as_of) as opened:
            cells = columns.trade_columns(opened.policy.zone, {})
            show("成交 Trades", cells, queries.trade_rows(opened), limit, json=json)

    @app.command
    def readings(
        *, ledger: Ledger, meter: str = "", as_of: AsOf = None, measured_as_of: MeasuredAsOf = None,
        limit: Limit = None, json: Json = False,
    ) -> None:  # fmt: skip
        """Every meter reading and what became of it. 计量读数。

        Example: shuiquan readings --ledger out/yongchuan.db --meter YC-M-0003 --measured-as-of 2024-06-30

        Parameters
        ----------
        meter
            Code of one meter.
        """
        with asked(open_ledger, ledger, as_of) as opened:
            zone = opened.policy.zone
            until_ns = EVER if measured_as_of is None else moment("measured_as_of", measured_as_of, zone)
            rows = (
                row for row in queries.reading_rows(opened)
                if meter in ("", row["meter"]) and row["measured_at_ns"] <= until_ns
            )  # fmt: skip
            show("读数 Readings", columns.reading_columns(zone), rows, limit, json=json)
