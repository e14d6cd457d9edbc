"""A certificate for localhost, signed by a CA of our own, made anew."""
import pathlib
import ssl
import subprocess

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def _openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)


def make(folder):
    """Returns the path of the CA's certificate, and a server's context."""
    folder = pathlib.Path(folder)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
           "-nodes", "-days", "2")
    _openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out",
             "ca.pem", "-subj", "/CN=Fake Slack CA",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(folder, "req", *key[:-2], "-keyout", "server.key", "-out",
             "server.csr", "-subj", "/CN=localhost")
    (folder / "server.ext").write_text(NAMES + "\n")
    _openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem",
             "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
             "-extfile", "server.ext", "-out", "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return str(folder / "ca.pem"), context
