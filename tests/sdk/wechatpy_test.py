"""wechatpy, as it is on PyPI, takes its tokens and tickets from this service.

It names api.weixin.qq.com and qyapi.weixin.qq.com itself, so what is changed is where these names lead: token and ticket calls
to the center, as in a deployment, and every other call to the sandbox, which stands for WeChat. Not a line of wechatpy is touched.
"""

import hashlib
import os
import time
import unittest

import requests
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient
from wechatpy.enterprise import WeChatClient as WorkClient
from wechatpy.exceptions import WeChatClientException

CENTER, SANDBOX, KEY = os.environ["WX_CENTER"], os.environ["WX_SANDBOX"], os.environ["WX_API_KEY"]
APP, CORP, AGENT = "wx0123456789abcdef", "ww0123456789abcdef", 1000002
PAGE = "https://demo.example.com/page?a=1&b=2"

WEIXIN = "https://api.weixin.qq.com/"
QYAPI = "https://qyapi.weixin.qq.com/"
# The whole difference from wechatpy's own documentation, where these calls go to WeChat.
AT_THE_CENTER = ["cgi-bin/token", "cgi-bin/stable_token", "cgi-bin/ticket/", "cgi-bin/gettoken", "cgi-bin/get_jsapi_ticket"]


class Host(HTTPAdapter):
    """Sends what is meant for one host to another."""

    def __init__(self, base, calls):
        super().__init__()
        self.base, self.calls = base, calls

    def send(self, request, **options):
        path = request.url.split("/", 3)[3]
        self.calls.append(path)
        request.url = f"{self.base}/{path}"
        return super().send(request, **options)


def redirected(client):
    """The client, and the calls it makes to the center and to WeChat from now on."""
    center, wechat = [], []
    client._http.trust_env = False
    for host in (WEIXIN, QYAPI):
        client._http.mount(host, Host(SANDBOX, wechat))
        for path in AT_THE_CENTER:
            client._http.mount(host + path, Host(CENTER, center))
    return client, center, wechat


def steer(what, body):
    requests.post(f"{SANDBOX}/sandbox/{what}", json=body, timeout=10).raise_for_status()


def admin(method, path, **options):
    answer = requests.request(
        method, f"{CENTER}/credentials/{path}", headers={"Authorization": f"Bearer {KEY}"}, timeout=10, **options
    )
    answer.raise_for_status()
    return answer.json()


def verdict(config):
    return requests.post(f"{SANDBOX}/sandbox/pre-verify", json=config, timeout=10).json()


class OfficialAccount(unittest.TestCase):
    def setUp(self):
        steer("advance", {"seconds": 60})  # past the thirty seconds between two rejects

    def test_gets_the_centers_token_with_what_is_left_of_its_life(self):
        client, center, _ = redirected(WeChatClient(APP, KEY))
        before = admin("GET", "demo/access_token")
        self.assertEqual(client.access_token, before["value"])
        self.assertEqual(len(center), 1)
        left = client.expires_at - time.time()
        self.assertLessEqual(abs(left - before["expires_in"]), 5)
        client.access_token
        self.assertEqual(len(center), 1, "it is kept until it ends")

    def test_signs_a_page_that_wechat_accepts(self):
        client, _, wechat = redirected(WeChatClient(APP, KEY))
        ticket = client.jsapi.get_jsapi_ticket()
        self.assertEqual(ticket, admin("GET", "demo/jsapi_ticket")["value"])
        signature = client.jsapi.get_jsapi_signature("Wm3WZYTPz0wzccnW", ticket, 1414587457, PAGE)
        config = {"appId": APP, "timestamp": "1414587457", "nonceStr": "Wm3WZYTPz0wzccnW", "signature": signature}
        answer = verdict({**config, "url": PAGE + "#route", "jsApiList": []})
        self.assertEqual(answer["err_msg"], "preVerifyJSAPI:ok", answer)
        self.assertEqual(wechat, [], "no call of its own")

    def test_signs_cards_with_the_card_ticket(self):
        client, _, _ = redirected(WeChatClient(APP, KEY))
        ticket = client.jsapi.get_jsapi_card_ticket()
        self.assertEqual(ticket, admin("GET", "demo/card_ticket")["value"])
        params = client.jsapi.get_jsapi_card_params(ticket, "GROUPON", noncestr="nonce", timestamp="1414587457")
        parts = sorted(["GROUPON", "nonce", ticket, APP, "1414587457"])
        self.assertEqual(params["sign"], hashlib.sha1("".join(parts).encode()).hexdigest())

    def test_calls_wechat_itself_with_the_token(self):
        client, _, wechat = redirected(WeChatClient(APP, KEY))
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        self.assertTrue(wechat[0].startswith("cgi-bin/menu/get"), wechat)

    def test_its_own_next_request_after_a_reject_carries_the_new_token(self):
        client, center, wechat = redirected(WeChatClient(APP, KEY))
        dead = client.access_token
        client.menu.get()
        steer("revoke", {"app_id": APP, "kind": "token"})
        new = admin("POST", "demo/access_token/reject", json={"value": dead})
        self.assertNotEqual(new["value"], dead)
        center.clear(), wechat.clear()
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        # 40001 for the dead one, one question to the center, the same call with the new one.
        self.assertEqual([call.split("access_token=")[1] for call in wechat], [dead, new["value"]])
        self.assertEqual(len(center), 1)
        self.assertEqual(client.access_token, new["value"])

    def test_a_wrong_key_is_what_a_wrong_secret_is(self):
        client, _, _ = redirected(WeChatClient(APP, "wxk_wrong"))
        with self.assertRaises(WeChatClientException) as refused:
            client.fetch_access_token()
        self.assertEqual(refused.exception.errcode, 40125)
        self.assertRegex(refused.exception.errmsg, r"^invalid appsecret rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")


class WorkApp(unittest.TestCase):
    def test_gets_the_token_and_both_tickets(self):
        client, center, wechat = redirected(WorkClient(CORP, KEY))
        self.assertEqual(client.access_token, admin("GET", "demo-work/access_token")["value"])
        self.assertEqual(client.jsapi.get_jsapi_ticket(), admin("GET", "demo-work/jsapi_ticket")["value"])
        agent = client.jsapi.get_agent_ticket()
        self.assertEqual((agent["errcode"], agent["ticket"]), (0, admin("GET", "demo-work/agent_ticket")["value"]))
        self.assertEqual((len(center), wechat), (3, []))

    def test_signs_a_page_that_wecom_accepts(self):
        client, _, _ = redirected(WorkClient(CORP, KEY))
        signature = client.jsapi.get_jsapi_signature("nonce", client.jsapi.get_jsapi_ticket(), 1414587457, PAGE)
        config = {"appId": CORP, "timestamp": "1414587457", "nonceStr": "nonce", "signature": signature}
        answer = verdict({**config, "url": PAGE, "jsApiList": []})
        self.assertEqual(answer["err_msg"], "preVerifyJSAPI:ok", answer)

    def test_its_own_next_request_after_a_reject_carries_the_new_token(self):
        client, _, wechat = redirected(WorkClient(CORP, KEY))
        dead = client.access_token
        self.assertTrue(client.get("get_api_domain_ip")["ip_list"])
        steer("revoke", {"app_id": f"{CORP}:{AGENT}", "kind": "token"})
        new = admin("POST", "demo-work/access_token/reject", json={"value": dead})["value"]
        wechat.clear()
        self.assertTrue(client.get("get_api_domain_ip")["ip_list"])
        self.assertEqual([call.split("access_token=")[1] for call in wechat], [dead, new])


if __name__ == "__main__":
    unittest.main()
