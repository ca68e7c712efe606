"""A study fetched from a PACS: QIDO-RS says which series of MR it has, WADO-RS brings them as they are stored there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from brainseg_runtime.errors import (
    DestinationError,
    NodeConflictError,
    NodeError,
    NodeFullError,
    UnknownStudyError,
    UsageError,
)
from brainseg_runtime.node.config import Destination, NodeConfig
from brainseg_runtime.node.dicomweb import ANSWER_SECONDS, CONNECT_SECONDS, session_of
from brainseg_runtime.node.receiving.identity import is_uid
from brainseg_runtime.node.receiving.multipart import MultipartError
from brainseg_runtime.node.receiving.parts import DicomBody, Outcome
from brainseg_runtime.node.receiving.taking import Intake, Refusal
from brainseg_runtime.node.records import Caller
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log

if TYPE_CHECKING:
    from requests import Session

_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PIECE: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What a fetch brought.

    Attributes:
        key: The study's key.
        series: Series of MR that the PACS has.
        kept: Images that are taken, or were there.
        refused: Images that are not taken, such as those that are no MR images.
    """

    key: str
    series: int
    kept: int
    refused: int


def pull_from(config: NodeConfig) -> Destination:
    """The PACS that studies are fetched from.

    Raises:
        NodeConflictError: None is configured.
    """
    services = [each for each in config.send if each.kind == "stow" and each.url]
    named = [each for each in services if config.pull in {None, each.name}]
    if not named:
        raise NodeConflictError(
            "there is no PACS to fetch from",
            expected='a destination of kind "stow" with its url' + (", named by pull" if config.pull else ""),
            got=", ".join(each.name for each in services) or "none",
        )
    return named[0]


def fetch_study(study_uid: str, *, config: NodeConfig, store: Store, log: Log) -> Fetched:
    """Fetch the MR images of a study.

    Args:
        study_uid: Its StudyInstanceUID.
        config: The node's settings.
        store: Takes the images.
        log: The node's log.

    Raises:
        UsageError: That is no UID, or the PACS's token or certificates cannot be read.
        NodeConflictError: No PACS is configured.
        DestinationError: The PACS cannot be reached, or answers what cannot be read.
        UnknownStudyError: It does not have the study, or nothing in it is an MR image.
        NodeFullError: No image is taken at present, or not all of them.

    A study of which a part came only is quarantined.
    """
    if not is_uid(study_uid):
        raise UsageError("the study cannot be fetched", expected="a StudyInstanceUID", got="something else")
    source = pull_from(config)
    key = store.key_of(study_uid)
    log.event("fetch_started", study=key)
    try:
        with store.fetching(key):
            fetched = _fetch(study_uid, source, config, store, log)
    except NodeError:
        log.event("fetch_failed", study=key)
        raise
    log.event("fetch_ended", study=key, images=fetched.kept)
    return fetched


def _fetch(study_uid: str, source: Destination, config: NodeConfig, store: Store, log: Log) -> Fetched:
    """Fetch from a PACS."""
    import requests

    url = (source.url or "").rstrip("/")
    intake = Intake(store, config.intake, log)
    caller = Caller(aet="", host=urlsplit(url).hostname or "", way="fetch")
    outcome = Outcome()
    try:
        with session_of(source) as session:
            series = _series(url, session, study_uid)
            for each, number in series.items():
                body_url = f"{url}/studies/{study_uid}/series/{each}"
                before = len(outcome.kept) + len(outcome.refused)
                _retrieve(body_url, session, study_uid, config, intake, caller, outcome)
                _require_all(number, len(outcome.kept) + len(outcome.refused) - before)
    except (requests.RequestException, OSError, RecursionError, MultipartError) as error:
        raise DestinationError(
            "the study cannot be fetched",
            expected=f"answers of the DICOMweb service of {source.name}",
            got=_said(error),
            remedy="see that its url, token and TLS files are right",
        ) from error
    if not outcome.kept:
        later = any(refusal.transient for _, refusal in outcome.refused)
        raise (NodeFullError if later else UnknownStudyError)(
            "nothing was fetched",
            expected="a node that takes images" if later else "a study with MR images",
            got=f"series of MR: {len(series)}, refused images: {len(outcome.refused)}",
            remedy="see /ready, and fetch it again" if later else "see that the PACS has MR series of the study",
        )
    _require_whole(outcome)
    store.association_released({study_uid})
    return Fetched(
        key=store.key_of(study_uid), series=len(series), kept=len(outcome.kept), refused=len(outcome.refused)
    )


def _require_all(number: int | None, came: int) -> None:
    """Refuses a series of which fewer images came than the PACS says it has."""
    if number is not None and came < number:
        raise MultipartError(f"a series of {number} images came with {came}")


def _require_whole(outcome: Outcome) -> None:
    """Refuses a study of which images were refused that belong to it."""
    lost = [refusal for _, refusal in outcome.refused if refusal is not Refusal.SOP_CLASS]
    if lost:
        raise (NodeFullError if any(each.transient for each in lost) else NodeError)(
            "a part of the study was fetched",
            expected="every MR image",
            got=f"{len(lost)} refused: {', '.join(sorted({each.label for each in lost}))}",
            remedy="see /ready and the log, and fetch it again",
        )


def _series(url: str, session: Session, study_uid: str) -> dict[str, int | None]:
    """The study's series of MR, each with its number of images where the PACS tells it."""
    from dicomweb_client import DICOMwebClient

    client = DICOMwebClient(url, session, timeout=(CONNECT_SECONDS, ANSWER_SECONDS))
    client.set_http_retry_params(retry=False)  # somebody waits, and can ask again
    fields = ["SeriesInstanceUID", "NumberOfSeriesRelatedInstances"]
    found = client.search_for_series(study_uid, fields=fields, search_filters={"Modality": "MR"})
    try:
        numbers = {str(each["0020000E"]["Value"][0]): _number(each.get("00201209")) for each in found}
    except (LookupError, TypeError, AttributeError) as error:
        raise MultipartError("the answer to the search cannot be read") from error
    return {uid: numbers[uid] for uid in sorted(filter(is_uid, numbers))}


def _number(attribute: object) -> int | None:
    """A count of an answer in DICOM's JSON; some services write it as text."""
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    text = str(values[0]) if isinstance(values, list) and values else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _retrieve(
    url: str,
    session: Session,
    study_uid: str,
    config: NodeConfig,
    intake: Intake,
    caller: Caller,
    outcome: Outcome,
) -> None:
    """Retrieve a series."""
    timeout = (CONNECT_SECONDS, config.dicom.association_seconds)
    with session.get(url, headers={"Accept": _ACCEPT}, stream=True, timeout=timeout) as response:
        response.raise_for_status()
        body = DicomBody(
            response.headers.get("Content-Type", ""),
            intake,
            caller,
            study_uid=study_uid,
            most_parts=config.intake.max_study_instances,
        )
        left = config.intake.max_study_mib << 20
        try:
            for piece in response.iter_content(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise MultipartError("the series is too large")
                body.feed(piece)
            body.end()
        finally:
            body.discard()
            outcome.kept += body.outcome.kept
            outcome.refused += body.outcome.refused


def _said(error: Exception) -> str:
    """What went wrong, without the address and the UIDs in it that the library quotes."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    return str(error) if isinstance(error, MultipartError) else type(error).__name__
