"""The live counter page."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from origin.answers import cacheable
from origin.parts import parts
from origin.security import PAGE_HEADERS

blueprint = Blueprint("page", __name__)

PAGE_KEY = "page"


@blueprint.get("/")
def get_page() -> Response:
    answer = make_response(
        render_template(
            "index.html",
            default=parts().values.default.name,
            counted=parts().values.configured("viewers"),
        )
    )
    answer.headers.update(PAGE_HEADERS)
    return cacheable(answer, PAGE_KEY)


@blueprint.after_app_request
def cache_static_files(answer: Response) -> Response:
    if request.endpoint == "static" and answer.status_code == 200:
        # Scripts of any site may read values; so its pages may load what reads them.
        answer.headers["Access-Control-Allow-Origin"] = "*"
        cacheable(answer, PAGE_KEY)
    return answer
