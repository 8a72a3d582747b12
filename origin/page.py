"""The live counter page."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from origin.answers import cacheable
from origin.parts import parts

blueprint = Blueprint("page", __name__)

PAGE_KEY = "page"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@blueprint.get("/")
def get_page() -> Response:
    answer = make_response(render_template("index.html", default=parts().values.default.name))
    answer.headers.update(SECURITY_HEADERS)
    return cacheable(answer, PAGE_KEY)


@blueprint.after_app_request
def cache_static_files(answer: Response) -> Response:
    if request.endpoint == "static" and answer.status_code == 200:
        answer.headers["X-Content-Type-Options"] = "nosniff"
        cacheable(answer, PAGE_KEY)
    return answer
