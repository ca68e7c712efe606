"""The node's answers over a real socket: health, queue, files, draining; its OpenAPI document; and nothing leaks."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from brainseg_runtime.errors import NodeFullError, UsageError
from brainseg_runtime.node.config import Destination, HttpSettings, IntakeSettings, NodeConfig, RetentionSettings
from brainseg_runtime.node.fetch_route import fetch_router
from brainseg_runtime.node.receiving.stow import stow_router
from brainseg_runtime.node.watching.answers import ANSWERS
from brainseg_runtime.node.watching.app import create_app
from brainseg_runtime.node.watching.libraries import quieted
from brainseg_runtime.node.watching.log import Log
from tests.runtime.node.watching.made_queue import IDENTIFYING, PREVIEW, SEG, UIDS, MadeQueue, made_queue
from tests.runtime.node.watching.serving import raw, serving

TOKEN = "a-token-for-tests-" + "7" * 16
ERROR_KEYS = {"kind", "what", "expected", "got", "remedy"}


@dataclass
class Node:
    """A served application, its queue and its log."""

    queue: MadeQueue
    stream: io.StringIO
    log: Log
    client: httpx.Client
    port: int
    busy: list[str]
    woken: list[str]

    @property
    def done(self) -> str:
        return f"/studies/{self.queue.keys['done']}"


def served(folder: Path, http: HttpSettings, page: Path | None = None) -> Iterator[Node]:
    queue = made_queue(folder / "state")
    stream = io.StringIO()
    log = Log(stream)
    busy: list[str] = []
    away = Destination(name="web", kind="stow", url="http://127.0.0.1:9/dicom-web")
    config = NodeConfig(folder=folder / "state", http=http, intake=IntakeSettings(min_free_mib=0), send=(away,))
    routers = [fetch_router(queue.store, config, log), stow_router(queue.store, config, log)]
    woken: list[str] = []
    app = create_app(
        config,
        queue.store,
        log,
        not_ready=lambda: busy,
        wake=lambda: woken.append("all"),
        routers=routers,
        page=page or folder / "no-page",
    )
    with (
        quieted(log),
        serving(app, http, log) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield Node(queue, stream, log, client, port, busy, woken)
    queue.store.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    yield from served(tmp_path, HttpSettings(port=0))


@pytest.fixture
def locked_node(tmp_path: Path) -> Iterator[Node]:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    yield from served(tmp_path, HttpSettings(port=0, token_file=path))


def is_error(answer: httpx.Response, status: int) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json().values()
    return set(error) == ERROR_KEYS and bool(error["kind"]) and bool(error["what"])


def test_health_tells_that_the_process_answers(node: Node) -> None:
    assert node.client.get("/health").json()["alive"] is True


def test_ready_is_503_with_the_reason_while_nothing_is_taken(node: Node) -> None:
    assert node.client.get("/ready").json() == {"ready": True, "reasons": [], "draining": False}
    assert node.client.post("/drain").json() == {"draining": True}
    answer = node.client.get("/ready")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "reasons": ["draining"], "draining": True}
    assert node.client.delete("/drain").json() == {"draining": False}
    node.busy.append("receiver_stopped")
    answer = node.client.get("/ready")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["receiver_stopped"])


def test_the_queue_is_listed_newest_first_in_pages(node: Node) -> None:
    answer = node.client.get("/studies").json()
    keys = [each["key"] for each in answer["studies"]]
    assert sorted(keys) == sorted(node.queue.keys.values())
    assert answer["after"] is None
    seen: list[str] = []
    after: str | None = None
    while True:
        page = node.client.get("/studies", params={"limit": 1} | ({"after": after} if after else {})).json()
        seen += [each["key"] for each in page["studies"]]
        after = page["after"]
        if after is None:
            break
    assert seen == keys


def test_a_study_is_told_with_results_and_deliveries(node: Node) -> None:
    found = node.client.get(node.done).json()
    assert (found["study"]["state"], found["study"]["images"], found["preview"]) == ("done", 2, True)
    (result,) = found["results"]
    assert (result["volume_ml"], result["current"], result["seconds"]) == (12.5, True, {"segment": 1.5})
    assert [each["name"] for each in result["objects"]] == ["seg.dcm", "sc/0001.dcm"]
    assert {each["name"]: each["state"] for each in found["deliveries"]} == {
        "seg.dcm": "sent", "sc/0001.dcm": "waiting"
    }  # fmt: skip
    quarantined = node.client.get(f"/studies/{node.queue.keys['quarantined']}").json()
    assert quarantined["study"]["error"]["kind"] == "StudyError"
    assert quarantined["results"] == []


def test_the_picture_and_the_files_are_the_very_bytes(node: Node) -> None:
    picture = node.client.get(f"{node.done}/preview.png")
    assert (picture.content, picture.headers["content-type"]) == (PREVIEW, "image/png")
    seg = node.client.get(f"{node.done}/results/seg.dcm")
    assert (seg.content, seg.headers["content-type"]) == (SEG, "application/dicom")
    assert node.client.get(f"{node.done}/results/sc/0001.dcm").content == SEG + b"sc"


OTHER_FILES = (
    "study.json", "preview.png", "sc", "..", "../../../node.sqlite3", "..%2f..%2f..%2fkey", "%2e%2e/%2e%2e/key",
    "/etc/passwd", "sc/../seg.dcm", "seg.dcm/", "seg.dcm%00", "sc\\0001.dcm", "%252e%252e/key", "SEG.DCM", "",
)  # fmt: skip


def test_no_other_file_is_given_out(node: Node) -> None:
    for name in OTHER_FILES:
        request = f"GET {node.done}/results/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert raw(node.port, request.encode()).split(b" ", 2)[1] in (b"404", b"422"), name


def test_a_study_without_files_and_one_that_nobody_knows_are_404(node: Node) -> None:
    receiving = f"/studies/{node.queue.keys['receiving']}"
    for path in (f"{receiving}/preview.png", f"{receiving}/results/seg.dcm", f"/studies/{'0' * 16}", "/nothing"):
        assert is_error(node.client.get(path), 404)
    assert is_error(node.client.get(f"/studies/{UIDS['done']}"), 422)
    assert is_error(node.client.get("/studies", params={"after": "0" * 16}), 404)


def test_a_pacs_that_is_away_is_502(node: Node) -> None:
    assert is_error(node.client.post("/fetch", json={"study_uid": "1.2.3"}, timeout=60), 502)
    assert is_error(node.client.post("/fetch", json={"study_uid": "../x"}), 422)
    assert node.client.post("/dicom-web/studies", content=b"x").status_code == 415


def test_files_that_retention_deleted_are_404(node: Node) -> None:
    node.queue.later[0] = 3600.0
    while delivery := node.queue.store.due("pacs"):
        node.queue.store.accepted(delivery)
    node.queue.store.expire(RetentionSettings(inputs_hours=0, results_hours=0, quarantine_hours=0))
    assert is_error(node.client.get(f"{node.done}/preview.png"), 404)
    assert is_error(node.client.get(f"{node.done}/results/seg.dcm"), 404)
    assert is_error(node.client.post(f"{node.done}/rerun"), 404)


def test_a_study_is_run_again_and_sent_again(node: Node) -> None:
    answer = node.client.post(f"{node.done}/resend")
    assert answer.status_code == 202
    states = {each["state"] for each in node.client.get(node.done).json()["deliveries"]}
    assert states == {"waiting"}
    assert len(node.woken) == 1
    answer = node.client.post(f"{node.done}/rerun")
    assert (answer.status_code, answer.json()["state"], answer.json()["revision"]) == (202, "waiting", 2)
    assert is_error(node.client.post(f"{node.done}/rerun"), 409)
    assert is_error(node.client.post(f"/studies/{node.queue.keys['receiving']}/rerun"), 409)
    assert is_error(node.client.post(f"/studies/{'0' * 16}/resend"), 404)
    assert len(node.woken) == 2


ALLOWED = (
    ("POST", "/health", "GET"),
    ("GET", "/drain", "DELETE, POST"),
    ("PUT", "/drain", "DELETE, POST"),
    ("DELETE", "/studies", "GET"),
    ("GET", f"/studies/{'0' * 16}/rerun", "POST"),
    ("PATCH", "/", "GET"),
)


def test_a_method_that_is_not_allowed_is_405_and_the_others_are_named(node: Node) -> None:
    for method, path, allowed in ALLOWED:
        answer = node.client.request(method, path)
        assert is_error(answer, 405)
        assert answer.headers["allow"] == allowed, path


def test_a_full_disk_is_503_and_a_fault_of_ours_500_without_its_text(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise NodeFullError("the queue cannot be written", got="No space left on device")

    def broken(*_: object) -> None:
        raise RuntimeError("DOE^JOHN MRN-77")

    monkeypatch.setattr(node.queue.store, "studies", full)
    assert is_error(node.client.get("/studies"), 503)
    monkeypatch.setattr(node.queue.store, "studies", broken)
    answer = node.client.get("/studies")
    assert is_error(answer, 500)
    assert answer.headers["cache-control"] == "no-store"
    assert "DOE" not in answer.text + node.stream.getvalue()

    def faults() -> list[str]:
        lines = [json.loads(line) for line in node.stream.getvalue().splitlines() if "server_fault" in line]
        return [each["error"] for each in lines]

    end = time.monotonic() + 10
    while len(faults()) < 2 and time.monotonic() < end:  # a fault is logged after it was answered
        time.sleep(0.01)
    assert faults() == ["NodeFullError", "RuntimeError"]
    assert node.client.get("/health").status_code == 200


def test_the_page_lists_the_studies_without_scripts(node: Node) -> None:
    answer = node.client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    for key in node.queue.keys.values():
        assert f'href="/studies/{key}"' in answer.text
    assert "12.500" in answer.text
    assert "no series is FLAIR" in answer.text


def test_the_built_page_is_served_where_the_wheel_has_it(tmp_path: Path) -> None:
    for node in served(tmp_path, HttpSettings(port=0), built_page(tmp_path)):
        answer = node.client.get("/")
        assert "app.js" in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in answer.headers["content-security-policy"]
        assert node.client.get("/assets/app.js").text == "1"
        assert node.client.get("/health").json()["alive"] is True
        assert is_error(node.client.get("/no.js"), 404)
        for path in ("/../state/key", "/%2e%2e/state/key", "/..%2fstate%2fkey"):
            assert node.client.get(path).status_code == 404


def test_the_built_pages_files_have_types_isolation_and_caching(tmp_path: Path) -> None:
    for node in served(tmp_path, HttpSettings(port=0), built_page(tmp_path)):
        types = {"/": "text/html", "/sw.js": "text/javascript", "/assets/app.js": "text/javascript"}
        types |= {"/assets/net.wasm": "application/wasm", "/assets/ort.mjs": "text/javascript"}
        for path, media_type in types.items():
            headers = node.client.get(path).headers
            assert headers["content-type"] == media_type
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["cross-origin-embedder-policy"] == "require-corp"
            hashed = path.startswith("/assets/")
            assert headers["cache-control"] == ("public, max-age=31536000, immutable" if hashed else "no-cache")
        etag = node.client.get("/").headers["etag"]
        assert node.client.get("/", headers={"if-none-match": etag}).status_code == 304
        assert node.client.get("/studies").headers["cache-control"] == "no-store"


def test_the_page_comes_without_a_token_and_nothing_else_does(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    for node in served(tmp_path, HttpSettings(port=0, token_file=token), built_page(tmp_path)):
        for path in ("/", "/index.html", "/assets/app.js", "/sw.js"):
            assert node.client.get(path).status_code == 200
            assert node.client.get(path, headers={"host": "rebound.example"}).status_code == 400
        for path in ("/health", "/studies", node.done, f"{node.done}/preview.png", "/metrics", "/assets", "/no.js"):
            assert is_error(node.client.get(path), 401)
        assert is_error(node.client.post("/"), 401)
        assert is_error(node.client.delete("/drain"), 401)


def built_page(folder: Path) -> Path:
    """A page's files as the build makes them, without what they do."""
    page = folder / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><script src=assets/app.js></script>")
    (page / "sw.js").write_text("1")
    for name in ("app.js", "net.wasm", "ort.mjs"):
        (page / "assets" / name).write_text("1")
    return page


