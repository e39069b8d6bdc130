"""The guide for receivers: its code verifies what the shop signs, and nothing else."""

import base64
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from config.settings import PROJECT_ROOT
from security.webhook_signature import new_secret, signed_headers

pytestmark = pytest.mark.unit

BODY = '{"type":"order.created","data":{"total":74.90,"name":"Grün"}}'.encode()
_CALL = """
const [body, head, secret] = process.argv.slice(2);
process.exit(isGenuine(Buffer.from(body, "base64"), JSON.parse(head), secret) ? 0 : 3);
"""


def code_in(language: str) -> str:
    """The only block of this language in the guide."""
    text = (PROJECT_ROOT / "docs" / "webhooks.md").read_text()
    (code,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(code)


# Requests, and whether they are genuine.
CASES = {
    "genuine": True,
    "while a secret is rotated": True,
    "another secret": False,
    "another body": False,
    "another id": False,
    "an old one": False,
    "another version": False,
    "no signature": False,
}


def request_of(case: str) -> tuple[bytes, dict[str, str], str]:
    """Body, headers and secret of a case. Signed only now: a signature is good for some minutes, a run of all tests takes more."""
    old, new = new_secret(), new_secret()
    now = int(time.time())
    fresh = signed_headers([new], "msg", now, BODY)
    requests = {
        "genuine": (BODY, fresh, new),
        "while a secret is rotated": (BODY, signed_headers([new, old], "msg", now, BODY), old),
        "another secret": (BODY, fresh, old),
        "another body": (BODY + b" ", fresh, new),
        "another id": (BODY, fresh | {"webhook-id": "other"}, new),
        "an old one": (BODY, signed_headers([new], "msg", now - 3600, BODY), new),
        "another version": (
            BODY,
            fresh | {"webhook-signature": fresh["webhook-signature"].replace("v1", "v2")},
            new,
        ),
        "no signature": (BODY, fresh | {"webhook-signature": ""}, new),
    }
    assert requests.keys() == CASES.keys()
    return requests[case]


@pytest.mark.parametrize("case", CASES)
def test_python(case: str) -> None:
    namespace: dict[str, Any] = {}
    exec(code_in("python"), namespace)
    assert (namespace["received"](*request_of(case)) is not None) is CASES[case]


def test_typescript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no Node.js")
    # Types are all that JavaScript lacks of it.
    script = re.sub(r"(\w+): (Buffer|string|Record<string, string>)(?=[,)])", r"\1", code_in("typescript"))
    script = script.replace("): boolean {", ") {").replace("export ", "")
    (tmp_path / "guide.mjs").write_text(script + _CALL)
    for case, is_genuine in CASES.items():
        body, headers, secret = request_of(case)
        sent = base64.b64encode(body).decode()
        command = [node, str(tmp_path / "guide.mjs"), sent, json.dumps(headers), secret]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        assert ended.returncode == (0 if is_genuine else 3), (case, ended.stderr)
