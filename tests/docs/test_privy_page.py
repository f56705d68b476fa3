"""The page's own JavaScript signs in: against a real gateway, with the local issuer's tokens."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.harness.gateways import RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id

ROOT = Path(__file__).parents[2]
MODULE = re.compile(r"^```js\n// gateway\.js\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOCAL = "http://127.0.0.1:8000"


def run(folder: Path, gateway: RunningGateway, *calls: str) -> list[Any]:
    """Run the page's module and return what these calls answered, one after the other."""
    (module,) = MODULE.findall((ROOT / "docs" / "privy-authentication.md").read_text())
    assert LOCAL in module
    (folder / "gateway.mjs").write_text(module.replace(LOCAL, gateway.url))
    script = "\n".join((
        'import { callGateway, signIn } from "./gateway.mjs";',
        "const told = [];",
        "const fail = ({ status, code }) => told.push({ status, code });",
        "const tell = (call) => call.then((answer) => told.push(answer), fail);",
        *(f"await tell({call});" for call in calls),
        "console.log(JSON.stringify(told));",
    ))  # fmt: skip
    (folder / "page.mjs").write_text(script)
    done = subprocess.run(("node", "page.mjs"), cwd=folder, capture_output=True, text=True, timeout=30, check=True)
    told = json.loads(done.stdout)
    assert isinstance(told, list)
    return told


def test_the_page_signs_someone_new_in_and_twice_at_once_shows_one_key_twice(
    gateway: RunningGateway, privy: PrivyTokens, tmp_path: Path
) -> None:
    token = json.dumps({"identity_token": privy.identity(new_privy_id(), "ada@example.com")})
    (both,) = run(tmp_path, gateway, f"Promise.all([signIn({token}), signIn({token})])")
    assert both[0] == both[1]
    assert both[0]["is_new_user"] is True
    assert both[0]["api_key"].startswith("gw_live_")


def test_the_page_calls_as_whoever_is_signed_in_and_names_what_went_wrong(
    gateway: RunningGateway, privy: PrivyTokens, tmp_path: Path
) -> None:
    token = privy.access(new_privy_id())
    call = f'callGateway("/v1/generations/gen_{"0" * 32}", {json.dumps(token)})'
    told = run(tmp_path, gateway, call, f"signIn({json.dumps({'token': token})})", call, 'signIn({ token: "x.y.z" })')
    assert told[0] == {"status": 401, "code": "sign_in_required"}
    assert told[1]["is_new_user"] is True
    assert told[2] == {"status": 404, "code": "generation_not_found"}
    assert told[3] == {"status": 401, "code": "invalid_token"}


def test_the_page_deletes_what_is_answered_without_a_body(
    gateway: RunningGateway, privy: PrivyTokens, tmp_path: Path
) -> None:
    token = json.dumps(privy.access(new_privy_id()))
    keys = f'callGateway("/user/api-keys", {token})'
    revoked = f'callGateway(`/user/api-keys/${{data[0].id}}`, {token}, {{ method: "DELETE" }})'
    revoke = f"{keys}.then(({{ data }}) => {revoked})"
    told = run(tmp_path, gateway, f"signIn({{ token: {token} }})", revoke, keys)
    assert told[1] is None
    assert told[2]["data"] == []
