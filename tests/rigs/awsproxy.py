"""A proxy that is all of AWS: whoever asks it for a host of amazonaws.com gets the sandbox.

CONNECT to such a host is answered with TLS by a certificate authority of its own (.ca);
what comes through goes to the server at the target port, Host header and all. Other
hosts are refused. With a password it asks for one.
"""

import asyncio
import base64
import ssl
import subprocess
import threading

REGIONS = ("us-east-1", "eu-west-1", "eu-central-1")
HOSTS = (".amazonaws.com", ".api.aws")
PIECE = 65536


def make_certificate(folder):
    """ca.pem, and srv.pem with its key for S3 and STS of some regions."""
    names = []
    for region in REGIONS:
        names += [f"{service}.{region}.amazonaws.com" for service in
                  ("sts", "s3", "*.s3", "s3-fips", "*.s3-fips", "s3.dualstack",
                   "*.s3.dualstack", "*.s3-accesspoint", "sts-fips")]
        names.append(f"sts.{region}.api.aws")
    (folder / "ext").write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names))
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for args in (["req", "-x509", *key, "-days", "30", "-subj", "/CN=s3ferry-test-aws",
                  "-keyout", "ca.key", "-out", "ca.pem"],
                 ["req", *key, "-subj", "/CN=aws", "-keyout", "srv.key", "-out", "srv.csr"],
                 ["x509", "-req", "-in", "srv.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                  "-CAcreateserial", "-days", "30", "-extfile", "ext", "-out", "srv.pem"]):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


class AwsProxy:
    """with AwsProxy(folder, port) as p: p.url is for HTTPS_PROXY, p.ca for AWS_CA_BUNDLE."""

    def __init__(self, folder, target, user=None, password=None):
        make_certificate(folder)
        self.ca = folder / "ca.pem"
        self.target = target
        self.asked = []  # hosts, in order
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "srv.pem", folder / "srv.key")
        self._login = user and base64.b64encode(f"{user}:{password}".encode()).decode()
        self._prefix = f"{user}:{password}@" if user else ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks = set()

    def __enter__(self):
        self._thread.start()
        start = asyncio.start_server(self._client, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{self._prefix}127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.close()

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        verb, place, _ = head.split("\r\n")[0].split(" ")
        host = place.rsplit(":", 1)[0]
        self.asked.append(host)
        if self._login and f"Basic {self._login}" not in head:
            writer.write(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=p\r\n"
                         b"Content-Length: 0\r\n\r\n")
        elif verb != "CONNECT" or not host.endswith(HOSTS):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await writer.start_tls(self._tls)
            await self._forward(reader, writer)
        await writer.drain()

    async def _forward(self, reader, writer):
        theirs = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [asyncio.create_task(self._way(reader, theirs[1])),
                asyncio.create_task(self._way(theirs[0], writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            theirs[1].close()

    async def _way(self, reader, writer):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
