"""Who may call what: API keys with roles."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from consentflow.operations.keys import Keys, Role

_bearer = HTTPBearer(auto_error=False, description="An API key made by `consentflow keys create`.")


def requires(*roles: Role) -> Callable[..., Awaitable[Role]]:
    """A dependency that lets only keys of these roles pass, and admins."""

    async def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Role:
        keys: Keys = request.app.state.parts.keys
        role = await keys.role_of(credentials.credentials) if credentials else None
        if role is None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        if role is not Role.ADMIN and role not in roles:
            raise HTTPException(HTTPStatus.FORBIDDEN)
        return role

    return check
