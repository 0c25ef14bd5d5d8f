"""The SDK's client, by a shorter way to the engine's socket, and with bounds to the time that it waits for answers."""

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import docker
from docker.transport import UnixHTTPAdapter
from requests import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict


class OnePoolAdapter(UnixHTTPAdapter):
    """Keeps connections for all requests; the SDK's keeps one for each address, and every container has its own."""

    def get_connection(self, url: str | bytes, proxies: object = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


bounds = threading.local()
"""``seconds``: what this thread gives the engine for each answer."""


class Client(docker.APIClient):
    """The SDK's, which keeps to the seconds of whoever asks; it would wait for ever for some answers.

    What it asks on the engine's socket goes to urllib3 by the shortest way: requests would take twice the time to find
    out, five times for each run, that there are no proxies, cookies, redirects and credentials there.
    """

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        **others: Any,
    ) -> Response:
        adapter = self.get_adapter(url)
        if not isinstance(adapter, OnePoolAdapter) or not isinstance(data, str | bytes | None) or others.get("json"):
            given = {"params": params, "data": data, "headers": headers, "stream": stream}
            return super().request(method, url, **given, **others)
        query = urlencode({name: value for name, value in (params or {}).items() if value is not None}, doseq=True)
        raw = adapter.get_connection(url).urlopen(
            method,
            f"/{url.partition('://')[2].partition('/')[2]}?{query}",
            body=data,
            headers=dict(headers or {}),
            timeout=bounds.seconds,
            retries=False,
            preload_content=False,
            decode_content=False,
        )
        return _response(raw, url, stream)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        return super().send(request, **{**kwargs, "timeout": bounds.seconds})


def _response(raw: Any, url: str, stream: bool) -> Response:
    """urllib3's response as requests has it; with its content, unless that is to be streamed."""
    response = Response()
    response.raw, response.url = raw, url
    response.status_code, response.reason, response.encoding = raw.status, raw.reason, "utf-8"
    response.headers = CaseInsensitiveDict(raw.headers)
    if not stream:
        _ = response.content  # which gives the connection back
    return response
