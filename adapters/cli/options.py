"""Options that several commands take."""

from typing import Annotated

from cyclopts import Parameter

Ledger = Annotated[
    str, Parameter(name="--ledger", help="file of the ledger, such as out/yongchuan.db, or postgresql://user@host/name")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="print JSON for programs")]
Flag = Annotated[bool, Parameter(negative="")]
Limit = Annotated[int | None, Parameter(help="rows to print; a table shows 20, JSON all")]
