"""The page: the built one where the wheel has it, otherwise a list of the studies without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.html.page import render
from brainseg_runtime.node.watching.answers import current_result, study_summary

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response

    from brainseg_runtime.node.store.store import Store

LISTED: Final = 200
"""Most studies that the list shows."""

LIST_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
"""What the page may do, as `web/offline.plugin.ts` writes it into the page itself: run and load its own files alone."""

MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
"""Types of the page's files. A machine's own table may lack some, and a browser runs no script of another type."""

_ISOLATED: Final = {
    "content-security-policy": f"{PAGE_POLICY}; frame-ancestors 'none'",
    "cross-origin-embedder-policy": "require-corp",
}
"""On every file of the page. With it and the guard's `cross-origin-opener-policy` WebAssembly has threads."""

_HASHED: Final = "assets"
"""The folder of files whose names hold their hash; one of another name is another file."""

_TEMPLATE: Final = Path(__file__).with_name("studies.html")


def add_page(app: FastAPI, store: Store, folder: Path) -> None:
    """Add what a browser shows at "/".

    Args:
        app: The application, with every other route; the page takes what they leave.
        store: The node's.
        folder: The built page, if it holds an `index.html`.
    """
    from fastapi.responses import HTMLResponse
    from starlette.staticfiles import StaticFiles

    class Page(StaticFiles):
        """Files that may run scripts of their own origin alone."""

        def file_response(self, full_path: object, *args: object, **kwargs: object) -> Response:
            response = super().file_response(full_path, *args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
            path = Path(str(full_path))
            kept = "public, max-age=31536000, immutable" if path.parent == folder / _HASHED else "no-cache"
            response.headers.update({**_ISOLATED, "cache-control": kept})
            if path.suffix in MEDIA_TYPES and "content-type" in response.headers:
                response.headers["content-type"] = MEDIA_TYPES[path.suffix]
            return response

    if (folder / "index.html").is_file():
        app.mount("/", Page(directory=folder, html=True), name="page")
        return

    def listed() -> HTMLResponse:
        return HTMLResponse(studies_page(store), headers={"content-security-policy": LIST_POLICY})

    app.add_api_route("/", listed, include_in_schema=False)


def page_paths(folder: Path) -> frozenset[str]:
    """The paths of the page's files as they are asked for; none if the page is not built.

    Args:
        folder: The built page, if it holds an `index.html`.
    """
    if not (folder / "index.html").is_file():
        return frozenset()
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return frozenset({"/", *(f"/{name}" for name in files)})


def studies_page(store: Store) -> str:
    """The list of the newest studies, HTML.

    Args:
        store: The node's.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    studies = []
    for row in store.studies(LISTED, None):
        result = current_result(store.results(row.key))
        studies.append((study_summary(row), None if result is None else result.made))
    counts = store.counts()
    facts = [*counts.studies.items(), ("draining", store.draining)]
    return render(_TEMPLATE, title="Studies", studies=studies, facts=facts, listed=LISTED)
