"""The command `shuiquan`: puts the parts together and runs the command line."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ledger.codes import Code, Refused


def main() -> None:
    """Run the command line; a refusal ends with its text and exit status 1."""
    try:
        from adapters.cli.app import build  # noqa: PLC0415 - an optional part
        from adapters.cli.show import print_refused  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        refusal = Refused(Code.EXTRA_MISSING, "package", missing.name, "pip install 'shuiquan[cli,registry]'")
        raise SystemExit(str(refusal)) from None
    try:
        build(product())()
    except Refused as refusal:
        print_refused(refusal)
        raise SystemExit(1) from None


def product() -> Any:
    """What the command line works on."""
    from adapters.cli.product import Product  # noqa: PLC0415

    return Product(
        open=open_ledger,
        notary=open_notary,
        verify=verify_ledger,
        facts=recorded_facts,
        replay=replay_ledger,
        rematch=rematch_ledger,
        clock=time.time_ns,
        demo=run_demo,
        back_up=back_up,
        restore=restore,
        export=export_ledger,
        import_journal=import_journal,
        compile=compile_kernels,
        bench=run_bench,
    )


def open_ledger(ledger: str, **options: Any) -> Any:
    """An exchange on a ledger."""
    from shuiquan.opening import open_exchange  # noqa: PLC0415 - brings the compiler

    return open_exchange(ledger, **options)


@contextmanager
def open_notary(ledger: str) -> Iterator[Any]:
    """A notary on a ledger's journal, read beside a writer."""
    from adapters.audit.notary import Notary  # noqa: PLC0415
    from shuiquan.config import parse_target  # noqa: PLC0415

    place = parse_target(ledger)
    with closing(place.open(writable=False)) as store:
        yield Notary(store, place.beside)


def verify_ledger(ledger: str, progress: Any, evidence: Any) -> Any:
    """A verification of a ledger's journal, read beside a writer, with the salt key beside it."""
    from adapters.audit.keys import Keys  # noqa: PLC0415
    from ledger.audit import verify  # noqa: PLC0415
    from shuiquan.config import parse_target  # noqa: PLC0415

    place = parse_target(ledger)
    with closing(place.open(writable=False)) as store:
        return verify(store, progress, evidence._replace(salt_key=Keys(place.beside).known_salt))


def recorded_facts(ledger: str) -> int:
    """How many facts a ledger holds, by the numbers in its last records."""
    from ledger.journal.seeking import last_seq  # noqa: PLC0415
    from shuiquan.config import parse_target  # noqa: PLC0415

    with closing(parse_target(ledger).open(writable=False)) as store:
        head = store.head()
        return last_seq(store, head.position) if head else 0


def replay_ledger(ledger: str, progress: Any, checkpoints: Any = (), *, from_snapshot: bool = False) -> Any:
    """A replay of a ledger's journal with every fact under watch."""
    from adapters.stores.snapshots import Snapshots  # noqa: PLC0415
    from ledger.audit.full_replay import replay_watched  # noqa: PLC0415
    from shuiquan.config import parse_target  # noqa: PLC0415

    place = parse_target(ledger)
    with closing(place.open(writable=False)) as store:
        start = Snapshots(place.beside).newest(store) if from_snapshot else None
        if from_snapshot and not start:
            raise Refused(Code.NOT_RECORDED, "snapshot", str(ledger), "a sound snapshot of this ledger")
        return replay_watched(store, progress, checkpoints, start)


def rematch_ledger(ledger: str, progress: Any, *, reference: bool = False) -> Any:
    """A rematch of a ledger's journal, by the compiled kernels or by the reference book."""
    from ledger.audit.reference_rematch import rematch_in_python  # noqa: PLC0415
    from ledger.audit.rematch import rematch  # noqa: PLC0415
    from ledger.replay import groups_after  # noqa: PLC0415
    from shuiquan.config import parse_target  # noqa: PLC0415

    with closing(parse_target(ledger).open(writable=False)) as store:
        return (rematch_in_python if reference else rematch)(groups_after(store, 0), progress)


def back_up(ledger: str, target: Path, **options: Any) -> Any:
    """A backup of a ledger in a file."""
    from adapters.stores import backup  # noqa: PLC0415
    from shuiquan.config import ledger_file  # noqa: PLC0415

    return backup.back_up(ledger_file(ledger), target, time.time_ns(), **options)


def restore(source: Path, ledger: str, **options: Any) -> Any:
    """A ledger in a file, from a backup."""
    from adapters.stores import backup  # noqa: PLC0415
    from shuiquan.config import ledger_file  # noqa: PLC0415

    return backup.restore(source, ledger_file(ledger), time.time_ns(), **options)


def export_ledger(ledger: str, folder: Path, **options: Any) -> Any:
    """An export of a ledger, read beside a writer."""
    from shuiquan.exports import export_journal  # noqa: PLC0415

    return export_journal(ledger, folder, **options)


def import_journal(folders: list[Path], ledger: str, **options: Any) -> Any:
    """A new ledger made of exports."""
    from shuiquan.exports import import_journal as make_ledger  # noqa: PLC0415

    return make_ledger(folders, ledger, **options)


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
