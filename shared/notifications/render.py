"""From facts to an e-mail: one template for each, one layout for all, as text and as HTML."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shared.core.integrations import PublicSettings
from shared.notifications import words
from shared.notifications.links import Subscription, unsubscribe_url
from shared.notifications.types import CATEGORIES, FACTS, Mail, Rendered

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
MAX_SUBJECT_LENGTH = 200
_EMPTY_LINES = re.compile(r"\n{3,}")


class Unsayable(Exception):
    """The facts are not what the template is made for: a fault of ours, which no other try mends."""


class Renderer:
    """Renders the mails of one gateway; Jinja is loaded at the first."""

    def __init__(self, public: PublicSettings, secret_keys: Sequence[str]) -> None:
        self._public = public
        self._secret_key = secret_keys[0]
        self._environments: dict[str, Environment] = {}

    def render(self, mail: Mail) -> Rendered:
        """Render a mail; the same facts give the same bytes, at every try.

        raises  Unsayable
        """
        import jinja2  # noqa: PLC0415

        unsubscribe = self._unsubscribe_url(mail)
        try:
            facts = _read_facts(mail)
            text, html = (self._environment(kind).get_template(f"{mail.template}.jinja") for kind in ("text", "html"))
            said: dict[str, Any] = {
                "mail": facts,
                "app_url": self._public.app_url,
                "gateway_url": self._public.gateway_url,
                "unsubscribe_url": unsubscribe,
            }
            subject = "".join(text.blocks["subject"](text.new_context(said)))
            said["subject"] = words.one_line(" ".join(subject.split()))[:MAX_SUBJECT_LENGTH]
            return Rendered(
                subject=said["subject"],
                text=_EMPTY_LINES.sub("\n\n", text.render(said)).strip() + "\n",
                html=html.render(said).strip() + "\n",
                headers=_list_headers(unsubscribe),
            )
        except (msgspec.MsgspecError, jinja2.TemplateError, KeyError) as error:
            raise Unsayable(f"{mail.template}: {type(error).__name__}: {error}") from error

    def page(self, name: str, **said: Any) -> str:
        """Render a page of ours in the layout of the mails, such as the one that asks before it unsubscribes."""
        template = self._environment("html").get_template(f"pages/{name}.jinja")
        return template.render(
            unsubscribe_url=None, app_url=self._public.app_url, gateway_url=self._public.gateway_url, **said
        )

    def _unsubscribe_url(self, mail: Mail) -> str | None:
        category = next((category for category in CATEGORIES if category == mail.category), None)
        if category is None:
            return None
        return unsubscribe_url(self._public.gateway_url, Subscription(mail.account_id, category), self._secret_key)

    def _environment(self, kind: str) -> "Environment":
        if kind not in self._environments:
            self._environments[kind] = _make_environment(kind)
        return self._environments[kind]


def _make_environment(kind: str) -> "Environment":
    """Make the environment in which `layout.jinja` and `parts.jinja` are those of the text, or of the HTML."""
    import jinja2  # noqa: PLC0415

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES / kind, TEMPLATES / "mails", TEMPLATES]),
        # A text mail has nothing that could be escaped; everything in the other is.
        autoescape=kind == "html",  # noqa: S701
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (words.dollars, words.cents, words.count, words.moment, words.month)
    environment.filters.update({each.__name__: each for each in filters})
    environment.tests["web_address"] = words.is_web_address
    return environment


def _read_facts(mail: Mail) -> msgspec.Struct:
    """Read what the database has written down, every text of it on one line.

    raises  KeyError, msgspec.MsgspecError
    """
    given = words.sayable(msgspec.json.decode(mail.data))
    # As JSON again: times in it are text.
    return msgspec.json.decode(msgspec.json.encode(given), type=FACTS[mail.template])


def _list_headers(unsubscribe: str | None) -> dict[str, str]:
    """Return what a mail program shows its own button by.

    source  https://www.rfc-editor.org/rfc/rfc8058#section-3.1
    """
    if unsubscribe is None:
        return {}
    return {"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
