"""Keys and tokens: what is secret, and what of it is stored."""

import hashlib
import hmac
import secrets

TOKEN_BYTES = 16
"""128 random bits; 22 characters in a link."""


def derive_key(secret: str, purpose: str) -> bytes:
    """One key per purpose from the service's secret (HKDF-Expand, RFC 5869, one block of SHA-256)."""
    return hmac.digest(secret.encode(), f"consentflow {purpose}".encode() + b"\x01", "sha256")


def new_token() -> str:
    """A fresh opaque token, safe in a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> bytes:
    """What is stored of a token or an API key. Both are random, so a plain SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()
