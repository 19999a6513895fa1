"""What all of them share beside the servers."""

from tests.support import shared_tls

shared_tls.share()
