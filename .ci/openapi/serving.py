"""Runs a command beside an empty running shop with AUTH=on; `{url}` and `{key}` become its URL and an API key.

python .ci/openapi/serving.py FOLDER COMMAND...
"""

import subprocess
import sys
from pathlib import Path

from config.settings import read_settings
from infrastructure.database.migrations import maintenance_engine, migrate
from infrastructure.embedded.servers import running_servers
from scripts.credentials import make_key
from tests.shop import environment_of, shop_processes


def main(folder: Path, command: list[str]) -> int:
    settings = read_settings({"DATA_DIR": str(folder / "servers")})
    with running_servers(settings, durable=False) as urls:
        migrate(urls.database_url)
        environment = environment_of(urls.database_url, urls.redis_url, folder, AUTH="on")
        key = make_key(maintenance_engine(urls.database_url), "generated clients")
        with shop_processes(environment, workers=1) as (url, _):
            words = [part.replace("{url}", url).replace("{key}", key) for part in command]
            return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
