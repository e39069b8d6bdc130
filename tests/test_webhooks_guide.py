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


def cases() -> list[tuple[str, bytes, dict[str, str], str, bool]]:
    """Requests, and whether they are genuine."""
    old, new = new_secret(), new_secret()
    now = int(time.time())
    fresh = signed_headers([new], "msg", now, BODY)
    return [
        ("genuine", BODY, fresh, new, True),
        ("while a secret is rotated", BODY, signed_headers([new, old], "msg", now, BODY), old, True),
        ("another secret", BODY, fresh, old, False),
        ("another body", BODY + b" ", fresh, new, False),
        ("another id", BODY, fresh | {"webhook-id": "other"}, new, False),
        ("an old one", BODY, signed_headers([new], "msg", now - 3600, BODY), new, False),
        (
            "another version",
            BODY,
            fresh | {"webhook-signature": fresh["webhook-signature"].replace("v1", "v2")},
            new,
            False,
        ),
        ("no signature", BODY, fresh | {"webhook-signature": ""}, new, False),
    ]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case[0])
def test_python(case: tuple[str, bytes, dict[str, str], str, bool]) -> None:
    namespace: dict[str, Any] = {}
    exec(code_in("python"), namespace)
    _, body, headers, secret, is_genuine = case
    assert (namespace["received"](body, headers, secret) is not None) is is_genuine


def test_typescript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no Node.js")
    # Types are all that JavaScript lacks of it.
    script = re.sub(r"(\w+): (Buffer|string|Record<string, string>)(?=[,)])", r"\1", code_in("typescript"))
    script = script.replace("): boolean {", ") {").replace("export ", "")
    (tmp_path / "guide.mjs").write_text(script + _CALL)
    for name, body, headers, secret, is_genuine in cases():
        sent = base64.b64encode(body).decode()
        command = [node, str(tmp_path / "guide.mjs"), sent, json.dumps(headers), secret]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        assert ended.returncode == (0 if is_genuine else 3), (name, ended.stderr)