def test_nothing_is_told_without_the_token(locked_node: Node) -> None:
    node = locked_node
    for path in ("/", "/health", "/ready", "/metrics", "/studies", node.done, "/openapi.json", "/nothing"):
        answer = node.client.get(path)
        assert is_error(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert node.client.get(path, headers={"authorization": f"Bearer {TOKEN[:-1]}"}).status_code == 401
    assert node.client.get("/studies", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert TOKEN not in node.stream.getvalue()


def test_a_node_that_everybody_could_ask_does_not_start(tmp_path: Path) -> None:
    queue = made_queue(tmp_path / "state")
    config = NodeConfig(http=HttpSettings(host="0.0.0.0"))  # noqa: S104 - the point
    with pytest.raises(UsageError, match="nothing says who may ask"):
        create_app(config, queue.store, Log(io.StringIO()))
    queue.store.close()


def test_every_field_of_every_answer_is_described(node: Node) -> None:
    document = node.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for each in ANSWERS:
        schema = schemas[each.__name__]
        assert schema["description"]
        assert "Attributes" not in schema["description"]
        for name, described in schema["properties"].items():
            assert described.get("description"), f"{each.__name__}.{name}"


EXPECTED = """
[[operations]]
include-name = "GET /ready"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]

[[operations]]
include-name = "POST /fetch"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 502, 503]

[parameters]
key = "{key}"
name = "seg.dcm"
"""
"""A node that is draining says so by 503, one whose PACS is away by 502; and a study that is there."""


def test_schemathesis_finds_nothing(locked_node: Node, tmp_path: Path) -> None:
    node = locked_node
    (tmp_path / "schemathesis.toml").write_text(EXPECTED.replace("{key}", node.queue.keys["done"]))
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{node.client.base_url}/openapi.json", "--checks", "all",
        "--max-examples", "12", "--seed", "1", "--no-color", "--header", f"Authorization: Bearer {TOKEN}",
        "--exclude-path-regex", "^/dicom-web/",  # multipart/related, which it cannot make
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout, done.stdout
    lines = [json.loads(line) for line in node.stream.getvalue().splitlines() if "server_fault" in line]
    assert {each["error"] for each in lines} <= {"DestinationError", "NodeFullError"}  # 502 and 503, as above


def test_no_name_identifier_date_or_uid_is_seen_anywhere(node: Node) -> None:
    seen = ""
    for path in (
        "/",
        "/studies",
        "/metrics",
        "/ready",
        "/openapi.json",
        *(f"/studies/{key}" for key in node.queue.keys.values()),
    ):
        seen += node.client.get(path).text
    for path in ("/studies/DOE^JOHN", "/MRN-77/19700101", f"/studies/{UIDS['done']}/rerun", "/studies?after=DOE"):
        for method in ("GET", "POST", "DOE"):
            answer = node.client.request(method, path, headers={"x-patient": "DOE^JOHN", "user-agent": "MRN-77"})
            seen += answer.text
    raw(node.port, b"GET /DOE^JOHN HTTP/1.1\r\nHost: DOE.example\r\nX: 19700101\r\nConnection: close\r\n\r\n")
    raw(node.port, b"DOE^JOHN\r\n\r\n")
    seen += node.client.get("/metrics").text + node.stream.getvalue()
    seen += "".join(path.read_text() for path in node.queue.store.folder.audit.glob("*"))
    assert not [word for word in IDENTIFYING if word in seen]
    assert node.queue.keys["done"] in seen
