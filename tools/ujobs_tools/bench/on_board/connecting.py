"""What the programs that talk to a real service have in common: TLS, the time, and a flash. Runs on MicroPython only.

Options, as they come from the host: thing, host, port; certificates, a folder with ca, cert and key as .der, without
which there is no TLS.
"""


def tls(options: dict):
    """Return a TLS context, None when the options name no certificates."""
    folder = options.get("certificates")
    if not folder:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open(folder + "/ca.der", "rb") as file:
        context.load_verify_locations(cadata=file.read())
    context.load_cert_chain(folder + "/cert.der", folder + "/key.der")
    return context
