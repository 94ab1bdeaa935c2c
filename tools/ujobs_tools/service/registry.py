"""The registry: things and their certificates.

Method and parameter names are boto3's for the `iot` client. An ACTIVE certificate identifies the things that it is
attached to; its policies grant its permissions."""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from ujobs_tools.service import limits, paging
from ujobs_tools.service.errors import ApiError, already_exists, existing, invalid
from ujobs_tools.service.registry_store import Certificate, Thing
from ujobs_tools.service.thing_types import ThingTypes

MAX_ATTRIBUTES, MAX_TYPED_ATTRIBUTES = 3, 50  # of a thing without a thing type, and with one
STATUSES = ("ACTIVE", "INACTIVE", "REVOKED")


class Registry(ThingTypes):
    """CreateThing and related operations; all raise ApiError."""

    def create_thing(
        self, thingName: str, attributePayload: Mapping[str, Any] | None = None, thingTypeName: str | None = None
    ) -> dict[str, Any]:
        """Create a thing. Repeating the call is harmless; with other attributes or another type it raises
        ResourceAlreadyExists."""
        name = limits.thing_name(thingName)
        attributes = limits.attributes(attributePayload, _most_attributes(thingTypeName), {})
        thing = self.store.thing(name)
        if thing is None:
            thing_type = self._usable_type(thingTypeName) if thingTypeName else None
            thing = Thing(name, str(uuid.uuid4()), attributes, thing_type=thing_type)
            self.store.add_thing(thing)
        elif (thing.attributes, thing.thing_type) != (attributes, thingTypeName or None):
            raise already_exists(
                f"Thing {name} already exists in account with different attributes", thing.id, self.arn("thing", name)
            )
        return {"thingName": name, "thingArn": self.arn("thing", name), "thingId": thing.id}

    def describe_thing(self, thingName: str) -> dict[str, Any]:
        """The thing."""
        thing = self._known_thing(thingName)
        return self._thing_view(thing) | {"defaultClientId": thing.name, "thingId": thing.id}

    def update_thing(
        self, thingName: str, attributePayload: Mapping[str, Any] | None = None, expectedVersion: int | None = None,
        thingTypeName: str | None = None, removeThingType: bool = False,
    ) -> dict[str, Any]:
        """Change the type; replace the attributes or, with `merge`, add to them: an empty value removes an
        attribute."""
        thing = self._known_thing(thingName)
        limits.expected_version(expectedVersion, thing.version)
        if thingTypeName and removeThingType:
            raise invalid("thingTypeName and removeThingType exclude each other")
        if thingTypeName and thingTypeName != thing.thing_type:
            thing.thing_type = self._usable_type(thingTypeName)
        elif removeThingType:
            thing.thing_type = None
        thing.attributes = limits.attributes(attributePayload, _most_attributes(thing.thing_type), thing.attributes)
        thing.version += 1
        self.store.save_thing(thing)
        self._rights_changed()
        return {}

    def _known_thing(self, name: str) -> Thing:
        return existing(self.store.thing(limits.thing_name(name)), f"Thing {name} not found.")

    def _thing_view(self, thing: Thing) -> dict[str, Any]:
        return {
            "thingName": thing.name, "thingArn": self.arn("thing", thing.name),
            "attributes": thing.attributes, "version": thing.version,
        } | ({} if thing.thing_type is None else {"thingTypeName": thing.thing_type})

    def list_things(
        self, maxResults: int | None = None, nextToken: str | None = None, attributeName: str | None = None,
        attributeValue: str | None = None, thingTypeName: str | None = None, usePrefixAttributeValue: bool = False,
    ) -> dict[str, Any]:
        """Things sorted by name; with an attribute name and value only those that have it, or a value that begins so;
        with a type only those that have it."""
        if (attributeName is None) != (attributeValue is None):
            raise invalid("attributeName and attributeValue go together")
        attribute = None if attributeName is None or attributeValue is None else (attributeName, attributeValue)
        limit = paging.size(maxResults)
        after = paging.position("things", nextToken) or ""
        found = self.store.things(after, limit + 1, attribute, usePrefixAttributeValue, thingTypeName)
        return paging.page("things", found, limit, self._thing_view, lambda thing: thing.name)

    def delete_thing(self, thingName: str, expectedVersion: int | None = None) -> dict[str, Any]:
        """Delete a thing, which must have no certificates; it leaves its groups, but its job executions stay."""
        thing = self.store.thing(limits.thing_name(thingName))
        if thing is None:
            return {}
        limits.expected_version(expectedVersion, thing.version)
        if self.store.certificates_of(thingName):
            raise invalid(f"Cannot delete. Thing {thingName} is still attached to one or more principals")
        self.store.delete_thing(thingName)
        self._rights_changed(fewer=False)
        return {}

    def register_certificate(self, certificate_id: str, pem: str, active: bool) -> str:
        """Store an issued certificate; returns its ARN. certificate_id: SHA-256 of its DER form in hex."""
        now = self.clock()
        self.store.add_certificate(Certificate(certificate_id, pem, "ACTIVE" if active else "INACTIVE", now, now))
        return self.arn("cert", certificate_id)

    def _rights_changed(self, fewer: bool = True) -> None:
        """Clients' permissions have changed. fewer: clients may have lost permissions, such as iot:Connect."""
        self.rights_version += 1
        if fewer:
            self.on_identity_change()

    def _known_certificate(self, certificate_id: str) -> Certificate:
        return existing(self.store.certificate(certificate_id), f"CertificateId {certificate_id} does not exist")

    def _certificate_by_arn(self, arn: str, certificate_id: str) -> Certificate:
        self._check_here(arn, "cert", certificate_id, f"CertificateId {certificate_id} does not exist.")
        return self._known_certificate(certificate_id)

    def _principal(self, arn: str) -> str:
        kind, _, certificate_id = arn.rpartition("/")
        if not kind.endswith(":cert"):
            raise invalid(f"{arn!r} must be the ARN of a certificate")
        return self._certificate_by_arn(arn, certificate_id).id

    def describe_certificate(self, certificateId: str) -> dict[str, Any]:
        """The certificate and its status."""
        certificate = self._known_certificate(certificateId)
        return {
            "certificateDescription": {
                "certificateArn": self.arn("cert", certificate.id), "certificateId": certificate.id,
                "status": certificate.status, "certificatePem": certificate.pem, "ownedBy": self.account,
                "creationDate": certificate.created_at, "lastModifiedDate": certificate.last_updated_at,
                "certificateMode": "DEFAULT",
            }
        }

    def update_certificate(self, certificateId: str, newStatus: str) -> dict[str, Any]:
        """Set the status: ACTIVE, INACTIVE or REVOKED; unless ACTIVE, its clients are disconnected."""
        if newStatus not in STATUSES:
            raise invalid(f"newStatus must be one of {', '.join(STATUSES)}")
        certificate = self._known_certificate(certificateId)
        self.store.save_certificate_status(certificate.id, newStatus, self.clock())
        self._rights_changed(fewer=newStatus != "ACTIVE")
        return {}

    def list_certificates(
        self, pageSize: int | None = None, marker: str | None = None, ascendingOrder: bool = False
    ) -> dict[str, Any]:
        """The certificates, newest first, or in the order of their creation."""
        find = partial(self.store.certificates, ascendingOrder)
        return paging.page_of_numbered("certificates", find, self._certificate_summary, pageSize, marker)

    def _certificate_summary(self, certificate: Certificate) -> dict[str, Any]:
        return {
            "certificateArn": self.arn("cert", certificate.id), "certificateId": certificate.id,
            "status": certificate.status, "certificateMode": "DEFAULT", "creationDate": certificate.created_at,
        }

    def delete_certificate(self, certificateId: str, forceDelete: bool = False) -> dict[str, Any]:
        """Delete a certificate, which must not be ACTIVE and must have no things and, unless forced, no policies."""
        certificate = self._known_certificate(certificateId)
        if certificate.status == "ACTIVE":
            raise ApiError(
                "CertificateState", "Certificate must be deactivated (not ACTIVE) before deletion.",
                resourceId=certificateId,
            )
        policies = self.store.policies_of("cert", certificateId)
        if self.store.things_of(certificateId) or (policies and not forceDelete):
            raise ApiError(
                "DeleteConflict", "Things and policies must be detached from the certificate before deletion."
            )
        with self.store.transaction():
            for policy in policies:
                self.store.detach_policy(policy, "cert", certificateId)
            self.store.delete_certificate(certificateId)
        return {}

    def attach_thing_principal(self, thingName: str, principal: str) -> dict[str, Any]:
        """Attach a certificate, given by its ARN, to a thing."""
        thing = self._known_thing(thingName)
        self.store.attach_thing(self._principal(principal), thing.name)
        self._rights_changed(fewer=False)
        return {}

    def detach_thing_principal(self, thingName: str, principal: str) -> dict[str, Any]:
        """Undo attach_thing_principal."""
        thing = self._known_thing(thingName)
        self.store.detach_thing(self._principal(principal), thing.name)
        self._rights_changed()
        return {}

    def list_thing_principals(
        self, thingName: str, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The ARNs of the thing's certificates."""
        names = self.store.certificates_of(self._known_thing(thingName).name)
        return paging.page_of_names("principals", names, lambda name: self.arn("cert", name), maxResults, nextToken)

    def list_principal_things(
        self, principal: str, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The names of the things that a certificate is attached to."""
        names = self.store.things_of(self._principal(principal))
        return paging.page_of_names("things", names, str, maxResults, nextToken)


def _most_attributes(thing_type: str | None) -> int:
    return MAX_TYPED_ATTRIBUTES if thing_type else MAX_ATTRIBUTES
