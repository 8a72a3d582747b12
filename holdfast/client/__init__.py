"""A client of Holdfast for Python programs: watch values, and change them.

    from holdfast.client import Client

    with Client("http://127.0.0.1:8080") as client:
        client.add("counter", 2)
        for release in client.watch("counter"):
            print(release.value)

docs/client.md, "In Python". It needs httpx and httpx-sse, and nothing else of Holdfast.
"""

from holdfast.client.client import Client as Client
from holdfast.client.errors import ClientError as ClientError
from holdfast.client.errors import RefusedError as RefusedError
from holdfast.client.errors import UnansweredError as UnansweredError
from holdfast.client.release import Accepted as Accepted
from holdfast.client.release import Release as Release
from holdfast.client.watch import State as State
