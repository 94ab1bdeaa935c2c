"""Fleet provisioning: issues a certificate to a client with a claim, and creates its thing from a template.

A claim is a certificate whose policies allow it to publish to a provisioning template's topics."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from ujobs_tools.service import limits, provisioning_template
from ujobs_tools.service.errors import ApiError, invalid
from ujobs_tools.service.policies import Policies
from ujobs_tools.service.provisioning_templates import ProvisioningTemplates
from ujobs_tools.service.registry_store import Certificate

TOKEN_LIFE = 3600.0  # seconds ("Device provisioning MQTT API")


class Provisioning(Policies, ProvisioningTemplates):
    """The devices' requests; all raise ApiError."""

    def issue_ownership_token(self, certificate_id: str, pem: str) -> str:
        """Store a certificate that was issued to a claim as PENDING_ACTIVATION; returns its ownership token.

        The token and its certificate are deleted after an hour without RegisterThing.
        """
        now = self.clock()
        token = secrets.token_urlsafe(48)
        with self.store.transaction():
            self.store.delete_expired_tokens(now)
            self.store.add_certificate(Certificate(certificate_id, pem, "PENDING_ACTIVATION", now, now))
            self.store.add_ownership_token(token, certificate_id, now + TOKEN_LIFE)
        return token

    def register_thing(self, template_name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """RegisterThing: create the template's resources, and attach the token's certificate to the thing.

        request: certificateOwnershipToken, valid until one call succeeds, and parameters. Returns the reply's members.
        Raises ApiError with the codes of the MQTT API.
        """
        template = self.store.provisioning_template(template_name)
        if template is None or not template.enabled:
            what = "does not exist" if template is None else "is not enabled"
            raise ApiError("InvalidTemplate", f"Template with name {template_name} {what}.")
        token, parameters = request.get("certificateOwnershipToken"), request.get("parameters") or {}
        if not token:
            raise _bad_token("cannot be empty")
        self.store.delete_expired_tokens(self.clock())
        certificate_id = self.store.owned_certificate(token) if isinstance(token, str) else None
        if certificate_id is None:
            raise _bad_token("is invalid")
        if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
            raise ApiError("InvalidParameters", "parameters must be a map of strings to strings")
        made = provisioning_template.evaluate(template.body, parameters, certificate_id)
        try:
            name = self._make(made, certificate_id)
        except ApiError as error:
            raise ApiError("ProvisioningFailed", error.message) from error
        # Last, so that a client that loses its connection can repeat everything above with the same token.
        self.store.delete_ownership_token(token)
        return {"deviceConfiguration": made.device_configuration} | ({} if name is None else {"thingName": name})

    def _make(self, made: provisioning_template.Evaluated, certificate_id: str) -> str | None:
        principal = self.arn("cert", certificate_id)
        policies = [self._policy_of(properties) for properties in made.policies]
        name = None
        if made.thing is not None:
            name = limits.thing_name(made.thing.get("ThingName"))
            self._make_thing(name, made.thing, made.overrides)
        for policy in policies:
            self.attach_policy(policy, principal)
        if name is not None:
            self.attach_thing_principal(name, principal)
        self.update_certificate(certificate_id, made.status)
        return name

    def _make_thing(self, name: str, properties: Mapping[str, Any], overrides: Mapping[str, str]) -> None:
        attributes, groups = properties.get("AttributePayload"), properties.get("ThingGroups")
        thing_type = properties.get("ThingTypeName")
        for group in groups or ():
            self._known_group(group)
        thing = self.store.thing(name)
        if thing is None:
            self.create_thing(name, {"attributes": attributes or {}}, thing_type)
        elif thing_type is not None and thing_type != thing.thing_type:
            way = overrides.get("ThingTypeName", "FAIL")
            if way == "FAIL":
                raise invalid(f"Existing ThingTypeName of {name} conflicts with ThingTypeName in Template.")
            if way == "REPLACE":
                self.update_thing(name, thingTypeName=thing_type)
        if thing is not None and attributes is not None and attributes != thing.attributes:
            way = overrides.get("AttributePayload", "FAIL")
            if way == "FAIL":
                raise invalid(f"Existing AttributePayload of {name} conflicts with AttributePayload in Template.")
            if way != "DO_NOTHING":
                self.update_thing(name, {"attributes": attributes, "merge": way == "MERGE"})
        if groups is None or (thing is not None and overrides.get("ThingGroups") == "DO_NOTHING"):
            return
        joined = {line[-1] for line in self.store.lines_of(name)}
        if thing is not None and joined - set(groups):
            raise invalid(f"Existing ThingGroups of {name} conflict with ThingGroups in Template.")
        for group in groups:
            self.add_thing_to_thing_group(group, thingName=name)

    def _policy_of(self, properties: Mapping[str, Any]) -> str:
        """The name of a policy resource. With a document, the policy is created; its name is a hash of the document."""
        document = properties.get("PolicyDocument")
        if document is None:
            self._versions(properties.get("PolicyName", ""))
            return properties["PolicyName"]
        text = document if isinstance(document, str) else json.dumps(document)
        name = hashlib.sha256(text.encode()).hexdigest()
        if not self.store.policy_versions(name):
            self.create_policy(name, text)
        return name


def _bad_token(what: str) -> ApiError:
    return ApiError("InvalidCertificateOwnershipToken", f"Certificate ownership token {what}.")
