"""Headers that keep a browser from doing more with an answer than was meant."""

from __future__ import annotations

from flask import Flask, Response


def page_headers(*, form: str = "'none'") -> dict[str, str]:
    """On pages. They run and fetch nothing but what this site serves, and nobody may frame them.

    form: where forms may be sent.
    """
    return {
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self'",
                "connect-src 'self'",
                "base-uri 'none'",
                f"form-action {form}",
                "frame-ancestors 'none'",
            )
        ),
        "Referrer-Policy": "no-referrer",
    }


PAGE_HEADERS = page_headers()


def register(app: Flask) -> None:
    """On every answer: its type is what it says."""

    @app.after_request
    def no_sniffing(answer: Response) -> Response:
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer
