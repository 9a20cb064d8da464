"""The one door for hooks: ``POST /event``.

It answers 200 with an empty body whatever it was sent. A hook runs inside somebody's coding agent;
it must never be made to wait, to retry, or to show an error there. What went wrong is in our log.
"""

import json
import logging

from starlette.requests import Request
from starlette.responses import Response

from reactor import ActionCtx, http_action

from .events import store

log = logging.getLogger(__name__)


@http_action("POST", "/event")
async def receive_event(ctx: ActionCtx, request: Request) -> Response:
    """Store the event in the body; log the reason when that is not possible."""
    try:
        # Every JSON number is a float64 to us, also an integer that would not fit one exactly.
        event = json.loads(await request.body(), parse_int=float, parse_constant=_refuse)
        if not isinstance(event, dict):
            raise ValueError(f"expected a JSON object, got a {type(event).__name__}")
        await ctx.run_mutation(store, **event)
    except Exception as reason:
        log.warning("dropped an event: %s: %s", type(reason).__name__, reason)
    return Response(status_code=200)


def _refuse(constant: str) -> None:
    """NaN and the infinities, which Python reads although JSON has no such numbers."""
    raise ValueError(f"{constant} is not JSON")
