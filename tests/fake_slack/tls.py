"""Certificates, made anew: a good one, and those a client must refuse."""
import pathlib
import ssl
import subprocess

KINDS = {"good": ("ca", "DNS:localhost,IP:127.0.0.1"),
         "wrong_name": ("ca", "DNS:elsewhere.example.com"),
         "unknown_ca": ("other_ca", "DNS:localhost,IP:127.0.0.1")}


class Certificates:
    """A CA that clients are told of, another one, and what they signed."""

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self.ca_file = str(self._folder / "ca.pem")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._make_ca("ca")
        self.serve("good")

    def serve(self, kind):
        """Show that one from the next connection on."""
        path = self._folder / f"{kind}.pem"
        if not path.exists():
            self._make(kind)
        self.context.load_cert_chain(path, path.with_suffix(".key"))

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)

    def _make_ca(self, name):
        self._openssl(
            "req", "-x509", *NEW_KEY, "-days", "2", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-subj", f"/CN=Fake Slack {name}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _make(self, kind):
        authority, names = KINDS[kind]
        if not (self._folder / f"{authority}.pem").exists():
            self._make_ca(authority)
        (self._folder / "extensions").write_text(
            f"subjectAltName={names}\n")
        self._openssl(
            "req", *NEW_KEY, "-keyout", f"{kind}.key", "-out", f"{kind}.csr",
            "-subj", "/CN=" + names.split(",")[0].removeprefix("DNS:"))
        self._openssl(
            "x509", "-req", "-in", f"{kind}.csr", "-CA", f"{authority}.pem",
            "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", f"{kind}.pem")


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
           "-nodes")
