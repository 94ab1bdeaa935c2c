"""The values of policy variables and condition keys for one client: of its connection, its thing and its certificate
("Basic AWS IoT Core policy variables", "Thing policy variables", "X.509 certificate policy variables")."""

from collections.abc import Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID

from ujobs_tools.service.policy_template import Value

MAX_VALUES = 5  # of a certificate attribute that occurs more than once
MAX_TEXT = 1024  # characters; a longer attribute has no value

_ATTRIBUTES = {
    "DistinguishedNameQualifier": NameOID.DN_QUALIFIER,
    "Country": NameOID.COUNTRY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "CommonName": NameOID.COMMON_NAME,
    "SerialNumber": NameOID.SERIAL_NUMBER,
    "Title": NameOID.TITLE,
    "Surname": NameOID.SURNAME,
    "GivenName": NameOID.GIVEN_NAME,
    "Pseudonym": NameOID.PSEUDONYM,
    "GenerationQualifier": NameOID.GENERATION_QUALIFIER,
}


def of_connection(client_id: str, address: str | None) -> dict[str, Value]:
    """client_id: as in CONNECT; "" over HTTPS. address: the client's IP address."""
    found: dict[str, Value] = {"iot:clientid": client_id} if client_id else {}
    if address is not None:
        found["aws:sourceip"] = address
    return found


def of_thing(name: str | None, attributes: Mapping[str, str], thing_type: str | None = None) -> dict[str, Value]:
    """name: of the thing if the client id is its name and the certificate is attached to it, else None."""
    if name is None:
        return {"iot:connection.thing.isattached": "false"}
    found: dict[str, Value] = {"iot:connection.thing.isattached": "true", "iot:connection.thing.thingname": name}
    if thing_type is not None:
        found["iot:connection.thing.thingtypename"] = thing_type
    for attribute, value in attributes.items():
        found[f"iot:connection.thing.attributes[{attribute}]".lower()] = value
    return found


def of_certificate(certificate_der: bytes) -> dict[str, Value]:
    """The attributes of a certificate's subject and issuer: the first value, each value by index, and all as a list."""
    certificate = x509.load_der_x509_certificate(certificate_der)
    found: dict[str, Value] = {}
    for holder, name in (("subject", certificate.subject), ("issuer", certificate.issuer)):
        for attribute, oid in _ATTRIBUTES.items():
            texts = [str(one.value) for one in name.get_attributes_for_oid(oid)][:MAX_VALUES]
            if texts and all(len(text) <= MAX_TEXT for text in texts):
                key = f"iot:certificate.{holder}.{attribute}".lower()
                found |= {key: texts[0], f"{key}.list": tuple(texts)}
                found |= {f"{key}.{index}": text for index, text in enumerate(texts)}
    return found
