"""Headers that keep a browser from doing more with an answer than was meant."""

from __future__ import annotations

from flask import Flask, Response

# On pages. They run and fetch nothing but what this site serves, and nobody may frame them.
PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Referrer-Policy": "no-referrer",
}


def register(app: Flask) -> None:
    """On every answer: its type is what it says."""

    @app.after_request
    def no_sniffing(answer: Response) -> Response:
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer
