"""HTTP actions read forms with Starlette's own means."""

from __future__ import annotations

import asyncio
from types import ModuleType

import httpx
import pytest

from reactor import Reactor

SOURCE = """
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from reactor import ActionCtx, http_action

@http_action("POST", "/form")
async def form(ctx: ActionCtx, request: Request) -> PlainTextResponse:
    fields = await request.form()
    return PlainTextResponse(str(fields["name"]))
"""


@pytest.mark.parametrize(
    "body",
    [{"data": {"name": "ada"}}, {"files": {"name": (None, "ada")}}],
    ids=["urlencoded", "multipart"],
)
def test_a_form_is_read(body: dict[str, dict[str, str]]) -> None:
    module = ModuleType("forms")
    exec(SOURCE, module.__dict__)

    async def main() -> str:
        async with Reactor(module) as reactor:
            transport = httpx.ASGITransport(reactor.site_asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
                return (await client.post("/form", **body)).text

    assert asyncio.run(main()) == "ada"
