"""py-wecom-toolkit, as it is on PyPI, with the center as its only address: `base_url`, its own setting.

It keeps a token for 6,900 seconds whatever WeChat says, and repeats nothing. `get_access_token(force_refresh=True)` is its way to
another one.
"""

import httpx
from center import AGENT, CENTER, CORP, KEY, SANDBOX, Healing, Upstream, steer
from py_wecom_toolkit.server.cache import AccessTokenMemoryCache
from py_wecom_toolkit.server.material.client import Client as Material
from py_wecom_toolkit.server.message.client import Client as Message
from py_wecom_toolkit.server.message.msgtype import TextContent, TextMessage

HELLO = TextMessage(touser="user", agentid=AGENT, text=TextContent(content="hello"))


class Split(httpx.BaseTransport):
    """Sends the token calls to the center and all others to the sandbox."""

    def __init__(self):
        self.transport, self.calls = httpx.HTTPTransport(), []

    def handle_request(self, request):
        at_the_center = request.url.path == "/cgi-bin/gettoken"
        self.calls.append("center" if at_the_center else "wechat")
        base = httpx.URL(CENTER if at_the_center else SANDBOX)
        request.url = request.url.copy_with(scheme=base.scheme, host=base.host, port=base.port)
        return self.transport.handle_request(request)


class WorkApp(Healing):
    def client(self, kind=Message, **options):
        client = kind(CORP, KEY, cache=AccessTokenMemoryCache(), **options)
        self.addCleanup(client.close)
        return client

    def test_its_next_call_after_a_token_died_succeeds(self):
        client = self.client(agentid=AGENT, base_url=CENTER)
        self.assertEqual(client.send(HELLO).errcode, 0)
        steer("revoke", {"app_id": f"{CORP}:{AGENT}", "kind": "token"})
        upstream = Upstream()
        self.assertEqual(client.send(HELLO).errcode, 0)
        self.assertEqual(upstream.paths(), ["/cgi-bin/message/send", "/cgi-bin/gettoken", "/cgi-bin/message/send"])

    def test_its_fixed_cache_lifetime_causes_no_failure(self):
        client = self.client(agentid=AGENT, base_url=CENTER)
        client.send(HELLO)
        steer("advance", {"seconds": 3 * 3600})
        self.assertEqual(client.send(HELLO).errcode, 0)

    def test_downloads_a_file(self):
        client = self.client(Material, base_url=CENTER)
        self.assertEqual(len(client.download("MEDIA_ID")), 1024)

    def test_without_the_gateway_its_own_refresh_gets_a_valid_token(self):
        split = Split()
        client = self.client(agentid=AGENT, transport=split)
        client.send(HELLO)
        steer("revoke", {"app_id": f"{CORP}:{AGENT}", "kind": "token"})
        self.assertEqual(client.send(HELLO).errcode, 40014)
        client.get_access_token(force_refresh=True)
        split.calls.clear()
        self.assertEqual(client.send(HELLO).errcode, 0)
        self.assertEqual(split.calls, ["wechat"])
