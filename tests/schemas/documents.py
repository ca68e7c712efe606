"""Every JSON that the commands write, as JSON Schema (Draft 2020-12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from brainseg_export.evidence.gate import Verdict
from brainseg_export.evidence.parity import Agreement
from brainseg_export.evidence.threshold import Calibration as ExportCalibration
from brainseg_runtime.archive.results.summary import Archive
from brainseg_runtime.archive.working.rows import Duplicate, Entry, Row
from brainseg_runtime.bundles.manifest import ChannelRange, FileEntry, Fingerprint, Manifest
from brainseg_runtime.commands.inspect import Inspection, StudyInspection
from brainseg_runtime.contract import CHANNELS
from brainseg_runtime.contract import SCHEMA as BUNDLE_SCHEMA
from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.inference.processor import Processor
from brainseg_runtime.installation.benchmark import BenchRow
from brainseg_runtime.installation.doctor import Diagnosis
from brainseg_runtime.installation.golden_files import SCHEMA as GOLDEN_SCHEMA
from brainseg_runtime.installation.golden_files import BundleName, GoldenIndex, RawArray
from brainseg_runtime.installation.verify import Verification
from brainseg_runtime.node.check import NodeChecks
from brainseg_runtime.node.config import SCHEMA as NODE_SCHEMA
from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.node import Listening
from brainseg_runtime.node.receiving.fetching import Fetched
from brainseg_runtime.node.store.audit import SCHEMA as AUDIT_SCHEMA
from brainseg_runtime.node.watching.answers import (
    DrainAnswer,
    ObjectAnswer,
    ReadyAnswer,
    ResultAnswer,
    StudiesAnswer,
    StudyAnswer,
    StudySummary,
)
from brainseg_runtime.prediction.record import BundleEntry, OutputFile, Predictions, SliceEntry
from brainseg_runtime.prediction.study_record import StudyEntry, StudyPredictions
from brainseg_runtime.studies.inspection import InspectedSeries
from brainseg_runtime.studies.written.record import Output, StudyRecord
from brainseg_train.comparison.leaderboard import SCHEMA as LEADERBOARD_SCHEMA
from brainseg_train.comparison.significance import Comparison
from brainseg_train.config import TrainConfig
from brainseg_train.data.check_report import Intensity, PatientReport, SiteReport
from brainseg_train.runs.records import EpochRecord, RunRecord
from tests.schemas.types import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    NUMBER,
    TEXT,
    Definitions,
    Schema,
    by_name,
    listed,
    nullable,
    record,
    told,
)

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

ERROR: Final = told(
    record(
        {name: nullable(TEXT) if name not in {"kind", "what"} else TEXT for name in ("kind", "what")}
        | {name: nullable(TEXT) for name in ("expected", "got", "remedy")},
        optional={"problems": listed(TEXT)},
    ),
    "What went wrong, what was expected, what came, and what to do about it.",
)
SHA256: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
TIME: Final = {"type": "string", "format": "date-time"}
MODEL: Final = {"path": TEXT, "digest": nullable(SHA256)}


def predictions(defs: Definitions) -> Schema:
    """`predictions.json`, and `brainseg predict --json`."""
    file = nullable(defs.ref(OutputFile, file=TEXT, sha256=SHA256))
    defs.ref(SliceEntry, mask=file, probability=file, overlay=file, error=nullable(ERROR))
    defs.ref(BundleEntry, **MODEL)
    return defs.ref(Predictions)


def studies(defs: Definitions) -> Schema:
    """`studies.json`, and `brainseg predict --json` on studies."""
    defs.ref(Output, sha256=SHA256)
    defs.ref(StudyEntry, error=nullable(ERROR))
    defs.ref(BundleEntry, **MODEL)
    return defs.ref(StudyPredictions)


def archive(defs: Definitions) -> Schema:
    """`archive.json`, and `brainseg archive --json`."""
    return defs.ref(Archive, fault=nullable(ERROR), bundle=record(MODEL))


def archive_entry(defs: Definitions) -> Schema:
    """A line of an archive's `rows.jsonl`."""
    defs.ref(Output, sha256=SHA256)
    defs.ref(Row, id=SHA256, pixels_sha256=nullable(SHA256), mask_sha256=nullable(SHA256), error=nullable(ERROR))
    defs.ref(Duplicate, id=SHA256)
    return defs.ref(Entry)


