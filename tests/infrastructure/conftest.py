"""Data folders, copies of one that was made once, which is quicker than a new one; and a log."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.logging_config import configure_logging
from config.settings import Settings, read_settings
from infrastructure.embedded.servers import running_servers
from tests.infrastructure.processes import end_everything, processes_of


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of servers that were started once and stopped in good order."""
    folder = tmp_path_factory.mktemp("cluster") / "data"
    with running_servers(read_settings({"DATA_DIR": str(folder)}), owner=True, durable=False):
        pass
    return folder


@pytest.fixture
def own_data_dir(cluster: Path, tmp_path: Path) -> Iterator[Path]:
    """A data folder of this test alone, which may spoil it; whatever runs in it afterwards is killed."""
    folder = tmp_path / "d"
    shutil.copytree(cluster, folder)
    yield folder
    end_everything(folder)


@pytest.fixture(scope="session")
def tidy_dirs() -> list[Path]:
    """Data folders that tests have left with every server stopped in good order."""
    return []


@pytest.fixture
def data_dir(
    cluster: Path, tidy_dirs: list[Path], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A data folder that no other test uses meanwhile, and others used before: a copy takes half a second.

    Whatever runs in it afterwards is killed, and then it is not used again.
    """
    failures = request.session.testsfailed
    if not tidy_dirs:
        tidy_dirs.append(tmp_path_factory.mktemp("data") / "d")
        shutil.copytree(cluster, tidy_dirs[0])
    folder = tidy_dirs.pop()
    yield folder
    if processes_of(folder):
        end_everything(folder)
    elif request.session.testsfailed == failures:
        tidy_dirs.append(folder)


@pytest.fixture
def empty_dir(tmp_path: Path) -> Iterator[Path]:
    """A data folder before the first start: it does not exist."""
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
