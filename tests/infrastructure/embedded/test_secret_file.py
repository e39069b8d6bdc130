"""The secret in the data folder: made once, whoever comes first, and readable by its owner only."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from infrastructure.embedded.secret_file import kept_secret

pytestmark = pytest.mark.unit

_ASK = """
import sys
from pathlib import Path
from infrastructure.embedded.secret_file import kept_secret

sys.stdin.readline()
print(kept_secret(Path(sys.argv[1])))
"""


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _ASK, str(folder)],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    secrets = {process.communicate(timeout=60)[0].strip() for process in processes}

    assert secrets == {kept_secret(folder)}
    assert len(secrets.pop()) == 43
    assert [path.name for path in folder.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"too short", b"\xff" * 40])
def test_what_is_no_secret_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret_key").write_bytes(content)
    with pytest.raises(OSError, match="it holds no secret of 32 characters or more"):
        kept_secret(tmp_path)
