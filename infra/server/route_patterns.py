"""Vercel's `source` patterns as regular expressions.

source  path-to-regexp 6 with strict, sensitive and delimiter "/", as @vercel/routing-utils calls it
"""

import re

NAMED = r":(?P<name>\w+)"
GROUP = r"\((?P<group>(?:[^()\\]|\\.)+)\)"
TOKEN = re.compile(
    rf"\\(?P<escaped>.)|(?P<prefix>[./])?(?:{NAMED}(?:{GROUP})?|{GROUP.replace('group', 'only')})(?P<modifier>[*+?])?"
)
DEFAULT_PATTERN = r"[^/#?]+?"
UNSUPPORTED = frozenset("{}()*+?")


def compile_route(source: str) -> re.Pattern[str]:
    """Compile a pattern; use its fullmatch.

    raises  ValueError for what path-to-regexp refuses or this translation does not know (groups in braces)
    """
    parts: list[str] = []
    position = 0
    for token in TOKEN.finditer(source):
        parts.append(_literal(source[position : token.start()], source))
        parts.append(_escaped_or_group(token))
        position = token.end()
    parts.append(_literal(source[position:], source))
    # The platform matches the path as it was sent, where a line break is still %0A.
    return re.compile("".join(parts), re.DOTALL)


def _literal(text: str, source: str) -> str:
    if UNSUPPORTED & set(text):
        raise ValueError(f"cannot read the route pattern {source!r}")
    return re.escape(text)


def _escaped_or_group(token: re.Match[str]) -> str:
    if token["escaped"]:
        return re.escape(token["escaped"])
    pattern = token["group"] or token["only"] or DEFAULT_PATTERN
    prefix, modifier = re.escape(token["prefix"] or ""), token["modifier"] or ""
    if modifier in ("*", "+") and prefix:
        optional = "?" if modifier == "*" else ""
        return f"(?:{prefix}((?:{pattern})(?:{prefix}(?:{pattern}))*)){optional}"
    if prefix:
        return f"(?:{prefix}({pattern})){modifier}"
    return f"((?:{pattern}){modifier})" if modifier in ("*", "+") else f"({pattern}){modifier}"
