"""Provisioning templates and certificate ownership tokens in the database; no rules."""

from dataclasses import asdict, dataclass, field

from ujobs_tools.service.database import Database, decode


@dataclass(slots=True)
class TemplateVersion:
    """A version of a template. body: JSON text, as it was given."""

    number: int
    body: str
    created_at: float


@dataclass(slots=True)
class ProvisioningTemplate:
    """A fleet provisioning template. body: of the default version. role_arn: stored, not used. versions: oldest first.
    last_version: the highest number that a version has had."""

    name: str
    body: str
    role_arn: str
    enabled: bool
    description: str | None
    created_at: float
    last_updated_at: float
    versions: list[TemplateVersion] = field(default_factory=list)
    default_version: int = 1
    last_version: int = 1

    def version(self, number: int) -> TemplateVersion | None:
        """The version with this number."""
        return next((version for version in self.versions if version.number == number), None)


class ProvisioningStore(Database):
    """The tables of fleet provisioning."""

    def add_provisioning_template(self, template: ProvisioningTemplate) -> None:
        self._insert("provisioning_templates", **asdict(template))

    def provisioning_template(self, name: str) -> ProvisioningTemplate | None:
        row = self._one("SELECT * FROM provisioning_templates WHERE name = ?", name)
        if row is None:
            return None
        found = ProvisioningTemplate(**{**row, "enabled": bool(row["enabled"]), "versions": []})
        # Without a list it was stored by an earlier service, which had only one version of each template.
        versions = decode(row["versions"]) or [{"number": 1, "body": found.body, "created_at": found.created_at}]
        found.last_updated_at = found.last_updated_at or found.created_at
        found.versions = [TemplateVersion(**version) for version in versions]
        return found

    def save_provisioning_template(self, template: ProvisioningTemplate) -> None:
        self._update("provisioning_templates", "name", **asdict(template))

    def provisioning_template_names(self) -> list[str]:
        return self._column("SELECT name FROM provisioning_templates")

    def delete_provisioning_template(self, name: str) -> None:
        self._execute("DELETE FROM provisioning_templates WHERE name = ?", name)

    def add_ownership_token(self, token: str, certificate_id: str, expires_at: float) -> None:
        self._insert("ownership_tokens", token=token, certificate=certificate_id, expires_at=expires_at)

    def owned_certificate(self, token: str) -> str | None:
        """The id of a token's certificate."""
        return self._value("SELECT certificate FROM ownership_tokens WHERE token = ?", token)

    def delete_ownership_token(self, token: str) -> None:
        self._execute("DELETE FROM ownership_tokens WHERE token = ?", token)

    def delete_expired_tokens(self, now: float) -> None:
        """Delete the expired tokens, and their certificates if they were never used."""
        self._execute(
            "DELETE FROM certificates WHERE status = 'PENDING_ACTIVATION' "
            "AND id IN (SELECT certificate FROM ownership_tokens WHERE expires_at <= ?) "
            "AND id NOT IN (SELECT certificate FROM certificate_things) "
            "AND id NOT IN (SELECT certificate FROM policy_certificates)",
            now,
        )
        self._execute("DELETE FROM ownership_tokens WHERE expires_at <= ?", now)
