"""A receiver of webhooks: checks each message, answers at once, and does its work once.

pip install standardwebhooks
WEBHOOK_SECRET=whsec_... python webhook_receiver.py 9000
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 65_536


class Receiver(BaseHTTPRequestHandler):
    """Takes POST and nothing else."""

    def do_POST(self) -> None:
        """Answer 204 to what is proved, and 401 to everything else."""
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(min(length, BODY_BYTES_MAX))
        try:
            message = self.server.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
            self.end_headers()
            return
        # A message may come twice, under the same id: whoever acts on it remembers the id.
        if self.headers["webhook-id"] not in self.server.seen:
            self.server.seen.add(self.headers["webhook-id"])
            print(message["type"], message["data"], flush=True)  # noqa: T201
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet about each request."""


def main() -> None:
    """Receive until interrupted."""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    server.webhook = Webhook(os.environ["WEBHOOK_SECRET"])
    server.seen = set()
    print(f"listening on port {server.server_address[1]}", flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
