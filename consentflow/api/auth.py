"""Who may call what: API keys with roles."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from consentflow.operations.keys import Caller, Keys, Role
from consentflow.rates import Rate

_bearer = HTTPBearer(auto_error=False, description="An API key made by `consentflow keys create`.")


def requires(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    """A dependency that lets only keys of these roles pass, and admins; tells an endpoint that asks who calls."""

    async def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        keys: Keys = request.app.state.parts.keys
        caller = await keys.caller_of(credentials.credentials) if credentials else None
        if caller is None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        if caller.role is not Role.ADMIN and caller.role not in roles:
            raise HTTPException(HTTPStatus.FORBIDDEN)
        rate: Rate = request.app.state.parts.key_rate
        if wait := rate.wait_of(caller.name):
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": str(wait)})
        return caller

    return check
