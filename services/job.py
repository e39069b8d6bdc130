"""Jobs of the background process, for administrators: to see, to try again, to cancel."""

from typing import Any

from sqlalchemy.orm import Session

from models.job import JobStatus
from repositories.audit_trail import record
from repositories.job import JobRepository
from services.base import BaseService
from services.declared_errors import refuses
from services.errors import JobConflict, NotFound
from services.idempotency import PURGE_BATCH

# So long a canceled job can be seen.
_CANCELED_DAYS = 30

# By what the queue calls them.
_STATUSES = {
    "todo": JobStatus.QUEUED,
    "doing": JobStatus.RUNNING,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELED,
}


class JobService(BaseService[Any]):
    thing, resource = "Job", "jobs"
    repository_type = JobRepository

    @refuses(NotFound, JobConflict)
    def retry(self, job_id: int) -> Any:
        """The job, which is tried at once; also one that waits for its next try, or was canceled."""
        status = self._locked(job_id)
        if status == "doing":
            raise JobConflict(job_id, "running", "tried again")
        self._jobs.retry(job_id)
        return self._changed(job_id, status, JobStatus.QUEUED)

    @refuses(NotFound, JobConflict)
    def cancel(self, job_id: int) -> Any:
        """The job, which is not started any more; one that is running ends with the step that is under way."""
        status = self._locked(job_id)
        if status == "cancelled":
            raise JobConflict(job_id, "canceled", "canceled")
        self._jobs.cancel(job_id, is_running=status == "doing")
        return self._changed(job_id, status, JobStatus.CANCELED)

    @property
    def _jobs(self) -> JobRepository:
        return JobRepository(self.session)

    def _locked(self, job_id: int) -> str:
        status = self._jobs.lock_status(job_id)
        if status is None:
            raise NotFound(self.thing, job_id)
        return status

    def _changed(self, job_id: int, status: str, wanted: JobStatus) -> Any:
        record(self.session, self.resource, [(job_id, {"status": (_STATUSES[status], wanted)})])
        fields = tuple(JobRepository.model.__table__.columns.keys())
        return self.row_query(job_id, fields)(self.session)


def purge_jobs(session: Session) -> int:
    """Delete jobs that were canceled long ago, at most `PURGE_BATCH`; how many there were."""
    return JobRepository(session).purge(_CANCELED_DAYS, PURGE_BATCH)
