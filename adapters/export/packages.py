"""The packages of the extra `export`. Whoever imports this without them gets a refusal that names the line to type."""

from ledger.codes import Code, Refused

try:
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import ipc
except ModuleNotFoundError as missing:
    raise Refused(Code.EXTRA_MISSING, "package", missing.name, "pip install 'shuiquan[export]'") from None

__all__ = ["ipc", "pa", "pl", "pq"]
