"""What AWS Lambda calls: `serverless.handler.handler`.

Importing this module is the cold start. It reads the same environment as the origin under gunicorn
and makes the same application, which connects to nothing before the first event. ConfigError, by
which the function's initialisation fails, when a setting is missing or wrong.
"""

from __future__ import annotations

from origin import create_app
from serverless.gateway import make_handler

handler = make_handler(create_app())
