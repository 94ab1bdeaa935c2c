"""Job templates in the database; no rules."""

from dataclasses import dataclass
from typing import Any

from ujobs_tools.service.database import Database, decode


@dataclass(slots=True)
class JobTemplate:
    """A job template. members: by the names of CreateJobTemplate's parameters, given or copied from a job."""

    id: str
    created_at: float
    members: dict[str, Any]


class TemplateStore(Database):
    """The table of job templates."""

    def add_job_template(self, template: JobTemplate) -> None:
        self._insert("job_templates", id=template.id, created_at=template.created_at, members=template.members)

    def job_template(self, template_id: str) -> JobTemplate | None:
        row = self._one("SELECT id, created_at, members FROM job_templates WHERE id = ?", template_id)
        return None if row is None else JobTemplate(row["id"], row["created_at"], decode(row["members"]))

    def job_templates(self) -> list[JobTemplate]:
        """All templates, newest first."""
        rows = self._all("SELECT id, created_at, members FROM job_templates ORDER BY created_at DESC, id DESC")
        return [JobTemplate(row["id"], row["created_at"], decode(row["members"])) for row in rows]

    def delete_job_template(self, template_id: str) -> None:
        self._execute("DELETE FROM job_templates WHERE id = ?", template_id)
