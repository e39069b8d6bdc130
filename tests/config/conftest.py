"""A data folder for each test, a copy of one that was made once, which is quicker than a new one; and a log."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.embedded import running_servers
from config.logging import configure_logging
from config.settings import Settings, read_settings
from tests.config.processes import end_everything


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of servers that were started once and stopped in good order."""
    folder = tmp_path_factory.mktemp("cluster") / "data"
    with running_servers(read_settings({"DATA_DIR": str(folder)}), owner=True, durable=False):
        pass
    return folder


@pytest.fixture
def data_dir(cluster: Path, tmp_path: Path) -> Iterator[Path]:
    """A data folder of this test alone; whatever runs in it afterwards is killed, so that nothing stays behind."""
    folder = tmp_path / "d"
    shutil.copytree(cluster, folder)
    yield folder
    end_everything(folder)


@pytest.fixture
def empty_dir(tmp_path: Path) -> Iterator[Path]:
    """The same before the first start: the folder does not exist."""
    folder = tmp_path / "d"
    yield folder
    end_everything(folder)


@pytest.fixture
def configure(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Sets the log up for a test with the given settings, answers its folder, and takes it away again."""
    root = logging.getLogger()
    level, handlers, raises = root.level, list(root.handlers), logging.raiseExceptions

    def configure(**settings: object) -> Path:
        configure_logging(Settings.model_validate({"log_format": "text", "log_dir": tmp_path / "logs", **settings}))
        return tmp_path / "logs"

    yield configure
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.raiseExceptions = raises
    logging.getLogger("uvicorn.access").propagate = True
    logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
