"""The command `shuiquan`: puts the parts together and runs the command line."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ledger.codes import Code, Refused


def main() -> None:
    """Run the command line; a refusal ends with its text and exit status 1."""
    try:
        from adapters.cli.app import Product, build  # noqa: PLC0415 - an optional part
        from adapters.cli.show import print_refused  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        refusal = Refused(Code.EXTRA_MISSING, "package", missing.name, "pip install 'shuiquan[cli,registry]'")
        raise SystemExit(str(refusal)) from None
    try:
        build(
            Product(
                open_ledger,
                verify_ledger,
                run_demo,
                compile_kernels,
                run_bench,
                export_ledger,
                import_journal,
            )
        )()
    except Refused as refusal:
        print_refused(refusal)
        raise SystemExit(1) from None


def open_ledger(path: Path, **options: Any) -> Any:
    """An exchange on a ledger."""
    from shuiquan.opening import open_exchange  # noqa: PLC0415 - brings the compiler

    return open_exchange(path, **options)


def verify_ledger(path: Path, progress: Any) -> Any:
    """A verification of a ledger's journal, read beside a writer."""
    from adapters.stores.sqlite import SQLiteStore  # noqa: PLC0415
    from ledger.audit import verify  # noqa: PLC0415

    store = SQLiteStore(path, writable=False)
    try:
        return verify(store, progress)
    finally:
        store.close()


def export_ledger(path: Path, folder: Path, **options: Any) -> Any:
    """An export of a ledger, read beside a writer."""
    from shuiquan.exports import export_journal  # noqa: PLC0415

    return export_journal(path, folder, **options)


def import_journal(folders: list[Path], path: Path, **options: Any) -> Any:
    """A new ledger made of exports."""
    from shuiquan.exports import import_journal as make_ledger  # noqa: PLC0415

    return make_ledger(folders, path, **options)


def run_demo(out: Path, seed: int) -> None:
    """The Yongchuan pilot."""
    from shuiquan.demo.story import run  # noqa: PLC0415

    run(out, seed)


def compile_kernels() -> float:
    """Compile every kernel by using it once; returns seconds."""
    started = time.perf_counter()
    from shuiquan.demo.warm import compile_all  # noqa: PLC0415

    compile_all()
    return time.perf_counter() - started


def run_bench(arguments: list[str]) -> int:
    """The benchmark room, which nothing imports, in a process of its own."""
    return subprocess.call([sys.executable, "-m", "bench", *arguments])


if __name__ == "__main__":
    main()
