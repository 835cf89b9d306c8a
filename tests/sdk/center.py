"""The service, its sandbox, and adapters that send an SDK's calls there instead of to WeChat."""

import os
import unittest
import uuid

import requests
from requests.adapters import HTTPAdapter

CENTER, SANDBOX, KEY = os.environ["WX_CENTER"], os.environ["WX_SANDBOX"], os.environ["WX_API_KEY"]
APP, MINI, CORP, AGENT = "wx0123456789abcdef", "wxfedcba9876543210", "ww0123456789abcdef", 1000002

WEIXIN = "https://api.weixin.qq.com/"
QYAPI = "https://qyapi.weixin.qq.com/"
# Without the gateway, these calls go to the center and all others to WeChat.
AT_THE_CENTER = ["cgi-bin/token", "cgi-bin/stable_token", "cgi-bin/ticket/", "cgi-bin/gettoken", "cgi-bin/get_jsapi_ticket"]


class Host(HTTPAdapter):
    """Sends the requests for one host to another."""

    def __init__(self, base, calls):
        super().__init__()
        self.base, self.calls = base, calls

    def send(self, request, **options):
        path = request.url.split("/", 3)[3]
        self.calls.append(path)
        request.url = f"{self.base}/{path}"
        return super().send(request, **options)


def split(session):
    """Sends token and ticket calls to the center and all others to the sandbox; returns the calls of both."""
    center, wechat = [], []
    session.trust_env = False
    for host in (WEIXIN, QYAPI):
        session.mount(host, Host(SANDBOX, wechat))
        for path in AT_THE_CENTER:
            session.mount(host + path, Host(CENTER, center))
    return center, wechat


def through_the_gateway(session):
    """Sends all calls to the center; returns them."""
    calls = []
    session.trust_env = False
    for host in (WEIXIN, QYAPI):
        session.mount(host, Host(CENTER, calls))
    return calls


def steer(what, body):
    answer = requests.post(f"{SANDBOX}/sandbox/{what}", json=body, timeout=10)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def login_code(app_id):
    return steer("login-codes", {"app_id": app_id})["code"]


def answered(method, path, **options):
    return requests.request(
        method, f"{CENTER}/credentials/{path}", headers={"Authorization": f"Bearer {KEY}"}, timeout=10, **options
    )


def admin(method, path, **options):
    answer = answered(method, path, **options)
    assert answer.ok, answer.text
    return answer.json()


class Upstream:
    """The later calls to the simulated WeChat, without those of the demo platform, which come when they are due."""

    def __init__(self):
        self.marker = f"marker={uuid.uuid4()}"
        requests.get(f"{SANDBOX}/cgi-bin/get?{self.marker}", timeout=10)

    def calls(self):
        seen = requests.get(f"{SANDBOX}/sandbox/requests", timeout=10).json()["requests"]
        begun = [index for index, request in enumerate(seen) if request["query"] == self.marker]
        return [request for request in seen[begun[0] + 1 :] if not request["path"].startswith("/cgi-bin/component/")]

    def paths(self):
        return [request["path"] for request in self.calls()]


class Healing(unittest.TestCase):
    """a case that starts with valid credentials and without the rate limits of earlier cases."""

    def setUp(self):
        # A refresh under way when the clock jumps would bring a value that is already over.
        for credential in EVERYTHING:
            answered("GET", credential)
        steer("advance", {"seconds": 3 * 3600})
        # Nothing else is due while upstream calls are counted.
        for credential in EVERYTHING:
            admin("GET", credential)


# The tickets of the first two accounts bring their tokens with them.
EVERYTHING = ["demo/jsapi_ticket", "demo/card_ticket", "demo-work/jsapi_ticket", "demo-work/agent_ticket", "demo-mini/access_token"]
