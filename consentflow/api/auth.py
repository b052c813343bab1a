"""Who may call what: API keys with roles."""

from http import HTTPStatus

from fastapi import HTTPException, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param

from consentflow.operations.keys import Caller, Keys, Role
from consentflow.rates import Rate


class _Requires(SecurityBase):
    """The dependency; FastAPI documents it, and solves it as one, since it runs for every request."""

    def __init__(self, roles: tuple[Role, ...]) -> None:
        self.model = HTTPBearer(description="An API key made by `consentflow keys create`.")
        self.scheme_name = "HTTPBearer"
        self._roles = frozenset({Role.ADMIN, *roles})

    async def __call__(self, request: Request) -> Caller:
        """Who calls."""
        scheme, key = get_authorization_scheme_param(request.headers.get("Authorization"))
        keys: Keys = request.app.state.parts.keys
        caller = await keys.caller_of(key) if key and scheme.lower() == "bearer" else None
        if caller is None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        if caller.role not in self._roles:
            raise HTTPException(HTTPStatus.FORBIDDEN)
        rate: Rate = request.app.state.parts.key_rate
        if wait := rate.wait_of(caller.name):
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": str(wait)})
        return caller


def requires(*roles: Role) -> _Requires:
    """A dependency that lets only keys of these roles pass, and admins; tells an endpoint that asks who calls."""
    return _Requires(roles)