def inspection(defs: Definitions) -> Schema:
    """`brainseg inspect --json`."""
    defs.ref(InspectedSeries, fault=nullable(ERROR))
    defs.ref(StudyInspection, error=nullable(ERROR))
    return defs.ref(Inspection)


def evaluation(defs: Definitions) -> Schema:
    """`brainseg evaluate --json`."""
    scores = defs.ref(Evaluation)
    ran = {"bundle": nullable(TEXT), "digest": nullable(SHA256), "data": TEXT, "seconds": NUMBER}
    ran |= {"left_out": listed(TEXT), "versions": by_name(TEXT)}
    return _extended(defs, scores, {"stress": nullable(defs.ref(StressTable)), "run": record(ran)})


def bench(defs: Definitions) -> Schema:
    """`brainseg bench --json`."""
    wanted = {"provider": TEXT, "variant": TEXT, "batch": INTEGER, "threads": nullable(INTEGER)}
    machine = _extended(defs, defs.ref(Processor), {"system": TEXT, "release": TEXT})
    return record(
        {
            "rows": listed(defs.ref(BenchRow)),
            "refused": listed(record({**wanted, "error": ERROR})),
            "bundle": record(MODEL),
            "machine": machine,
        }
    )


def verification(defs: Definitions) -> Schema:
    """`brainseg verify --json`."""
    more = {"bundle": TEXT, "ok": FLAG, "provider": nullable(TEXT)}
    return defs.ref(Verification, path=None, digest=nullable(SHA256), **more)


def golden(defs: Definitions) -> Schema:
    """`index.json`, as `brainseg verify --write-golden` writes it."""
    defs.ref(BundleName, digest=SHA256)
    defs.ref(RawArray, sha256=SHA256, dtype={"enum": ["uint8", "float32"]})
    return defs.ref(GoldenIndex, schema={"const": GOLDEN_SCHEMA})


def doctor(defs: Definitions) -> Schema:
    """`brainseg doctor --json`."""
    return defs.ref(Diagnosis, ok=FLAG, exact_integers=FLAG)


def manifest(defs: Definitions) -> Schema:
    """`manifest.json` of a bundle."""
    defs.ref(FileEntry, sha256=SHA256)
    defs.ref(Fingerprint, channels=record(dict.fromkeys(CHANNELS, defs.ref(ChannelRange))))
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    return defs.ref(Manifest, schema={"const": BUNDLE_SCHEMA}, threshold=probability)


def check(defs: Definitions) -> Schema:
    """`brainseg-train check --json`: of a set that can be used, or of one with faults."""
    patient = defs.ref(PatientReport, intensity=record(dict.fromkeys(CHANNELS, defs.ref(Intensity))))
    report = record(
        {
            "data": TEXT,
            "digest": SHA256,
            "size": {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 2},
            **dict.fromkeys(("n_patients", "n_slices", "n_tumour_slices"), INTEGER),
            "burden": record(dict.fromkeys(("mean", "median", "min", "max"), NUMBER)),
            "sites": listed(defs.ref(SiteReport)),
            "patients": listed(patient),
            "n_persons": INTEGER,
            "persons": listed(record({"id": TEXT, "examinations": listed(TEXT)})),
            "persons_with_several": listed(TEXT),
            "missing_sequences": by_name(listed(TEXT)),
            "repeated_slices": listed(record({"slice": TEXT, "channel": TEXT})),
            "duplicates": listed(listed(TEXT)),
            "left_out": listed(TEXT),
        }
    )
    return {"oneOf": [report, record({"data": TEXT, "fault": ERROR})]}


def fault(defs: Definitions) -> Schema:  # noqa: ARG001 - of the others' form
    """`--json` of any command whose data set is faulty."""
    return record({"fault": ERROR}, optional={"data": TEXT})


def phantom(defs: Definitions) -> Schema:  # noqa: ARG001 - of the others' form
    """`brainseg-train phantom --json`."""
    return record({"data": TEXT, "patients": INTEGER, "seed": INTEGER})


def run(defs: Definitions) -> Schema:
    """`run.json` of a run."""
    return defs.ref(RunRecord, model=record({"name": TEXT, "width": INTEGER}), seed=INTEGER)


def history(defs: Definitions) -> Schema:
    """A line of a run's `history.jsonl`."""
    return defs.ref(EpochRecord)


