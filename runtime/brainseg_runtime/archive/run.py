"""An archive run from end to end: bundle and workers, the drive, tables, figures, pictures and the page."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.archive.engines.engine import Engine
from brainseg_runtime.archive.engines.local import LocalEngine, default_workers, threads_each
from brainseg_runtime.archive.finding.references import Reference, is_address
from brainseg_runtime.archive.finding.sources import ZIP_OF_PICTURES, Found, references, unpack_remedy
from brainseg_runtime.archive.ledger.drive import Drive
from brainseg_runtime.archive.ledger.ledger import LOCK, Ledger, require_same
from brainseg_runtime.archive.results.figures import Figures, figures
from brainseg_runtime.archive.results.outliers import Outlier
from brainseg_runtime.archive.results.page import PAGE, archive_page
from brainseg_runtime.archive.results.summary import FILE, Archive
from brainseg_runtime.archive.results.tables import write_tables
from brainseg_runtime.archive.working.job import Crew, Job, Preview, Settings
from brainseg_runtime.archive.working.rows import Entry, error_parts
from brainseg_runtime.archive.working.work import PREVIEW
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import BrainsegError, InputError, StudyError
from brainseg_runtime.inference.processor import inspect_processor
from brainseg_runtime.inference.providers import choose
from brainseg_runtime.isolation.messages import LoadRequest
from brainseg_runtime.prediction.layout import path_text
from brainseg_runtime.problems import grouped, printable
from brainseg_runtime.safe_io.files import make_folder, read_capped, write_bytes, write_json, write_text
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.version import __version__

PREVIEWS: Final = "previews"
_MOST_PREVIEW: Final = 64 << 20

EngineName = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run is asked for.

    Attributes:
        bundle: The model's folder.
        source: A folder, a list or an address.
        out: The folder for rows and objects.
        settings: What to compute and write.
        engine: Who has the work done.
        address: Of a Ray cluster; None: this machine.
        workers: How many; None: as many as pay.
        threads: Of each worker; None: all workers together take the usable cores.
        provider: ``auto`` or a provider's name.
        variant: ``auto`` or a variant's name.
        digest: Of the bundle's manifest, pinned; None accepts any.
        deadline: Seconds that one reference may take.
        memory_mib: Most memory of a local worker, MiB; None: no cap.
        retry_failed: Whether studies that failed before are tried again.
        previews: Whether pictures of the outliers are made.
    """

    bundle: Path
    source: str
    out: Path
    settings: Settings
    engine: EngineName = "local"
    address: str | None = None
    workers: int | None = None
    threads: int | None = None
    provider: str = "auto"
    variant: str = "auto"
    digest: str | None = None
    deadline: float = 1800.0
    memory_mib: int | None = None
    retry_failed: bool = False
    previews: bool = True


@dataclass(frozen=True, kw_only=True)
class Told:
    """Whom a run tells of its progress.

    Attributes:
        begun: Called once with a line on model, workers and engine.
        taken: Called with each reference's line.
    """

    begun: Callable[[str], object]
    taken: Callable[[Entry], object]


@dataclass(frozen=True, kw_only=True)
class _Model:
    """The model that all workers load."""

    digest: str
    name: str
    provider: str
    variant: str
    threshold: float | None


