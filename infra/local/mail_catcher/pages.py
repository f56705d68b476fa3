"""The pages that show what was caught."""

from html import escape

from infra.local.mail_catcher.mails import CaughtMail

_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body{{font-family:system-ui,sans-serif;max-width:960px;margin:24px auto;padding:0 16px;color:#18181b}}
table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:8px;border-bottom:1px solid #e4e4e7}}
iframe{{width:100%;height:640px;border:1px solid #e4e4e7}}pre{{white-space:pre-wrap;background:#f4f4f5;padding:16px}}
</style></head><body>"""


def list_page(mails: list[CaughtMail]) -> str:
    """Show all of them, the newest first."""
    rows = "".join(
        f'<tr><td>{mail.taken_at:%H:%M:%S}</td><td>{escape(_recipients(mail))}</td><td><a href="/mails/{mail.id}">'
        f"{escape(str(mail.body['subject']))}</a></td></tr>"
        for mail in reversed(mails)
    )
    head = _HEAD.format(title="Caught e-mails")
    none = "" if mails else "<p>None yet. They are here as soon as the gateway sends one.</p>"
    return f"{head}<h1>Caught e-mails</h1><table>{rows}</table>{none}</body></html>"


def mail_page(mail: CaughtMail) -> str:
    """Show one: its head, its HTML without scripts, its text."""
    head = _HEAD.format(title=escape(str(mail.body["subject"])))
    named = {"From": mail.body["from"], "To": _recipients(mail), "Subject": mail.body["subject"]}
    headers = {**named, **(mail.body.get("headers") or {}), "Idempotency-Key": mail.idempotency_key or ""}
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in headers.items())
    # Links open outside the frame, in which nothing may run.
    frame = f'<iframe sandbox="allow-popups" srcdoc="{escape(_in_new_windows(mail))}"></iframe>'
    text = escape(str(mail.body.get("text", "")))
    shown = f"<table>{rows}</table><h2>HTML</h2>{frame}<h2>Text</h2><pre>{text}</pre>"
    return f'{head}<p><a href="/">All</a></p>{shown}</body></html>'


def _in_new_windows(mail: CaughtMail) -> str:
    return str(mail.body.get("html", "")).replace("<head>", '<head><base target="_blank">', 1)


def _recipients(mail: CaughtMail) -> str:
    recipients = mail.body["to"]
    return ", ".join(map(str, recipients)) if isinstance(recipients, list) else str(recipients)
