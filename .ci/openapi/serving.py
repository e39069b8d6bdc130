"""Runs a command beside an empty running shop; `{url}` in the command becomes the shop's URL.

python .ci/openapi/serving.py FOLDER COMMAND...
"""

import subprocess
import sys
from pathlib import Path

from config.settings import read_settings
from infrastructure.database.migrations import migrate
from infrastructure.embedded.servers import running_servers
from tests.shop import environment_of, shop_processes


def main(folder: Path, command: list[str]) -> int:
    settings = read_settings({"DATA_DIR": str(folder / "servers")})
    with running_servers(settings, durable=False) as urls:
        migrate(urls.database_url)
        environment = environment_of(urls.database_url, urls.redis_url, folder)
        with shop_processes(environment, workers=1) as (url, _):
            return subprocess.run([part.replace("{url}", url) for part in command], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
