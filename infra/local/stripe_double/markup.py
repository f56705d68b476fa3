"""HTML of the double's pages: plain forms that need no script."""

import html
from collections.abc import Iterable, Mapping

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem; color: #1a1f36 }
form { margin: 1rem 0 } label { display: block; margin: .75rem 0 } input, select { font: inherit; width: 100% }
button { font: inherit; padding: .5rem 1rem } .error { color: #b3093c } .test { color: #8a5a00; font-size: .85rem }
li { margin: .25rem 0 }
"""


def page(title: str, *parts: str) -> str:
    """Return a whole page; parts are markup already."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>"
        f'<p class="test">Stripe double: test mode, no money moves</p><h1>{escape(title)}</h1>{"".join(parts)}'
        "</body></html>"
    )


def form(action: str, *parts: str, hidden: Mapping[str, str] | None = None) -> str:
    """Return a form that posts."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in (hidden or {}).items()
    )
    return f'<form method="post" action="{escape(action)}">{fields}{"".join(parts)}</form>'


def button(label: str, value: str) -> str:
    """Return a button that sends `action=<value>`; its id is the value."""
    return f'<button id="{escape(value)}" name="action" value="{escape(value)}">{escape(label)}</button> '


def text_field(label: str, name: str, value: str = "", *, kind: str = "text") -> str:
    """Return a labelled input."""
    shown = f'<input id="{escape(name)}" type="{kind}" name="{escape(name)}" value="{escape(value)}">'
    return f"<label>{escape(label)}{shown}</label>"


def choice(label: str, name: str, options: Iterable[tuple[str, str]]) -> str:
    """Return a labelled select of values and what they are called."""
    shown = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{escape(label)}<select id="{escape(name)}" name="{escape(name)}">{shown}</select></label>'


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph; its class is also its id."""
    return f'<p class="{kind}" id="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def link(text: str, url: str, name: str) -> str:
    """Return a link."""
    return f'<p><a id="{escape(name)}" href="{escape(url)}">{escape(text)}</a></p>'


def items(texts: Iterable[str]) -> str:
    """Return a list."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def money(amount: int, currency: str) -> str:
    """Return an amount as people write it."""
    if currency == "jpy":
        return f"{amount} JPY"
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02} {currency.upper()}"


def escape(text: str) -> str:
    """Return text that is safe in markup and in a quoted attribute."""
    return html.escape(text, quote=True)
