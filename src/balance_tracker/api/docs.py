"""Swagger UI and ReDoc, from files beside us: they work without internet.

The scripts come with the package ``fastapi-offline``, of which only the files are used.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

ASSETS = "/assets"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self' data:; worker-src blob:; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>balance-tracker: {title}</title>
<link rel="icon" href="data:,">
{head}
</head>
<body style="margin:0">
<div id="docs"></div>
<script src="/assets/{script}"></script>
<script src="/docs-start.js"></script>
</body>
</html>
"""
_START = """"use strict";
if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle({
    url: "/openapi.json", dom_id: "#docs", deepLinking: true, tryItOutEnabled: true,
    displayRequestDuration: true, validatorUrl: null, layout: "BaseLayout",
    presets: [window.SwaggerUIBundle.presets.apis, window.SwaggerUIBundle.SwaggerUIStandalonePreset],
  });
} else {
  window.Redoc.init("/openapi.json", { hideDownloadButton: false }, document.getElementById("docs"));
}
"""


def install(app: FastAPI) -> None:
    """Serve Swagger UI at ``/``, ReDoc at ``/redoc``, and their files at ``/assets``."""
    app.mount(ASSETS, _Assets(directory=_assets()), name="assets")
    app.add_api_route("/", _swagger, include_in_schema=False)
    app.add_api_route("/redoc", _redoc, include_in_schema=False)
    app.add_api_route("/docs-start.js", _start, include_in_schema=False)


class _Assets(StaticFiles):
    """Files that a browser may keep for a day."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with leave to keep it."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response


async def _swagger() -> Response:
    return _page("API", "swagger-ui-bundle.js", '<link rel="stylesheet" href="/assets/swagger-ui.css">')


async def _redoc() -> Response:
    return _page("reference", "redoc.standalone.js", "")


async def _start() -> Response:
    return Response(_START, media_type="text/javascript")


def _page(title: str, script: str, head: str) -> Response:
    page = _PAGE.format(title=title, script=script, head=head)
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


def _assets() -> Path:
    return Path(str(files("fastapi_offline") / "static"))