def leaderboard(defs: Definitions) -> Schema:
    """`leaderboard.json`, and `brainseg-train all --json` and `report --json`."""
    trial = {
        "model": TEXT,
        "fold": INTEGER,
        "trial": INTEGER,
        "params": ANY_OBJECT,
        "configuration": TEXT,
        "status": TEXT,
        "stopped": nullable(TEXT),
        "epochs": INTEGER,
        "best_epoch": nullable(INTEGER),
        "validation": nullable(by_name(NUMBER)),
        "parameters": INTEGER,
        "timing": ANY_OBJECT,
    }
    return record(
        {
            "schema": {"const": LEADERBOARD_SCHEMA},
            "kind": TEXT,
            "preset": TEXT,
            "seed": INTEGER,
            "search": TEXT,
            "split_by": TEXT,
            "leaky": FLAG,
            "note": nullable(TEXT),
            "folds": nullable(INTEGER),
            "data_digest": SHA256,
            "split_digest": SHA256,
            "ranked_by": TEXT,
            "rows": listed(_row(defs)),
            "comparisons": listed(defs.ref(Comparison)),
            "verdict": TEXT,
            "baseline": record({"what": TEXT, "validation_dice": NUMBER}),
            "trials": listed(record(trial)),
            "timing": ANY_OBJECT,
        }
    )


def fit(defs: Definitions) -> Schema:
    """`brainseg-train fit --json`."""
    return record({"study": TEXT, "runs": listed(run(defs))}, optional={"row": _row(defs)})


def export(defs: Definitions) -> Schema:
    """`brainseg-export --json`."""
    agreement = _extended(defs, defs.ref(Agreement), {"mask_agreement": NUMBER})
    parity = {
        "type": "object",
        "properties": {"limit": NUMBER, "passed": FLAG},
        "additionalProperties": agreement,
    }
    candidate = {
        "variant": TEXT,
        "label": TEXT,
        "bytes": INTEGER,
        "dice": NUMBER,
        "parity": by_name(parity),
        "refused": by_name(TEXT),
    }
    measured = record(candidate, optional={"gate": by_name(defs.ref(Verdict))})
    bundle = {
        "model": TEXT,
        "path": TEXT,
        "digest": SHA256,
        "run": TEXT,
        "reason": TEXT,
        "calibration": defs.ref(ExportCalibration),
        "files": by_name(INTEGER),
        "variants": by_name(measured),
        "tried": listed(measured),
        "left_out": by_name(TEXT),
        "latency_ms": by_name(by_name(NUMBER)),
        "stress": nullable(defs.ref(StressTable)),
    }
    failed = {**ERROR, "properties": {"model": TEXT, **ERROR["properties"]}, "required": ["model", *ERROR["required"]]}
    return record({"bundles": listed(record(bundle)), "faults": listed(failed)})


def study(defs: Definitions) -> Schema:
    """`study.json`, in the folder of a segmented study."""
    defs.ref(Output, sha256=SHA256)
    return defs.ref(StudyRecord)


def node(defs: Definitions) -> Schema:
    """A node's configuration; TOML has no null: what is null is left out."""
    whole = defs.ref(NodeConfig, schema={"const": NODE_SCHEMA})
    for made in defs.made.values():
        made["additionalProperties"] = False
        made["required"] = ["name"] if "commitment" in made["properties"] else []
    return whole


def listening(defs: Definitions) -> Schema:
    """`brainseg serve --json`, once the node listens."""
    return defs.ref(Listening)


def node_checks(defs: Definitions) -> Schema:
    """`brainseg serve --check --json`."""
    return defs.ref(NodeChecks, ok=FLAG)


def node_status(defs: Definitions) -> Schema:
    """`brainseg node status --json`: `/ready` and `/studies` together."""
    defs.ref(StudiesAnswer)
    return _extended(defs, defs.ref(ReadyAnswer), defs.made["StudiesAnswer"]["properties"])


def node_study(defs: Definitions) -> Schema:
    """`/studies/KEY`."""
    defs.ref(ObjectAnswer, sha256=SHA256)
    defs.ref(ResultAnswer, input_sha256=SHA256, provenance=ANY_OBJECT)
    return defs.ref(StudyAnswer)


def node_summary(defs: Definitions) -> Schema:
    """`brainseg node rerun --json` and `resend --json`."""
    return defs.ref(StudySummary)


def node_drain(defs: Definitions) -> Schema:
    """`brainseg node drain --json`."""
    return defs.ref(DrainAnswer)


