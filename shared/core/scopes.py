"""What a key may be allowed to do; each route asks for one of these, or for any key."""

from typing import Literal, get_args

Scope = Literal[
    "inference",
    "models:read",
    "account:read",
    "account:write",
    "keys:read",
    "keys:write",
    "billing:read",
    "billing:write",
    "history:read",
    "history:write",
]

# What someone who is signed in may do, and what his first key may.
USER_SCOPES: tuple[Scope, ...] = get_args(Scope)
