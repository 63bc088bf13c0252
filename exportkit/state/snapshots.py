"""What a job has delivered to its target so far, per key: Parquet, replaced whole by rename.

`snapshot.json` names the files that count, so a crash between two files leaves the old snapshot.
The delivered rows are those that a run accepted, without a copy, and those that were delivered
before and did not come again, `kept`. Beside them stand those that the destination refused, with
the values that it refused, so that they are not sent again before they change.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from exportkit.durable import make_folder, synced
from exportkit.engines.frames import KEPT, KEY, Engine, aligned
from exportkit.engines.parquet import SNAPSHOT_AWAY
from exportkit.errors import JournalError
from exportkit.state.folder import read_json, write_durably

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import narwhals as nw

VERSION = 1
REASON = "exportkit_reason"
FACTS = "snapshot.json"
"""The file that names those that count."""


class Share(Protocol):
    """Lets all runners see what is here under these paths, or is not any more."""

    def __call__(self, *paths: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot on disk. `columns` are those that were mapped when it was written.

    `target` and `key` are, for people, where the rows went and what told them apart.
    """

    folder: Path
    run_id: str
    columns: tuple[str, ...]
    rows: int
    delivered: Path
    refused: Path | None = None
    target: str = ""
    key: str = ""
    kept: Path | None = None

    @property
    def rows_files(self) -> tuple[Path, ...]:
        """The files with its rows."""
        files = (self.delivered, self.kept, self.refused)
        return tuple(path for path in files if path is not None)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a run has achieved, as held frames of the key and the columns.

    `delivered` were accepted, `removed` are out of the target, `refused` carry a REASON too.
    `left` are keys alone: they are still in the target, but for the sake of other jobs.
    """

    delivered: nw.LazyFrame[Any] | None = None
    removed: nw.LazyFrame[Any] | None = None
    refused: nw.LazyFrame[Any] | None = None
    left: nw.LazyFrame[Any] | None = None


def read_snapshot(folder: Path) -> Snapshot | None:
    """The snapshot in the folder, or None. Raises JournalError if it is damaged or newer."""
    path = folder / FACTS
    try:
        facts = read_json(path)
    except JournalError:
        raise _damaged(folder) from None
    if facts is None and not path.exists():
        return None
    try:
        if facts["version"] > VERSION:
            raise JournalError(
                f"the snapshot {folder} was written by a newer exportkit",
                hint="install the newer exportkit again; the snapshot was left as it is",
            )
        return Snapshot(
            folder,
            facts["run_id"],
            tuple(facts["columns"]),
            int(facts["rows"]),
            folder / facts["delivered"],
            None if facts["refused"] is None else folder / facts["refused"],
            facts["target"],
            facts["key"],
            None if facts["kept"] is None else folder / facts["kept"],
        )
    except (KeyError, TypeError, ValueError):
        raise _damaged(folder) from None


def rows_of(snapshot: Snapshot, engine: Engine) -> nw.LazyFrame[Any]:
    """The delivered rows: the key and the columns of the snapshot."""
    files = [path for path in (snapshot.delivered, snapshot.kept) if path is not None]
    return _joined([engine.load(path) for path in files], snapshot.columns)


def elder(folder: Path) -> Snapshot | None:
    """A snapshot that the same job has of another target, or by another key; None if none."""
    # A folder of another name is a copy that somebody keeps, of a damaged one perhaps.
    targets = sorted(folder.parent.glob("?" * len(folder.name)))
    found = [read_snapshot(other) for other in targets if other != folder]
    known = [snapshot for snapshot in found if snapshot is not None]
    return max(known, key=lambda snapshot: snapshot.run_id, default=None)


def others(folder: Path) -> list[Snapshot]:
    """The snapshots that other jobs have of the same target."""
    found = [
        read_snapshot(other / folder.name)
        for other in sorted(folder.parent.parent.glob("*"))
        if other != folder.parent and "." not in other.name  # no job's, but a copy that is kept
    ]
    return [snapshot for snapshot in found if snapshot is not None]


def fold(
    before: Snapshot | None,
    confirmed: Confirmed,
    engine: Engine,
    new: Snapshot,
    share: Share = lambda *_paths: None,
) -> Snapshot:
    """Write the snapshot that follows from the old one and what a run has confirmed.

    `new` says whose it is; its rows and files are filled in.
    """
    columns, folder, run_id = new.columns, new.folder, new.run_id
    settled = (confirmed.delivered, confirmed.removed, confirmed.left)
    gone = [frame.select(KEY) for frame in settled if frame is not None]
    delivered = [] if confirmed.delivered is None else [confirmed.delivered]
    refused = [] if confirmed.refused is None else [confirmed.refused]
    if before is not None:
        kept = aligned(rows_of(before, engine), columns)
        for keys in gone:
            kept = kept.join(keys, on=KEY, how="anti")
        delivered.insert(0, kept)
    if before is not None and before.refused is not None:
        still = aligned(engine.load(before.refused), [*columns, REASON])
        for keys in [*gone, *(frame.select(KEY) for frame in refused)]:
            still = still.join(keys, on=KEY, how="anti")
        refused.insert(0, still)
    make_folder(folder)
    path = _new_file(folder, "delivered", run_id, engine)
    rows = engine.keep(_joined(delivered, columns) if delivered else _none(engine, columns), path)
    refused_path = None
    if refused:
        refused_path = _new_file(folder, "refused", run_id, engine)
        if not engine.keep(_joined(refused, [*columns, REASON]), refused_path):
            refused_path = None
    return _publish(replace(new, rows=rows, delivered=path, refused=refused_path), engine, share)


def adopt(
    accepted: Path,
    new: Snapshot,
    engine: Engine,
    kept: nw.LazyFrame[Any] | None = None,
    rows: nw.LazyFrame[Any] | None = None,
    share: Share = lambda *_paths: None,
) -> Snapshot:
    """Take the accepted rows of a run, all of them confirmed, as the snapshot: no copy is made.

    `kept` are the rows that were delivered before, and did not come again. An engine that keeps
    what was delivered has the accepted `rows` itself, and writes them once more, beside the others.
    """
    make_folder(new.folder)
    path = _new_file(new.folder, "delivered", new.run_id, engine)
    others = [] if kept is None else [aligned(kept, new.columns)]
    if engine.keeps:
        whole = _joined([engine.load(accepted) if rows is None else rows, *others], new.columns)
        counted = engine.keep(whole, path)
        return _publish(replace(new, rows=counted, delivered=path), engine, share)
    os.link(accepted, path)
    more, kept_path = 0, None
    if others:
        kept_path = _new_file(new.folder, "kept", new.run_id, engine)
        more = engine.keep(_joined(others, new.columns), kept_path)
    rows_in_all = new.rows + more
    return _publish(replace(new, rows=rows_in_all, delivered=path, kept=kept_path), engine, share)


def _new_file(folder: Path, what: str, run_id: str, engine: Engine) -> Path:
    """A name that no snapshot has used: what counts now stays until the new one counts."""
    ending = KEPT if engine.keeps else ".parquet"
    return folder / f"{what}-{run_id}-{secrets.token_hex(3)}{ending}"


def _publish(snapshot: Snapshot, engine: Engine, share: Share) -> Snapshot:
    facts = {
        "version": VERSION,
        "run_id": snapshot.run_id,
        "columns": list(snapshot.columns),
        "rows": snapshot.rows,
        "delivered": snapshot.delivered.name,
        "refused": snapshot.refused.name if snapshot.refused else None,
        "kept": snapshot.kept.name if snapshot.kept else None,
        "target": snapshot.target,
        "key": snapshot.key,
    }
    synced(snapshot.folder)
    write_durably(snapshot.folder / FACTS, json.dumps(facts, indent=1).encode())
    # All runners see the new one before the old one is gone, wherever its rows are.
    share(snapshot.folder / FACTS, *snapshot.rows_files)
    counted = {FACTS, *(path.name for path in snapshot.rows_files)}
    for path in snapshot.folder.iterdir():
        if path.name not in counted:
            engine.forget(path)
    share(snapshot.folder)
    return snapshot


def _joined(frames: list[Any], columns: Sequence[str]) -> nw.LazyFrame[Any]:
    import narwhals as nw

    return nw.concat([frame.select(KEY, *columns) for frame in frames])


def _none(engine: Engine, columns: Sequence[str]) -> nw.LazyFrame[Any]:
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in (KEY, *columns)])
    return engine.table(schema.empty_table())


def _damaged(folder: Path) -> JournalError:
    return JournalError(f"{folder / 'snapshot.json'} is damaged", hint=SNAPSHOT_AWAY)