def node_fetch(defs: Definitions) -> Schema:
    """`brainseg node fetch --json`."""
    return defs.ref(Fetched)


def audit(defs: Definitions) -> Schema:  # noqa: ARG001 - of the others' form
    """A line of a node's audit: a study that was done, one sent again, or one that was given up."""
    every = {
        "schema": {"const": AUDIT_SCHEMA},
        "id": told(INTEGER, "The line's number; each is there once."),
        "ended": told(TIME, "When the revision ended."),
        "study": told({"type": "string", "pattern": "^[0-9a-f]{16}$"}, "The study's key."),
        "revision": told(INTEGER, "Grows by one each time that the study is opened again."),
        "received": told(TIME, "When its first image came."),
        "last_received": told(TIME, "When its last image came."),
        "images": told(INTEGER, "Number of images."),
        "bytes": told(INTEGER, "Of the images."),
        "images_sha256": told(SHA256, "Of the sorted digests of the images' content."),
        "senders": told(listed(record({"way": TEXT, "aet": TEXT, "host": TEXT, "images": INTEGER})), "By whom."),
    }
    sent = record(
        {
            "destination": TEXT,
            "kind": TEXT,
            "state": {"enum": ["sent", "committed", "quarantined", "superseded"]},
            "attempts": INTEGER,
            "accepted": nullable(TIME),
            "error": nullable(TEXT),
        }
    )
    done = {
        "event": {"enum": ["done", "resent"]},
        "current": told(FLAG, "Whether no later revision has replaced the result."),
        "made": told(TIME, "When the result was made."),
        "input_sha256": told(SHA256, "Of the images used."),
        "provenance": told(ANY_OBJECT, "Model, digests, provider, variant, threshold and versions."),
        "warnings": listed(TEXT),
        "objects": told(listed(record({"kind": TEXT, "sha256": SHA256})), "What was made."),
        "sent": told(listed(sent), "Where it went."),
    }
    given_up = {"event": {"const": "quarantined"}, "error": nullable(ERROR)}
    return {"oneOf": [record({**every, **done}), record({**every, **given_up})]}


DOCUMENTS: Final[Mapping[str, Callable[[Definitions], Schema]]] = {
    "predictions": predictions,
    "evaluation": evaluation,
    "bench": bench,
    "verification": verification,
    "golden": golden,
    "doctor": doctor,
    "manifest": manifest,
    "check": check,
    "fault": fault,
    "phantom": phantom,
    "run": run,
    "history": history,
    "leaderboard": leaderboard,
    "fit": fit,
    "export": export,
    "study": study,
    "studies": studies,
    "inspection": inspection,
    "node": node,
    "listening": listening,
    "node-checks": node_checks,
    "node-status": node_status,
    "node-study": node_study,
    "node-summary": node_summary,
    "node-drain": node_drain,
    "node-fetch": node_fetch,
    "audit": audit,
    "archive": archive,
    "archive-entry": archive_entry,
}
"""Each document's name, which is its file's, and what makes its schema."""


def document(name: str) -> Schema:
    """A whole schema, with everything that it refers to."""
    make = DOCUMENTS[name]
    defs = Definitions()
    body = make(defs)
    about = " ".join((make.__doc__ or "").split())
    head: dict[str, Any] = {"$schema": DRAFT, "$id": f"urn:brainseg:{name}", "title": about}
    return {**head, **body, **({"$defs": defs.made} if defs.made else {})}


def _row(defs: Definitions) -> Schema:
    """A network's line of the leaderboard."""
    timing = record({"seconds": NUMBER, "test_seconds": NUMBER, "runs": listed(TEXT)})
    return record(
        {
            "rank": INTEGER,
            "model": TEXT,
            "chosen": TEXT,
            "config": defs.ref(TrainConfig),
            "validation": by_name(NUMBER),
            "test": _extended(defs, defs.ref(Evaluation), {"dice": NUMBER}),
            "parameters": INTEGER,
            "epochs": INTEGER,
            "best_epoch": nullable(INTEGER),
            "leaky": FLAG,
            "timing": timing,
        }
    )


def _extended(defs: Definitions, base: Schema, more: Mapping[str, Schema]) -> Schema:
    """A dataclass's object with further keys."""
    whole = defs.made[base["$ref"].rpartition("/")[2]]
    return {
        **whole,
        "properties": {**whole["properties"], **more},
        "required": [*whole["required"], *more],
    }