def run_archive(asked: Asked, *, cancelled: Callable[[], bool] = lambda: False, told: Told | None = None) -> Archive:
    """Segment every study of a source once.

    Args:
        asked: What to do.
        cancelled: Asked before each study; after a yes, those at hand are finished.
        told: Whom to tell.

    Returns:
        The whole in figures, as written to `archive.json`. A fault that stopped the run is in it, and its rows stay.

    Raises:
        BrainsegError: The run could not begin, or its results cannot be written.
    """
    _refuse_among(asked)
    model = _model(asked)
    source = references(asked.source, found := Found())
    with Ledger(asked.out) as ledger:
        require_same(asked.out, _decisive(asked, model))
        job = Job(work=ledger.work.absolute(), bundle=model.digest, settings=asked.settings, deadline=asked.deadline)
        crew = _crew(asked, model)
        if told is not None:
            told.begun(
                f"{model.name} ({model.variant}) on {model.provider}, {crew.count} x {crew.load.threads} threads"
            )
        engine = _engine(asked.engine, crew)
        try:
            drive = Drive(ledger, job, retry_failed=asked.retry_failed)
            ended = _driven(drive, engine, source, cancelled, told)
            made = figures(ledger.rows)
            listed = made.outliers
            if asked.previews and ended.status in {"complete", "faulty"}:
                listed = _with_previews(asked, listed, ledger, job, engine, cancelled)
        finally:
            engine.close()
        if ended.status == "complete" and not drive.counts.references:
            raise _nothing(asked, found)
        stopped = ended.status == "stopped"
        table = None if stopped else write_tables(asked.out, ledger.rows()).name
        whole = _whole(asked, model, crew, drive, ended, replace(made, outliers=listed), table, found)
        if not stopped:
            write_json(asked.out / FILE, to_json(whole))
            write_text(asked.out / PAGE, archive_page(whole, asked.out))
    return whole


