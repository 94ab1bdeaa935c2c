"""Provisioning templates and certificate ownership tokens in the database; no rules."""

from dataclasses import asdict, dataclass

from ujobs_tools.service.database import Database


@dataclass(slots=True)
class ProvisioningTemplate:
    """A fleet provisioning template. body: JSON text, as it was given. role_arn: stored, not used."""

    name: str
    body: str
    role_arn: str
    enabled: bool
    description: str | None
    created_at: float


class ProvisioningStore(Database):
    """The tables of fleet provisioning."""

    def add_provisioning_template(self, template: ProvisioningTemplate) -> None:
        self._insert("provisioning_templates", **asdict(template))

    def provisioning_template(self, name: str) -> ProvisioningTemplate | None:
        row = self._one("SELECT * FROM provisioning_templates WHERE name = ?", name)
        return None if row is None else ProvisioningTemplate(**{**row, "enabled": bool(row["enabled"])})

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