def _nothing(asked: Asked, found: Found) -> InputError:
    """The error for a source without a study, which is a wrong path more often than an empty archive."""
    return InputError(
        f"{printable(asked.source)} holds no study",
        expected="folders of slices, DICOM or NIfTI files, or a list that names them",
        got="; ".join(grouped(found.left_out)) or "nothing",
        remedy=unpack_remedy() if any(each.kind == ZIP_OF_PICTURES for each in found.left_out) else None,
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a drive ended."""

    status: Literal["complete", "faulty", "interrupted", "stopped"]
    seconds: float
    fault: BrainsegError | None


def _driven(
    drive: Drive, engine: Engine, source: Iterable[Reference], cancelled: Callable[[], bool], told: Told | None
) -> _Ended:
    """Drive, and say how it ended."""
    begun = time.monotonic()
    fault: BrainsegError | None = None
    try:
        drive.run(engine, source, cancelled=cancelled, taken=_unheard if told is None else told.taken)
    except BrainsegError as error:
        fault = error
    seconds = time.monotonic() - begun
    if fault is not None:
        return _Ended("stopped", seconds, fault)
    if cancelled():
        return _Ended("interrupted", seconds, None)
    return _Ended("faulty" if drive.counts.n_failed else "complete", seconds, None)


def _unheard(entry: Entry) -> None:
    """Progress that nobody is told of."""
    del entry


def _whole(
    asked: Asked,
    model: _Model,
    crew: Crew,
    drive: Drive,
    ended: _Ended,
    made: Figures,
    table: str | None,
    found: Found,
) -> Archive:
    """The whole in figures."""
    return Archive(
        status=ended.status,
        n_in=drive.counts.n_in,
        n_done=drive.counts.n_done,
        n_failed=drive.counts.n_failed,
        n_skipped=drive.counts.n_skipped,
        n_known=drive.counts.n_known,
        n_duplicates=drive.counts.n_duplicates,
        n_slices=drive.slices,
        bundle={"path": path_text(asked.bundle), "digest": model.digest},
        provider=model.provider,
        variant=model.variant,
        threshold=model.threshold if asked.settings.threshold is None else asked.settings.threshold,
        settings=asked.settings.in_words,
        engine=asked.engine,
        workers=crew.count,
        seconds=round(ended.seconds, 3),
        first_seconds=None if drive.first_seconds is None else round(drive.first_seconds, 3),
        table=table,
        left_out=grouped(found.left_out),
        fault=None if ended.fault is None else error_parts(ended.fault),
        **{each.name: getattr(made, each.name) for each in fields(made)},
    )


def _with_previews(
    asked: Asked, listed: Sequence[Outlier], ledger: Ledger, job: Job, engine: Engine, cancelled: Callable[[], bool]
) -> tuple[Outlier, ...]:
    """The outliers with pictures, those of an earlier run kept; one that cannot be made is left out."""
    folder = asked.out / PREVIEWS
    make_folder(folder)
    missing: dict[str, list[Outlier]] = defaultdict(list)
    for each in listed:
        if not (folder / f"{each.id}.png").exists():
            missing[each.source].append(each)
    found = _found_again(asked.source, missing)
    while waiting := {name: missing[name].pop() for name in found if missing[name]}:  # one of each reference at a time
        previews = {name: Preview(name=each.name, slice=each.slice or 0) for name, each in waiting.items()}
        for answer in engine.run([found[name] for name in waiting], replace(job, previews=previews), cancelled):
            home = ledger.work / found[answer.source].key
            latest = max(home.glob(f"*/{PREVIEW}"), key=lambda path: int(path.parent.name), default=None)
            if answer.found and latest is not None:
                write_bytes(folder / f"{waiting[answer.source].id}.png", read_capped(latest, _MOST_PREVIEW))
            ledger.forget_work(found[answer.source])
    made = {each.id for each in listed if (folder / f"{each.id}.png").exists()}
    return tuple(replace(each, preview=f"{PREVIEWS}/{each.id}.png" if each.id in made else None) for each in listed)


def _found_again(source: str, names: Mapping[str, object]) -> dict[str, Reference]:
    """The references of some names, as far as the source still has them: rows and tables do not depend on it."""
    found: dict[str, Reference] = {}
    if names:
        with suppress(InputError, StudyError):
            found.update((each.name, each) for each in references(source, Found()) if each.name in names)
    return found


def _model(asked: Asked) -> _Model:
    """The bundle, verified, and the provider and variant that all workers are to take."""
    bundle = open_bundle(asked.bundle, digest=asked.digest, limits=DEFAULT_LIMITS)
    manifest = bundle.manifest
    choice = choose(manifest, asked.provider, asked.variant, inspect_processor())
    return _Model(
        digest=bundle.digest,
        name=f"{manifest.name} {manifest.version}",
        provider=choice.provider,
        variant=choice.variant,
        threshold=manifest.threshold,
    )


def _crew(asked: Asked, model: _Model) -> Crew:
    """The workers."""
    count = asked.workers or default_workers()
    load = LoadRequest(
        path=asked.bundle.absolute(),
        digest=model.digest,
        provider=model.provider,
        variant=model.variant,
        threads=asked.threads or threads_each(count),
        limits=DEFAULT_LIMITS,
        sealed=True,
        memory_mib=asked.memory_mib,
    )
    return Crew(load=load, count=count, address=asked.address)


def _engine(name: EngineName, crew: Crew) -> Engine:
    """The engine of a name."""
    if name == "local":
        return LocalEngine(crew)
    from brainseg_runtime.archive.engines.ray_engine import RayEngine

    return RayEngine(crew)


def _decisive(asked: Asked, model: _Model) -> dict[str, str]:
    """What decides a row's and an object's bits, in words."""
    import onnxruntime

    ran: Mapping[str, str] = {
        "bundle": model.digest,
        "provider": model.provider,
        "variant": model.variant,
        "brainseg": __version__,
        "onnxruntime": onnxruntime.__version__,
    }
    return {**ran, **asked.settings.in_words}


def _refuse_among(asked: Asked) -> None:
    """Refuse an OUT inside the source, where results would be read as studies the next time.

    Raises:
        InputError: It lies there, or holds files of something else.
    """
    out = asked.out.resolve()
    source = None if is_address(asked.source) else Path(asked.source).resolve()
    if source is not None and source.is_dir() and source in {out, *out.parents}:
        raise InputError(
            f"the results would be written among the studies, in {out}",
            expected="a folder outside SOURCE",
            remedy="give another folder with -o",
        )
    if asked.out.exists() and not (asked.out / LOCK).exists() and any(asked.out.iterdir()):
        raise InputError(
            f"{asked.out} holds other files",
            expected="an empty folder, or one of an earlier brainseg archive",
            remedy="give another folder with -o",
        )
